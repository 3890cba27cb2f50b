"""Writes the leaderboard's files, or says how those on disk differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UserError
from benchmark.files import write_text
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.outputs.csv_file import csv_text
from benchmark.leaderboard.outputs.differences import difference, read_text, same
from benchmark.leaderboard.outputs.markdown import dataset_text, method_text, page, table_text
from benchmark.leaderboard.outputs.readme import markers, replaced
from benchmark.writing.markdown import escape

if TYPE_CHECKING:
    from benchmark.leaderboard.outputs.plots.plots import Plot

Configs = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Written:
    """What became of the leaderboard's files.

    Attributes:
        changed: Files that were written or removed; with ``check``, those that would have been.
        unchanged: Files that were right already, and were not touched.
        diffs: With ``check``, what differs in each changed file.
        skipped: What was not looked after, and why.
        problems: What could not be made or written; everything else was.
        wrong: What the user has to mend, the README's markers for example.
    """

    changed: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    diffs: tuple[str, ...]
    skipped: tuple[str, ...]
    problems: tuple[str, ...]
    wrong: tuple[str, ...]


class _Desk:
    """Writes files, or compares them, and keeps count; a file that cannot be made costs that file only."""

    def __init__(self, check: bool) -> None:
        self.check = check
        self.changed: list[Path] = []
        self.unchanged: list[Path] = []
        self.diffs: list[str] = []
        self.skipped: list[str] = []
        self.problems: list[str] = []
        self.wrong: list[str] = []

    def put(self, path: Path, wanted: str) -> None:
        """Writes a text file unless it is right already."""
        found = read_text(path)
        if same(path, found, wanted):
            self.unchanged.append(path)
            return
        if self.check:
            self.diffs.append(difference(path, found, wanted))
        else:
            write_text(path, wanted)
        self.changed.append(path)

    def draw(self, plot: Plot, results: Path) -> None:
        """Draws a plot unless its files show its numbers already."""
        outdated = plot.outdated(results)
        if self.check:
            self.diffs += [
                f"{path.name}: shows other numbers than the records" for path in outdated
            ]
        elif outdated:
            plot.write(outdated)
        self.changed += outdated

    def attempt(self, what: str, step: Callable[[], None]) -> None:
        """Runs a step; if it fails, the others still run."""
        try:
            step()
        except UserError as error:
            self.wrong += error.problems
        except OSError as error:
            self.problems.append(f"{error.filename or what}: cannot be written: {error.strerror}")
        except Exception as error:  # a picture or a journal that nobody has thought of
            self.problems.append(f"{what}: cannot be made: {type(error).__name__}: {error}")

    def written(self) -> Written:
        """What became of everything."""
        return Written(
            tuple(self.changed),
            tuple(self.unchanged),
            tuple(self.diffs),
            tuple(self.skipped),
            tuple(self.problems),
            tuple(self.wrong),
        )


def write_report(
    leaderboard: Leaderboard,
    results: Path,
    *,
    configs: Configs | None = None,
    readme: Path | None = None,
    check: bool = False,
) -> Written:
    """Writes ``<experiment>.md``, ``.csv`` and ``.json``, the README's table, the page and the plots.

    Every write is atomic, and a file whose content is right already is not touched. What cannot be written does not
    keep the rest from being written.

    Args:
        leaderboard: What is shown.
        results: The results folder; the page and the plots are made with what its run folders hold.
        configs: The composed config of each row, by name; None leaves the page and the plots alone.
        readme: The README that may hold the table's two markers, None for no README.
        check: Compare only; write nothing.
    """
    desk, name = _Desk(check), leaderboard.experiment
    texts = {".md": page, ".csv": csv_text, ".json": Leaderboard.text}
    for suffix, make in texts.items():
        path = results / f"{name}{suffix}"
        desk.attempt(path.name, partial(_put, desk, path, make, leaderboard))
    desk.attempt("README", lambda: _put_readme(desk, leaderboard, readme))
    if configs is None:
        desk.skipped.append(f"the page and the plots need the run folders, and {results} has none")
    else:
        _put_page_and_plots(desk, leaderboard, results, configs)
    return desk.written()


def _put(
    desk: _Desk, path: Path, make: Callable[[Leaderboard], str], leaderboard: Leaderboard
) -> None:
    desk.put(path, make(leaderboard))


def _put_page_and_plots(
    desk: _Desk, leaderboard: Leaderboard, results: Path, configs: Configs
) -> None:
    from benchmark.leaderboard.outputs.page.payload import payload
    from benchmark.leaderboard.outputs.page.render import render
    from benchmark.leaderboard.outputs.plots.plots import plots

    path = results / f"{leaderboard.experiment}.html"
    content: dict[str, Any] = {}
    desk.attempt(path.name, lambda: content.update(payload(leaderboard, results, configs)))
    if not content:
        return
    desk.attempt(path.name, lambda: desk.put(path, render(content)))
    drawn: list[Plot] = []
    desk.attempt("plots", lambda: drawn.extend(plots(leaderboard, content["curves"])))
    for plot in drawn:
        desk.attempt(f"plot {plot.name}", partial(desk.draw, plot, results))


def readme_beside(results: Path) -> Path:
    """The README that may hold the table: the one beside the results folder, or what that links to."""
    return (results.resolve().parent / "README.md").resolve()


def _put_readme(desk: _Desk, leaderboard: Leaderboard, readme: Path | None) -> None:
    """Writes the README's table.

    Raises:
        UserError: The README cannot be read, or its markers are wrong.
    """
    if readme is None:
        desk.skipped.append("no README written: no README was named")
        return
    found, name = read_text(readme), leaderboard.experiment
    text = None if found is None else replaced(found, name, _block(leaderboard), readme)
    if text is not None:
        desk.put(readme, text)
    elif found is None:
        desk.skipped.append(f"no README written: {readme} does not exist")
    else:
        marks = " ... ".join(markers(name))
        desk.skipped.append(f"no README written: {readme} has no markers '{marks}'")


def _block(leaderboard: Leaderboard) -> str:
    # Blank lines: Markdown after an HTML comment starts only after one.
    caveat = f" **{escape(leaderboard.caveat)}**." if leaderboard.caveat else ""
    summary = f"{leaderboard.progress} rows complete on {dataset_text(leaderboard)}.{caveat}"
    return f"\n{summary}\n\n{table_text(leaderboard)}\n{method_text(leaderboard)}.\n\n"
