"""The table as a CSV file."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from benchmark.leaderboard.outputs.base import text_output

if TYPE_CHECKING:
    from benchmark.leaderboard.document import Leaderboard


def csv_text(leaderboard: Leaderboard) -> str:
    """The CSV file: snake_case keys, fractions in 0..1 at full precision, seconds, run ids.

    The profile stands in every line, so that a line that is copied elsewhere still says so.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = leaderboard.stored_columns
    writer.writerow([*(column.key for column in columns), "profile"])
    for values in leaderboard.values:
        writer.writerow([*(values[column.key] for column in columns), leaderboard.profile])
    return file.getvalue()


CSV = text_output(".csv", csv_text)
