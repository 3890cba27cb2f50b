"""What intervals, ranks and comparisons are made from: detections matched once, and mAP50 of resampled images."""

from __future__ import annotations

from benchmark.job.measure.evaluated import Evaluated
from benchmark.statistics import resample
from benchmark.statistics.draws import write_draws
from benchmark.statistics.matches import match


def keep_bootstrap(evaluated: Evaluated) -> None:
    """Writes ``matches.npz`` and ``bootstrap.npy``."""
    last = evaluated.evaluation
    matches = match(evaluated.truth, last.detections, last.image_ids, evaluated.classes)
    draws = resample.bootstrap(matches)
    matches.save(evaluated.folder.matches_file)
    write_draws(evaluated.folder.bootstrap_file, draws)
