"""The columns of labels: what a row is, in the words of its experiment."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.experiment.experiment import Row
from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.results import RowResult

# Titles, keys, and the kind of part whose name stands for a label that is missing.
_TITLES = (
    ("Model", "model", ""),
    ("Backbone", "backbone", "backbone"),
    ("Neck", "neck", "neck"),
    ("Head", "head", "head"),
    ("Learning Method", "learning_method", "schedule"),
)


def label_columns(rows: Iterable[Row]) -> tuple[Column, ...]:
    """A column for each title of a label.

    Args:
        rows: The rows of the experiment.
    """
    return tuple(_label(title, key, part) for title, key, part in _TITLES)


def label_column(title: str, key: str, about: str) -> Column:
    """A column of labels as a leaderboard's document has it; rows that have no such label are None."""
    return Column(key, title, lambda result: result.row.labels.get(title), about, label=True)


def _label(title: str, key: str, part: str) -> Column:
    def read(result: RowResult) -> str | None:
        fallback = getattr(result.row.parts, part) if part else None
        return result.row.labels.get(title, fallback)

    about = (
        f"The row's label; where it has none, the name of its {part}."
        if part
        else "The row's label."
    )
    return Column(key, title, read, about, label=True)
