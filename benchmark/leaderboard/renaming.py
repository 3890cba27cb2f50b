"""Gives the files of boards the names that they should have, see `benchmark.leaderboard.boards`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmark.errors import UserError
from benchmark.files import read_json, write_json, write_text
from benchmark.leaderboard.beside import readme_beside
from benchmark.leaderboard.outputs.markdown import hashes_text
from benchmark.leaderboard.outputs.plots.plots import NAMES, plot_file
from benchmark.leaderboard.outputs.readme import with_other_markers
from benchmark.leaderboard.outputs.text_file import read_text
from benchmark.writing.drawing import KINDS

_ENDINGS = (".md", ".csv", ".html", ".oof")


def rename_boards(results: Path, renamed: Mapping[str, str], check: bool) -> list[Path]:
    """Renames the files of boards, and says so; a kill in between leaves what the next call does.

    Around the table of a board of version 0.1 the markers in the README are renamed, too.

    Args:
        results: The results folder.
        renamed: What the files of a board are called, and what they should be.
        check: Rename nothing.

    Returns:
        The JSON files of the boards that were renamed, or are to be.

    Raises:
        OSError: A file cannot be renamed.
    """
    for old, new in renamed.items():
        if not check:
            _rename(results, old, new)
        print(
            f"{results / old}.json is a board of other data or another profile than the experiment's own: "
            + (
                f"to be called {new}, as 'detboard report' does"
                if check
                else f"it and its files are now called {new}"
            )
        )
    return [results / f"{old}.json" for old in renamed]


def _rename(results: Path, old: str, new: str) -> None:
    for path, target in _pairs(results, old, new):
        path.rename(target)
    kept = results / f"{old}.json"
    # As it is: a report writes the rest again, whatever is wrong with it.
    content = read_json(kept)
    if not content.get("board"):
        train, val = (str(content["dataset"][split]) for split in ("train", "val"))
        _rename_markers(readme_beside(results), old, new, hashes_text(train, val))
    write_json(results / f"{new}.json", content | {"board": new})
    kept.unlink()  # last: it says whose the files are


def _rename_markers(readme: Path, old: str, new: str, shows: str) -> None:
    """Renames a README's markers around a board of version 0.1, whose tables all stood between the experiment's."""
    try:
        text = with_other_markers(read_text(readme) or "", old, new, shows)
    except UserError:  # no text: publishing says so
        return
    if text is not None:
        write_text(readme, text)
        print(f"{readme}: the markers around the table of {old} now name {new}")


def _pairs(results: Path, old: str, new: str) -> Iterator[tuple[Path, Path]]:
    plots = [
        (plot_file(results, old, plot, kind), plot_file(results, new, plot, kind))
        for plot in NAMES
        for kind in KINDS
    ]
    files = [(results / f"{old}{ending}", results / f"{new}{ending}") for ending in _ENDINGS]
    return (pair for pair in [*plots, *files] if pair[0].exists())
