"""Gives the files of boards the names that they should have, see `benchmark.leaderboard.boards`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmark.files import write_text
from benchmark.leaderboard.kept import read_leaderboard
from benchmark.leaderboard.outputs.plots.plots import KINDS, NAMES, plot_file

_ENDINGS = (".md", ".csv", ".html")


def rename_boards(results: Path, renamed: Mapping[str, str], check: bool) -> list[Path]:
    """Renames the files of boards, and says so; a kill in between leaves what the next call does.

    Args:
        results: The results folder.
        renamed: What the files of a board are called, and what they should be.
        check: Rename nothing.

    Returns:
        The JSON files of the boards that were renamed, or are to be.

    Raises:
        UserError: One of them cannot be read.
        OSError: A file cannot be renamed.
    """
    for old, new in renamed.items():
        if not check:
            _rename(results, old, new)
        print(
            f"{results / old}.json is a board of other data or another profile than the experiment's own: "
            f"{'to be called' if check else 'it and its files are now called'} {new}"
        )
    return [results / f"{old}.json" for old in renamed]


def _rename(results: Path, old: str, new: str) -> None:
    for path, target in _pairs(results, old, new):
        path.rename(target)
    kept, named = results / f"{old}.json", {"board": new}
    write_text(results / f"{new}.json", read_leaderboard(kept).model_copy(update=named).text())
    kept.unlink()  # last: it says whose the files are


def _pairs(results: Path, old: str, new: str) -> Iterator[tuple[Path, Path]]:
    plots = [
        (plot_file(results, old, plot, kind), plot_file(results, new, plot, kind))
        for plot in NAMES
        for kind in KINDS
    ]
    files = [(results / f"{old}{ending}", results / f"{new}{ending}") for ending in _ENDINGS]
    return (pair for pair in [*plots, *files] if pair[0].is_file())
