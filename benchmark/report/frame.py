"""The table as a pandas data frame and as a CSV file."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from benchmark.report.columns import COLUMNS, STORED
from benchmark.report.document import Leaderboard

if TYPE_CHECKING:  # importing pandas takes over a second: only who asks for a frame pays
    import pandas as pd


def frame(leaderboard: Leaderboard) -> pd.DataFrame:
    """The table with every column of `COLUMNS` under its key, a line a row.

    Numbers are at full precision and in the column's unit; what is absent is NaN, or ``<NA>`` in
    whole numbers.
    """
    import pandas as pd

    keys = [column.key for column in COLUMNS]
    content = pd.DataFrame(leaderboard.values, columns=keys, dtype=object)
    return content.astype({column.key: column.dtype for column in COLUMNS})


def csv_text(leaderboard: Leaderboard) -> str:
    """The CSV file: snake_case keys, fractions in 0..1 at full precision, seconds, run ids.

    The profile stands in every line, so that a line that is copied elsewhere still says so.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*(column.key for column in STORED), "profile"])
    for values in leaderboard.values:
        writer.writerow([*(values[column.key] for column in STORED), leaderboard.profile])
    return file.getvalue()
