"""The columns of labels: what a row is, in the words of its experiment."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from benchmark.experiment.experiment import Row
from benchmark.leaderboard.columns.column import Column


def label_columns(rows: Iterable[Row], taken: Collection[str]) -> tuple[Column, ...]:
    """A column for each title of a label, in the order of the first row that has it.

    Args:
        rows: The rows of the experiment.
        taken: Keys that labels cannot have: a label whose own key is one of them has ``label_`` before it.
    """
    titles = dict.fromkeys(title for row in rows for title in row.cells)
    keys: dict[str, str] = {}
    for title in titles:
        keys[_key(title, {*taken, *keys})] = title
    return tuple(label_column(title, key) for key, title in keys.items())


def label_column(title: str, key: str) -> Column:
    """The column of a label; rows that have no such label are None."""
    return Column(
        key,
        title,
        lambda result: result.row.cells.get(title),
        "The row's label; where it has none, the name that its recipe gives.",
        label=True,
    )


def _key(title: str, taken: Collection[str]) -> str:
    """A title in snake_case."""
    key = re.sub(r"\W+", "_", title.lower()).strip("_") or "label"
    while key in taken:
        key = f"label_{key}"
    return key
