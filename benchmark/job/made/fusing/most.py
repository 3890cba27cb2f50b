"""The boxes that pycocotools counts: the best 100 of each class in each image."""

from __future__ import annotations

import numpy as np

from benchmark.statistics.evaluation import Detections

MOST = 100
"""The last of ``maxDets`` in pycocotools, which takes so many of a class in an image, not so many of an image."""


def counted(detections: Detections, most: int = MOST) -> Detections:
    """The best boxes of each class in each image, in the order given; of equal scores the first are the better."""
    ids = (detections.category_ids, detections.image_ids)
    order = np.lexsort((-detections.scores, *ids))  # stable, as pycocotools' own sorting is
    begins = np.ones(len(order), np.bool_)
    begins[1:] = np.any([np.diff(of[order]) != 0 for of in ids], axis=0)
    first = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    kept = order[np.arange(len(order)) - first < most]
    mask = np.zeros(len(order), np.bool_)
    mask[kept] = True
    return detections.chosen(mask)
