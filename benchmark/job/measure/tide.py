"""How much each kind of error costs a run."""

from __future__ import annotations

from benchmark.job.measure.trained import Trained
from benchmark.run.record import Numbers
from benchmark.statistics import tide


def shares_of(trained: Trained) -> Numbers:
    """What each kind of error costs in mAP50, by kind; see `benchmark.statistics.tide.error_shares`."""
    last = trained.evaluation
    return tide.error_shares(trained.truth, last.detections, last.image_ids, trained.classes)
