"""Whether all files of a board are right, told without making them again: those of thousands of rows take seconds.

What a report has found right is noted with all that the files are made from: values by their hash, files by their
stamps. The note is never the truth: as soon as anything differs, every file is made again and compared.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmark.config.tree import content_of
from benchmark.files import sha256_if_any
from benchmark.leaderboard.outputs import OUTPUTS
from benchmark.leaderboard.outputs.base import Looks
from benchmark.leaderboard.reports import Report
from benchmark.run.kept_file import Settled, code_stamp, read_kept, write_kept
from benchmark.run.known_runs import Later

NAME = ".boards"
_WORTH_ROWS = 200  # of fewer the files are made as quickly as it is told from what
_BY_VERSION = ("jinja2", "numpy", "pillow", "pydantic", "scipy")  # whose work the files show


class KnownBoard:
    """What is known of a board whose files were right.

    Args:
        report: The board, of which nothing is made.
        readme: The README that may hold its table.
    """

    def __init__(self, report: Report, readme: Path) -> None:
        self.looks = Looks()
        """What the files are made from: to be told before it is read."""
        self._report = report
        self._notes = report.runs.results / "runs" / NAME
        self._key = _key(report, readme)

    def right(self) -> list[Any] | None:
        """What `note` was told to remember, if all is as it was then; else None."""
        if self._key is None:
            return None
        match read_kept(self._notes).get(self._report.board):
            case {"of": self._key, "looked": looked, "files": files, "said": said} if (
                Looks.at(looked) == looked and _contents(files) == files
            ):
                return said  # type: ignore[no-any-return]
        if self._report.of is not None:
            self.looks.update(Looks.at(map(str, self._report.of.draws())))
        return None

    def note(self, files: Mapping[str, str | None], said: list[Any]) -> None:
        """Remembers that all is right.

        Args:
            files: The SHA-256 of every file before it was looked at; None of one that was not there.
            said: What is to be remembered: plain values.
        """
        # Another report may have written a file between its hash and its comparison: what was right was not what is
        # noted, and the note would hold of a wrong file that comes back, from git for example.
        if self._key is None or _contents(files) != files:
            return
        begun, looked = self._report.runs.begun_ns, dict(self.looks)
        own = {
            self._report.board: {
                "of": self._key,
                "looked": looked,
                "files": dict(files),
                "said": said,
            }
        }
        known = read_kept(self._notes)

        def content(settled: Settled) -> dict[str, object]:
            # What changed a moment before may have changed once more while it was read.
            sure = all(settled(at, begun) for at in looked.values())
            return {**known, **(own if sure else {})}

        write_kept(self._notes, content)


def _key(report: Report, readme: Path) -> str | None:
    """All that a board's files are made from beside other files, as one hash; None where that cannot be told."""
    configs = report.configs
    if report.of is None or configs is None or len(report.of.table.rows) < _WORTH_ROWS:
        return None
    identities = [(name, _identity(config)) for name, config in configs.items()]
    if any(identity is None for _, identity in identities):
        return None
    made_by = [code_stamp(), sys.version, *map(version, _BY_VERSION), *OUTPUTS]
    places = [str(report.runs.results), str(readme), sha256_if_any(readme), _here()]
    parts = [made_by, places, report.of.identity, identities]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _here() -> str:
    with suppress(OSError):
        return os.getcwd()  # noqa: PTH109
    return ""


def _identity(config: Mapping[str, object]) -> str | None:
    """What tells a config from others, without composing it."""
    if isinstance(config, Later):
        return config.identity
    whole = content_of(dict(config))
    return None if whole is None else hashlib.sha256(whole).hexdigest()


def _contents(files: Iterable[str]) -> dict[str, str | None]:
    return {file: sha256_if_any(Path(file)) for file in files}
