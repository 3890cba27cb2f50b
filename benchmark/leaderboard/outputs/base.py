"""What an output of the leaderboard is.

An output says which files it makes of a leaderboard; each file knows whether what is on disk is right, in what it
differs, and how it is written. `benchmark.leaderboard.write` writes and compares the files of all `OUTPUTS` in the
same way, so that nothing is written that is not checked. A new output is one module and one line in `OUTPUTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmark.leaderboard.outputs.text_file import TextFile
from benchmark.run.kept_file import Stamp, stamp_of
from benchmark.run.runs import Runs

if TYPE_CHECKING:  # a sweep with nothing to do asks for the names of the files only
    from benchmark.leaderboard.aside import Aside
    from benchmark.leaderboard.curves import RunCurve
    from benchmark.leaderboard.document import Leaderboard

Configs = Mapping[str, Mapping[str, object]]


class Looks(dict[str, Stamp | tuple[()]]):
    """What outputs are made from beside the leaderboard: the stamp of each file before it was read, by its path."""

    def before(self, path: Path) -> Path:
        """Notes how a file or a folder is, which is read next; the path again."""
        self.setdefault(str(path), _stamp(str(path)))
        return path

    @staticmethod
    def at(files: Iterable[str]) -> dict[str, Stamp | tuple[()]]:
        """The stamps of files as they are now; empty ones of those that are not there."""
        return {file: _stamp(file) for file in files}


def _stamp(file: str) -> Stamp | tuple[()]:
    try:
        return stamp_of(file)
    except (OSError, ValueError):
        return ()


@dataclass(frozen=True)
class Material:
    """What outputs are made of.

    Attributes:
        whole: What is shown.
        runs: The runs of the results folder, in which the files lie.
        configs: The composed config of each row, by name; None where there are no run folders.
        readme: The README that may hold the table, None for no README.
        looks: Takes what is read beside the leaderboard.
        aside: A process that draws while this one writes; None where this one is to draw.
    """

    whole: Leaderboard
    runs: Runs
    configs: Configs | None = None
    readme: Path | None = None
    looks: Looks = field(default_factory=Looks, compare=False)
    aside: Aside | None = None

    @cached_property
    def leaderboard(self) -> Leaderboard:
        """What is shown, its long texts cut to cells: the JSON file alone has the whole."""
        from benchmark.leaderboard.short import shortened_board

        return shortened_board(self.whole)

    def path(self, ending: str) -> Path:
        """The file ``<board><ending>`` in the results folder."""
        return self.runs.results / f"{self.leaderboard.stem}{ending}"

    @cached_property
    def curves(self) -> tuple[dict[str, RunCurve], int]:
        """The training curves of the runs, see `benchmark.leaderboard.curves`: read once for all outputs."""
        from benchmark.leaderboard.curves import curve_files, curves

        for file in curve_files(self.leaderboard, self.runs.results):
            self.looks.before(file)
        return curves(self.leaderboard, self.runs.results)


class File(Protocol):
    """A file of an output.

    Any error costs this file only: it is said, and the others are made. A `UserError` is what the user has to mend.
    """

    @property
    def path(self) -> Path:
        """Where it lies."""

    def is_right(self) -> bool:
        """Whether what is on disk shows what the leaderboard says; it is not touched then."""

    def difference(self) -> str:
        """In what it differs, in lines to print; asked for only where it is not right."""

    def write(self) -> None:
        """Writes it atomically, or removes it where there is nothing to show."""


class NothingToWriteError(Exception):
    """An output makes no file, which is well; its message says why."""


@dataclass(frozen=True)
class Output:
    """An output of the leaderboard.

    Attributes:
        files: Its files, made one after the other as they are asked for; raises `NothingToWriteError` for none.
        needs_runs: Whether it needs the run folders; in a fresh clone, which has none, it is left out.
        many: Whether its files are too many to be listed where all is right.
        told: Whether `Material.looks` is told of all that it reads beside the leaderboard, the configs and the README.
            If not, boards of many rows are always made again, to be compared.
        begin: Begins, before any output is written, what takes long and is done by another process.
    """

    files: Callable[[Material], Iterable[File]]
    needs_runs: bool = False
    many: bool = False
    told: bool = False
    begin: Callable[[Material], None] | None = None


def text_output(ending: str, make: Callable[[Leaderboard], str], whole: bool = False) -> Output:
    """An output of one text file.

    Args:
        ending: The file is ``<board><ending>``.
        make: Its text; the same leaderboard gives the same text.
        whole: Whether it has texts of any length.
    """

    def files(material: Material) -> Iterable[File]:
        shown = material.whole if whole else material.leaderboard
        return [TextFile(material.path(ending), partial(make, shown))]

    return Output(files, told=True)
