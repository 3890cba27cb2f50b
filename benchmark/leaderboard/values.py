"""What can be said of the columns' values: why one is missing, which is the best."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.leaderboard.columns import OPTIONAL, columns_with
from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.columns.result import SAID_KEYS
from benchmark.leaderboard.results import COMPARABLE_PROFILE, RowResult

if TYPE_CHECKING:
    from benchmark.leaderboard.document import Leaderboard, Line


def reasons(
    result: RowResult, columns: Sequence[Column], values: Mapping[str, Any]
) -> dict[str, str]:
    """Why a row with a complete run has a dash, by column key; nothing for a row without one.

    Args:
        result: The row.
        columns: The columns of its leaderboard.
        values: Its values by column key.
    """
    if not result.complete:
        return {}
    known, scored = (
        result.missing,
        {key.lower() for r in result.complete for key in r.metrics.scores},
    )
    absent = [column for column in columns if values[column.key] is None]
    unvalidated = next((r.unvalidated for r in result.complete if r.unvalidated), "")
    found = {
        c.key: (result.unlike if c.compares else "")
        or known.get(c.missing or c.key)
        or (unvalidated if c.group == "quality" and c.missing != "test" else "")
        or _usual(c, scored)
        for c in absent
    }
    return {key: why for key, why in found.items() if why}


def _usual(column: Column, scored: Collection[str]) -> str:
    """Why a column is empty where the records give no reason; empty where a dash needs none.

    Args:
        column: The column.
        scored: Keys of the columns of those scores that the runs were evaluated by.
    """
    if column.missing == "test":
        return "the test images hold no such object"
    if column.group == "quality" and column.key in scored:
        return "the validation images hold no such object"
    measured = column.group in ("quality", "cost", "errors")
    return "not measured when the run was made" if measured else ""


def told_reasons(leaderboard: Leaderboard, line: Line) -> dict[str, str]:
    """Why a row has a dash, by column key, also where no run of it is complete; nothing where a dash needs no reason.

    Args:
        leaderboard: The table.
        line: One of its rows.
    """
    absent = [column for column in leaderboard.declared if line.values[column.key] is None]
    told = {c.key: line.missing.get(c.key) or _expected(leaderboard, line, c) for c in absent}
    return {key: why for key, why in told.items() if why}


def _expected(leaderboard: Leaderboard, line: Line, column: Column) -> str:
    """Why a column has to be empty; a published value that is not given has nothing to do with runs."""
    if column.key in SAID_KEYS:
        return ""
    if column.compares and leaderboard.profile != COMPARABLE_PROFILE:
        return f"Not compared with published values under the {leaderboard.profile} profile."
    if column.compares and leaderboard.caveat:
        return f"{leaderboard.caveat[0].upper()}{leaderboard.caveat[1:]}."
    state = line.values["state"]
    return f"No complete run yet ({state})." if column.numeric and state != "complete" else ""


def best(rows: Sequence[Mapping[str, Any]], key: str = "map50") -> set[int]:
    """Positions of the rows with the best value in a column; none where fewer than two differ.

    Args:
        rows: Values by column key.
        key: A column with a better way.

    Raises:
        ValueError: If no way is better in this column.
    """
    column = next(c for c in columns_with((), OPTIONAL) if c.key == key)
    if column.better is None:
        raise ValueError(f"no value of the column '{key}' is better than another")
    known = [row[key] for row in rows if row[key] is not None]
    if len(set(known)) < 2:
        return set()
    top = max(known) if column.better == "higher" else min(known)
    return {position for position, row in enumerate(rows) if row[key] == top}
