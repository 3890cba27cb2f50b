"""Boxes that come about without a training: from files, from other rows' boxes, from weights that are given."""

from __future__ import annotations

MAKERS: dict[str, str] = {
    "fuse": "benchmark.job.made.fusing.maker:make",
    "checkpoint": "benchmark.job.made.detectors:evaluated",
    "tta": "benchmark.job.made.detectors:augmented",
    "predictions": "benchmark.job.made.given:given_boxes",
}
"""What makes the boxes of a run, by the key of its recipe: ``module:function``, see `benchmark.job.made.base.Maker`."""
