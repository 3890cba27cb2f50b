"""The costs that the page draws mAP50 against."""

from __future__ import annotations

from typing import Any

from benchmark.job.measure import Axis
from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.pareto import priced

# d3's formats. The axis has a unit, so that a prefix of SI ("767m" million) would only confuse.
_TICK = ",~f"
_VALUE = ".4~r"
# Long trainings read better in minutes or hours: name, seconds, and from which largest time on.
_TIMES = (("s", 1, 0), ("minutes", 60, 300), ("hours", 3600, 7200))


def axes(leaderboard: Leaderboard) -> list[dict[str, Any]]:
    """The axes that the columns declare, with what the page needs to draw each.

    Returns:
        Of each axis ``key`` (its column's), ``title``, ``of_device`` (whether values compare on one device only);
        ``units``, each with ``name``, ``divide`` and ``least``, the largest value from which on it is used;
        ``tick`` and ``value``, d3's formats of ticks and of single values; ``rows``, see `_rows`; ``up_to``, the
        column of how far single values spread upwards, or an empty text.
    """
    columns = ((column, column.axis) for column in leaderboard.declared)
    return [_axis(leaderboard, column, axis) for column, axis in columns if axis is not None]


def _axis(leaderboard: Leaderboard, column: Column, axis: Axis) -> dict[str, Any]:
    units = _TIMES if axis.unit == "s" else ((axis.unit, axis.divide, 0),)
    return {
        "key": column.key,
        "title": axis.title,
        "of_device": axis.of_device,
        "up_to": axis.up_to,
        "units": [dict(zip(("name", "divide", "least"), unit, strict=True)) for unit in units],
        "tick": _TICK,
        "value": _VALUE,
        "rows": _rows(leaderboard, column),
    }


def _rows(leaderboard: Leaderboard, column: Column) -> list[list[float]]:
    """Position, cost and mAP50 of each row that has both, in the order in which the front is looked for."""
    position = {line.row: index for index, line in enumerate(leaderboard.rows)}
    found = priced(leaderboard.ranked, column.key, leaderboard.judged_key)
    return [[position[row.line.row], row.cost, row.map50] for row in found]
