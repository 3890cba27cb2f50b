"""The columns of average precision beside mAP50."""

from __future__ import annotations

from benchmark.leaderboard.columns.column import Column
from benchmark.writing.words import fraction


def _quality(key: str, title: str, metric: str, about: str) -> Column:
    return Column(
        key,
        title,
        lambda r: r.mean(metric),
        about,
        dtype="float64",
        text=fraction,
        unit="fraction",
        better="higher",
        group="quality",
    )


SCORE_COLUMNS = (
    _quality("map", "mAP", "mAP", "Mean over IoU 0.50, 0.55 .. 0.95."),
    _quality("map75", "mAP75", "mAP75", "At IoU 0.75."),
    _quality("map_s", "mAP small", "mAP_s", "As mAP, objects under 32 x 32 pixels."),
    _quality("map_m", "mAP medium", "mAP_m", "As mAP, objects from 32 x 32 to 96 x 96 pixels."),
    _quality("map_l", "mAP large", "mAP_l", "As mAP, objects over 96 x 96 pixels."),
)
