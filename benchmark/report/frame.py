"""The table as a pandas data frame, and from it the CSV file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmark.report.columns import COLUMNS, STORED, values
from benchmark.report.table import Table

if TYPE_CHECKING:  # importing pandas takes over a second: only who asks for a frame pays
    import pandas as pd


def frame(table: Table) -> pd.DataFrame:
    """The table with every column of `COLUMNS` under its key, a line a row.

    Numbers are at full precision and in the column's unit; what is absent is NaN, or ``<NA>`` in
    whole numbers.
    """
    import pandas as pd

    content = pd.DataFrame(values(table), columns=[column.key for column in COLUMNS], dtype=object)
    return content.astype({column.key: column.dtype for column in COLUMNS})


def records(content: pd.DataFrame) -> list[dict[str, Any]]:
    """The frame's lines as plain Python values by column key; None where one is absent."""
    plain = content.astype(object)
    lines = plain.where(content.notna(), None).to_dict("records")
    return [{str(key): value for key, value in line.items()} for line in lines]


def csv_text(table: Table, content: pd.DataFrame) -> str:
    """The CSV file: snake_case keys, fractions in 0..1 at full precision, seconds, run ids.

    The profile stands in every line, so that a line that is copied elsewhere still says so.
    """
    stored = content[[column.key for column in STORED]].assign(profile=table.profile)
    text: str = stored.to_csv(index=False, lineterminator="\n")
    return text
