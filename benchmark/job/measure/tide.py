"""How much each kind of error costs a run."""

from __future__ import annotations

from benchmark.job.measure.evaluated import Evaluated
from benchmark.run.record import Numbers
from benchmark.statistics import tide


def shares_of(evaluated: Evaluated) -> Numbers:
    """What each kind of error costs in mAP50, by kind; see `benchmark.statistics.tide.error_shares`."""
    last = evaluated.evaluation
    return tide.error_shares(evaluated.truth, last.detections, last.image_ids, evaluated.classes)
