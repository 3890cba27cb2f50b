"""How well the measured values of a table rank its rows as others did, for the line under the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchmark.experiment.published import HiddenScores, Judge
from benchmark.leaderboard.results import OTHER_IMAGES, RowResult
from benchmark.writing.words import counted
from benchmark.yaml_file import Strict

if TYPE_CHECKING:
    from benchmark.leaderboard.document import Leaderboard


class Correlated(Strict):
    """A rank correlation and both ends of its interval, see `benchmark.statistics.agreement.Correlation`."""

    value: float
    low: float
    high: float


class RankAgreement(Strict):
    """How well measured mAP50 ranks the rows as another score does.

    Attributes:
        against: The other score, in words.
        rows: How many rows have both.
        spearman: Rank correlation.
        kendall: Kendall's tau-b.
        elsewhere: Whether mAP50 was measured on other data than the experiment's own.
    """

    against: str
    rows: int
    spearman: Correlated
    kendall: Correlated
    elsewhere: bool = False


def agreements(rows: Sequence[RowResult], judge: Judge, elsewhere: bool) -> Iterator[RankAgreement]:
    """How well the rows' mAP50 ranks them as each score that others gave at least five of them.

    Published values count only where they are of another split: on the same one they are held against it directly.

    Args:
        rows: The rows of a table, judged.
        judge: The split that mAP50 is of.
        elsewhere: Whether they were measured on other data than the experiment's own.
    """
    ours = [_measured(row, judge) for row in rows]
    for against, theirs in _others(rows, judge):
        pairs = [
            (a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None
        ]
        if made := _agreement(against, pairs, elsewhere):
            yield made


def _measured(row: RowResult, judge: Judge) -> float | None:
    """Its mAP50, without the last digits: by these alone, means of the same values can differ."""
    on_val = None if row.unpaired == OTHER_IMAGES else row.map50
    value = row.test_mean("mAP50") if judge == "test" else on_val
    return None if value is None else round(value, 12)


def _others(
    rows: Sequence[RowResult], judge: Judge
) -> Iterator[tuple[str, Sequence[float | None]]]:
    """The scores that others gave the rows, in words, and what each row has."""
    other = "val" if judge == "test" else "test"
    scores = [row.row.leaderboard or HiddenScores.model_construct() for row in rows]
    published = [row.row.published for row in rows]
    yield "public leaderboard", [each.public for each in scores]
    yield "private leaderboard", [each.private for each in scores]
    elsewhere = [each.value if each and each.split == other else None for each in published]
    yield f"values published on {other}", elsewhere


def _agreement(
    against: str, pairs: Sequence[tuple[float, float]], elsewhere: bool
) -> RankAgreement | None:
    from benchmark.statistics.agreement import LEAST_ROWS, agreement

    if len(pairs) < LEAST_ROWS:  # scipy.stats takes half a second to import
        return None
    found = agreement([ours for ours, _ in pairs], [theirs for _, theirs in pairs])
    if found is None:
        return None
    spearman, kendall = (
        Correlated(value=each.value, low=each.low, high=each.high)
        for each in (found.spearman, found.kendall)
    )
    return RankAgreement(
        against=against, rows=found.rows, spearman=spearman, kendall=kendall, elsewhere=elsewhere
    )


def agreement_text(leaderboard: Leaderboard) -> str:
    """The line under the table, without a full stop; empty if there is nothing to compare with."""
    found = leaderboard.agreement
    if not found:
        return ""
    told = "; ".join(_told(each) for each in found)
    elsewhere = " on other data than the experiment's own" if found[0].elsewhere else ""
    level = f"{leaderboard.method.level * 100:g} %"
    title = leaderboard.titles[leaderboard.judged_key]
    measured = title.replace("Measured", "measured").replace("Test mAP50", "mAP50 on test")
    return (
        f"How well {measured}{elsewhere} ranks the rows as others did ({level} intervals): {told}"
    )


def _told(found: RankAgreement) -> str:
    words = (
        f"{name} {each.value:.2f} ({each.low:.2f} to {each.high:.2f})"
        for name, each in (("Spearman", found.spearman), ("Kendall", found.kendall))
    )
    return f"{found.against}, {counted(found.rows, 'row')}: {', '.join(words)}"
