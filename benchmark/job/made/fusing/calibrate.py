"""Scores of a row, brought onto a scale that other rows' scores are on, too.

A calibration is fitted on boxes whose hits are known, and never changes the order of a row's own boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmark.experiment.rows.fuse import Calibration
from benchmark.statistics.evaluation import Detections
from benchmark.statistics.matches import Matches

Scores = NDArray[np.float64]
Calibrate = Callable[[Scores], Scores]

ORDERING = 1e-4
"""Share of the plain score in an isotonic one.

Isotonic regression gives long runs of boxes one score: without it they would lose their order, and with it average
precision; the share is below what the hits of ten thousand boxes tell apart.
"""


@dataclass(frozen=True)
class Evidence:
    """What a row's scores are calibrated by; one entry a box.

    Attributes:
        scores: Shape (N,), float64.
        hits: Whether the box found an object at IoU 0.5, shape (N,), bool.
    """

    scores: Scores
    hits: NDArray[np.bool_]

    @classmethod
    def of(cls, matches: Sequence[Matches]) -> Evidence:
        """Of the boxes that count, in one evaluation or several."""
        return cls(
            np.concatenate([np.empty(0), *(one.score for one in matches)]),
            np.concatenate([np.empty(0, np.bool_), *(one.hit for one in matches)]),
        )


def calibrated(detections: Detections, kind: Calibration, evidence: Evidence) -> Detections:
    """The boxes with calibrated scores, in 0..1.

    Raises:
        ValueError: There are boxes, and none to calibrate them by.
    """
    if not len(detections):
        return detections
    if not len(evidence.scores):
        raise ValueError("no boxes to calibrate the scores by: the row found nothing there")
    return replace(detections, scores=FITTED[kind](evidence)(detections.scores))


def minmax(evidence: Evidence) -> Calibrate:
    """The lowest score becomes 0, the highest 1, any beyond them too; a single score becomes 1."""
    low, high = float(evidence.scores.min()), float(evidence.scores.max())

    def calibrate(scores: Scores) -> Scores:
        if high == low:
            return np.asarray(np.where(scores < low, 0.0, 1.0))
        return np.asarray(np.clip((scores - low) / (high - low), 0.0, 1.0))

    return calibrate


def isotonic(evidence: Evidence) -> Calibrate:
    """How often a box of such a score is a hit, by isotonic regression, and by `ORDERING` the plain score."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    fitted.fit(evidence.scores, evidence.hits.astype(np.float64))
    plain = minmax(evidence)

    def calibrate(scores: Scores) -> Scores:
        rate = np.asarray(fitted.predict(scores), np.float64)
        return (1 - ORDERING) * rate + ORDERING * plain(scores)

    return calibrate


FITTED: Mapping[Calibration, Callable[[Evidence], Calibrate]] = {
    "minmax": minmax,
    "isotonic": isotonic,
}
