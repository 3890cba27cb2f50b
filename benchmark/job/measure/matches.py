"""What intervals, ranks and comparisons are made from: detections matched once, and mAP50 of resampled images."""

from __future__ import annotations

from benchmark.job.measure.trained import Trained
from benchmark.statistics import resample
from benchmark.statistics.draws import write_draws
from benchmark.statistics.matches import match


def keep_bootstrap(trained: Trained) -> None:
    """Writes ``matches.npz`` and ``bootstrap.npy``."""
    last = trained.evaluation
    matches = match(trained.truth, last.detections, last.image_ids, trained.classes)
    draws = resample.bootstrap(matches)
    matches.save(trained.folder.matches_file)
    write_draws(trained.folder.bootstrap_file, draws)
