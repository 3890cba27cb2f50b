"""The table for a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.leaderboard.agreement import agreement_text
from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.validations import counted
from benchmark.writing.terminal import Shown, fitting, table_of

_MOST_LISTED = 9
_ALWAYS = ("row", "map50", "status")
# What is left out where room is short, in this order: the difference says the first, the files the others.
_SPARED = (
    *("leaderboard_map50", "published_split", "params", "train_seconds"),
    *(
        "leaderboard_public",
        "leaderboard_private",
        "difference",
        "test_interval",
        "interval",
        "rank",
    ),
)
_STYLES = {
    "complete": "green",
    "failed": "red",
    "damaged": "red",
    "lost": "yellow",
    "interrupted": "yellow",
    "running": "cyan",
}


def rich_table(leaderboard: Leaderboard, console: Console) -> Table:
    """The rows by name and how they did, for a rich console; as many columns as it has room for.

    It needs no pandas, whose import would take longer than a sweep with nothing left to do.
    """
    rows = leaderboard.values
    columns = [
        _shown(leaderboard, column)
        for column in _candidates(leaderboard)
        if column.key in (*_ALWAYS, leaderboard.judged_key)
        or any(values[column.key] is not None for values in rows)
    ]
    kept = fitting(columns, _SPARED, console.width)
    return table_of(leaderboard.heading, kept, console, box=SIMPLE_HEAD, folds="row")


def _shown(leaderboard: Leaderboard, column: Column) -> Shown:
    top, key = leaderboard.best, column.key
    # Text, not str: square brackets in a title or a cell are no markup.
    cells = [
        Text(
            words[key],
            style=_style(key, values["state"], key == leaderboard.judged_key and position in top),
        )
        for position, (words, values) in enumerate(
            zip(leaderboard.texts, leaderboard.values, strict=True)
        )
    ]
    return Shown(key, leaderboard.titles[key], cells, column.right)


def _style(key: str, state: str, best: bool) -> str:
    if key == "status":
        return _STYLES.get(state, "")
    return "bold" if best else ""


def notes(leaderboard: Leaderboard) -> list[str]:
    """What a reader of the table must know: how its numbers came about, and how others ranked its rows."""
    of_rows = [f"note: {line.row}: {note}" for line in leaderboard.rows for note in line.notes]
    return [*of_rows[:_MOST_LISTED], *_of_all(leaderboard)]


def _of_all(leaderboard: Leaderboard) -> list[str]:
    """What ranks the rows, of which validations the numbers are, and how others ranked them."""
    earlier = leaderboard.earlier_better
    words, listed = counted(earlier), earlier[:_MOST_LISTED]
    agreed = agreement_text(leaderboard)
    all_said = (leaderboard.judged_by, leaderboard.selection, agreed)
    chosen = [f"note: {said}" for said in all_said if said]
    if not words:
        return chosen
    more = len(earlier) - len(listed)
    rest = [f"  and {more} more, in the Markdown file"] if more else []
    return [*chosen, f"note: {words}", *(f"  {sentence}" for sentence in listed), *rest]


def _candidates(leaderboard: Leaderboard) -> list[Column]:
    """The row's name, which --rows takes, stands for its labels: fifteen columns fit no terminal."""
    name = [c for c in leaderboard.declared if c.key == "row"]
    left_out = {"row", "differs", "published_inside"} | (
        set() if leaderboard.comparable else {"leaderboard_map50", "published_split"}
    )
    return [*name, *(c for c in leaderboard.main_columns if not c.label and c.key not in left_out)]
