"""The columns of the leaderboard, each declared once; every output shares them.

Those of labels are made for a leaderboard, since its rows say which there are; all others are the same for all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from benchmark.experiment.experiment import Row
from benchmark.leaderboard.alike import alike
from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.columns.labels import label_columns
from benchmark.leaderboard.columns.measured import measured_columns
from benchmark.leaderboard.columns.on_test import (
    MAIN_TEST_COLUMNS,
    test_error_columns,
    test_keys,
    test_score_columns,
)
from benchmark.leaderboard.columns.result import (
    DIFFERS_COLUMN,
    NAME_COLUMN,
    RANK_COLUMNS,
    RESULT_COLUMNS,
    SAID_KEYS,
    STATE_COLUMNS,
    VALIDATION_COLUMNS,
    said_columns,
)
from benchmark.leaderboard.columns.scores import score_columns
from benchmark.leaderboard.results import RowResult

# Keys that stand before or behind the columns: in the data frame of several leaderboards, in every line of a CSV file.
_AROUND = ("experiment", "profile", "dataset", "board")
_VALIDATION_KEYS = tuple(column.key for column in VALIDATION_COLUMNS)
# Columns of some leaderboards only: those of others stay as they were before there were any.
OPTIONAL = frozenset({DIFFERS_COLUMN.key, *SAID_KEYS[1:], *_VALIDATION_KEYS, *test_keys()})


def columns_of(
    rows: Iterable[Row], validations: bool = False, test: bool = False
) -> tuple[Column, ...]:
    """The columns of a leaderboard: the labels that its rows have among those that every leaderboard has.

    Args:
        rows: Its rows.
        validations: Whether a record says which validations there were.
        test: Whether there is a test split that rows are evaluated on.
    """
    rows = list(rows)
    taken = {*_AROUND, *(column.key for column in columns_with((), OPTIONAL))}
    optional = {
        *said_columns(rows),
        *(_VALIDATION_KEYS if validations else ()),
        *([DIFFERS_COLUMN.key] if alike(rows) else []),
        *(test_keys() if test else ()),
    }
    named = any(row.recipe.source_rows for row in rows)
    return columns_with(label_columns(rows, taken), optional, named)


def columns_with(
    labels: Iterable[Column], optional: Collection[str] = (), named: bool = False
) -> tuple[Column, ...]:
    """All columns, in the order of the CSV file.

    Args:
        labels: The columns of labels, see `benchmark.leaderboard.columns.labels`.
        optional: Keys of those of `OPTIONAL` that are among them; other keys count for nothing. With ``differs``,
            where labels do not tell all rows apart, the names of the rows are shown.
        named: Whether they are shown in any case: rows that are made from others name these.
    """
    shown = named or DIFFERS_COLUMN.key in optional
    name = replace(NAME_COLUMN, shown=shown)
    before = (name, *RANK_COLUMNS)
    scores = (*score_columns(), *test_score_columns())
    measured = (*measured_columns(), *test_error_columns())
    after = (DIFFERS_COLUMN, *RESULT_COLUMNS, *MAIN_TEST_COLUMNS, *scores)
    known = (*before, *labels, *after, *measured, *STATE_COLUMNS, *VALIDATION_COLUMNS)
    return tuple(column for column in known if column.key not in OPTIONAL - {*optional})


def main_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Those of the table for readers: the README's."""
    return tuple(column for column in columns if column.shown and column.group == "main")


def stored_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Those of the CSV file and the data frame."""
    return tuple(column for column in columns if column.stored)


def values_of(columns: Iterable[Column], result: RowResult, comparable: bool) -> dict[str, object]:
    """Every value of a row by column key; None where there is none or it would mislead."""
    return {c.key: None if c.compares and not comparable else c.read(result) for c in columns}


def texts(columns: Sequence[Column], values: Mapping[str, object]) -> dict[str, str]:
    """A row's values as readers see them, by column key."""
    return {column.key: column.cell(values[column.key]) for column in columns}
