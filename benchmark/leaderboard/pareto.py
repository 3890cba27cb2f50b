"""mAP50 against a cost: which rows are compared, in which order, and which of them nothing beats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmark.leaderboard.document import Line
from benchmark.writing.words import short


@dataclass(frozen=True)
class Priced:
    """A row that has mAP50 and a cost.

    Attributes:
        line: The row.
        cost: What it costs, in the unit of its column, at six digits: more may differ between machines.
        map50: mAP50, a fraction, at six digits.
    """

    line: Line
    cost: float
    map50: float


def priced(ranked: Iterable[Line], key: str, quality: str = "map50") -> list[Priced]:
    """The rows that have mAP50 and a cost, cheapest first, of equally cheap ones the best first.

    Args:
        ranked: Rows, best first.
        key: The cost's column.
        quality: That of the mAP50 that judges.
    """
    values = ((line, line.values[key], line.values[quality]) for line in ranked)
    found = [
        Priced(line, short(float(x)), short(float(y)))
        for line, x, y in values
        if None not in (x, y)
    ]
    return sorted(found, key=lambda row: row.cost)


def separated(worse: Line, better: Line) -> bool:
    """Whether a row's mAP50 is separated from another's, so that a line from one to the other is more than noise."""
    first, last = worse.values["rank_first"], better.values["rank_last"]
    return first is not None and last is not None and last < first


def front(rows: Iterable[Priced]) -> list[Priced]:
    """Those that no other beats in one way without losing in the other; of equal ones, all.

    Args:
        rows: As `priced` gives them.
    """
    found: list[Priced] = []
    for row in rows:
        best = found[-1] if found else None
        if (
            best is None
            or row.map50 > best.map50
            or (row.cost, row.map50) == (best.cost, best.map50)
        ):
            found.append(row)
    return found
