"""The table for a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.validations import counted

_MOST_LISTED = 9
_ALWAYS = ("row", "map50", "status")
_WIDEST = 10_000
# What a narrow terminal goes without, in this order: the difference says the first, the files the others.
_SPARED = ("leaderboard_map50", "params", "train_seconds")
_STYLES = {"complete": "green", "failed": "red", "lost": "yellow", "running": "cyan"}


def rich_table(leaderboard: Leaderboard, console: Console) -> Table:
    """The rows by name and how they did, for a rich console; as many columns as it has room for.

    It needs no pandas, whose import would take longer than a sweep with nothing left to do.
    """
    rows = leaderboard.values
    columns = [
        c
        for c in _candidates(leaderboard)
        if c.key in _ALWAYS or any(v[c.key] is not None for v in rows)
    ]
    for key in _SPARED:
        if sum(_least(leaderboard, column) + 1 for column in columns) <= console.width:
            break
        columns = [c for c in columns if c.key != key]
    drawn = _filled(leaderboard, columns)
    if (
        Measurement.get(console, console.options.update(width=_WIDEST), drawn).maximum
        > console.width
    ):
        # Left to itself, rich cuts the last columns off.
        for column, made in zip(columns[1:], drawn.columns[1:], strict=True):
            made.width = _least(leaderboard, column)
    return drawn


def _filled(leaderboard: Leaderboard, columns: list[Column]) -> Table:
    rows = leaderboard.values
    drawn = _headed(leaderboard, columns)
    top = leaderboard.best
    for position, values in enumerate(rows):
        styles = {"status": _STYLES.get(values["state"], ""), "map50": "bold" * (position in top)}
        words = leaderboard.texts[position]
        # Text, not str: square brackets in a title or a cell are no markup.
        drawn.add_row(*(Text(words[c.key], style=styles.get(c.key, "")) for c in columns))
    return drawn


def notes(leaderboard: Leaderboard) -> list[str]:
    """What a reader of the table must know of the validations that its numbers are of."""
    earlier = leaderboard.earlier_better
    words, listed = counted(earlier), earlier[:_MOST_LISTED]
    chosen = [f"note: {leaderboard.selection}"] if leaderboard.selection else []
    if not words:
        return chosen
    more = len(earlier) - len(listed)
    rest = [f"  and {more} more, in the Markdown file"] if more else []
    return [*chosen, f"note: {words}", *(f"  {sentence}" for sentence in listed), *rest]


def _candidates(leaderboard: Leaderboard) -> list[Column]:
    """The row's name, which --rows takes, stands for its labels: fifteen columns fit no terminal."""
    name = [c for c in leaderboard.declared if c.key == "row"]
    left_out = {"published_inside"} | (set() if leaderboard.comparable else {"leaderboard_map50"})
    return [*name, *(c for c in leaderboard.main_columns if not c.label and c.key not in left_out)]


def _headed(leaderboard: Leaderboard, columns: list[Column]) -> Table:
    drawn = Table(
        title=Text(leaderboard.heading),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=0,
    )
    titles = leaderboard.titles
    for column in columns:
        heading = titles[column.key]
        drawn.add_column(
            Text(heading),
            justify="right" if column.right else "left",
            overflow="fold",
            min_width=_least(leaderboard, column),
            no_wrap=column.key == "interval",
        )
    return drawn


def _least(leaderboard: Leaderboard, column: Column) -> int:
    """The least width of a column: where room is short, the row's name folds and no other word does."""
    if column.key == "row":
        return len("complete")
    cells = [words[column.key] for words in leaderboard.texts]
    said = [leaderboard.titles[column.key], *cells]
    return max(len(word) for text in said for word in text.split() or [""])
