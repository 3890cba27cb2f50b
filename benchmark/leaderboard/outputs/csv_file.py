"""The table as a CSV file."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from benchmark.leaderboard.outputs.base import text_output
from benchmark.leaderboard.results import COMPARABLE_PROFILE
from benchmark.writing.spreadsheet import cell

if TYPE_CHECKING:
    from benchmark.leaderboard.document import Leaderboard


def csv_text(leaderboard: Leaderboard) -> str:
    """The CSV file: snake_case keys, fractions in 0..1 at full precision, seconds, run ids; no cell is a formula.

    The profile stands in every line, so that a line that is copied elsewhere still says so. So does, where full runs
    are held against no published value, the reason: ``not_compared``.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    keys, reasons = [c.key for c in leaderboard.stored_columns], _reasons(leaderboard)
    writer.writerow(map(cell, [*keys, "profile", *(["not_compared"] if reasons else [])]))
    for line in leaderboard.rows:
        values = [line.values[key] for key in keys]
        more = [leaderboard.profile, *([reasons[line.row]] if reasons else [])]
        writer.writerow(map(cell, [*values, *more]))
    return file.getvalue()


def _reasons(leaderboard: Leaderboard) -> dict[str, str]:
    """By row why it is held against no published value; empty where the profile says it, or every row is."""
    if leaderboard.profile != COMPARABLE_PROFILE:
        return {}
    found = {line.row: leaderboard.not_compared(line) for line in leaderboard.rows}
    return found if any(found.values()) else {}


CSV = text_output(".csv", csv_text)
