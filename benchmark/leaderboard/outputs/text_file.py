"""A text file: compared by its bytes, and written where they differ."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from benchmark.errors import UserError
from benchmark.files import read_bytes, write_text

MOST_LINES = 200


class TextFile:
    """See `benchmark.leaderboard.outputs.base.File`.

    Args:
        path: Where it lies.
        make: What it holds; called once.
    """

    def __init__(self, path: Path, make: Callable[[], str]) -> None:
        self.path = path
        self._make = make

    @cached_property
    def wanted(self) -> str:
        """What it is to hold."""
        return self._make()

    @cached_property
    def on_disk(self) -> str | None:
        r"""What it holds, None where there is no file; bytes that are no text stand as ``\xff``.

        Raises:
            OSError: Something else lies in its place.
        """
        try:
            return read_bytes(self.path).decode("utf-8", errors="backslashreplace")
        except FileNotFoundError:
            return None

    def is_right(self) -> bool:
        """Whether it holds what it is to hold, line ends included."""
        return self.on_disk == self.wanted

    def difference(self) -> str:
        """A unified diff from what is on disk to what the records say, cut where it is long."""
        if self.on_disk is None:
            return f"{self.path.name}: is missing"
        old, new = f"{self.path.name} (on disk)", f"{self.path.name} (from the records)"
        # split, not splitlines: a difference in the line ends alone is a difference too.
        before, after = self.on_disk.split("\n"), self.wanted.split("\n")
        return cut(list(difflib.unified_diff(before, after, old, new, lineterm="")))

    def write(self) -> None:
        """Writes what it is to hold."""
        write_text(self.path, self.wanted)


def read_text(path: Path) -> str | None:
    """The file's text as it is, line ends included; None if there is no such file.

    Raises:
        UserError: It cannot be read as text.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from None


def cut(lines: list[str]) -> str:
    """The first 200 lines, and a word where there are more."""
    more = ["... and more"] if len(lines) > MOST_LINES else []
    return "\n".join([*lines[:MOST_LINES], *more])
