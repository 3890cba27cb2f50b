"""The columns of the scores beside mAP50."""

from __future__ import annotations

from benchmark.leaderboard.columns.column import Column
from benchmark.statistics.scores import MAIN, SCORES, Score
from benchmark.writing.words import fraction


def score_columns() -> tuple[Column, ...]:
    """A column for each score but the main one, which stands in the main table."""
    return tuple(_column(score) for key, score in SCORES.items() if key != MAIN)


def _column(score: Score) -> Column:
    return Column(
        score.column,
        score.title,
        lambda result: result.mean(score.key),
        score.about,
        dtype="float64",
        text=fraction,
        unit=score.unit,
        better=score.better,
        group="quality",
    )
