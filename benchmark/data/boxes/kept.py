"""Which boxes of many are handed on: those of high scores."""

from __future__ import annotations

import numpy as np

from benchmark.statistics.evaluation import Detections


def kept(found: Detections, score_thr: float = 0.0, max_per_image: int | None = None) -> Detections:
    """The boxes with a score of at least ``score_thr``, of each image the best ones; in the order in which they were.

    Args:
        found: The boxes.
        score_thr: A fraction in 0..1.
        max_per_image: How many of an image; of equal scores the first are taken. None for all.
    """
    scored = found.chosen(found.scores >= score_thr)
    if max_per_image is None:
        return scored
    order = np.lexsort((-scored.scores, scored.image_ids))
    images = scored.image_ids[order]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.searchsorted(images, images)
    return scored.chosen(np.asarray(place < max_per_image, np.bool_))
