"""Average precision of resampled images, from detections that were matched once.

A resample draws as many images as there are, with replacement. Its average precision is that of
the drawn images, an image that was drawn twice counting twice: so each detection and each object
gets the number of times that its image was drawn as a weight, and nothing is matched again.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.statistics import RESAMPLES, SEED
from benchmark.statistics.matches import Matches

# pycocotools' recall thresholds; k * 0.01, not k / 100, which now and then is another float.
_RECALLS = np.linspace(0.0, 1.0, 101)
_CHUNK = 64  # resamples at a time: their weights for 5,000 images fit in a processor's cache
_THREADS = 4  # each holds up to 100 MB


def bootstrap(
    matches: Matches, resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.float64]:
    """mAP50 of resampled image sets (Efron & Tibshirani 1993, An Introduction to the Bootstrap).

    The images drawn depend on the number of images, ``resamples`` and ``seed`` alone, so that the
    draws of two runs on the same images are paired.

    Returns:
        Fractions in 0..1, shape (resamples,), float64: the mean over the classes that have an
        object among the images drawn; NaN where none has.
    """
    weights = image_weights(len(matches.image_ids), resamples, seed)
    precision = class_precision(matches, weights)
    present = np.isfinite(precision)
    count = present.sum(axis=-1)
    total = np.where(present, precision, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def image_weights(images: int, resamples: int, seed: int) -> NDArray[np.int32]:
    """How often each image is drawn: multinomial counts, shape (resamples, images), int32."""
    drawn = np.random.default_rng(seed).integers(0, max(images, 1), (resamples, images))
    counts = [np.bincount(row, minlength=images) for row in drawn]
    return np.array(counts, np.int32).reshape(resamples, images)


def class_precision(
    matches: Matches, weights: NDArray[np.int32] | None = None
) -> NDArray[np.float64]:
    """AP50 of each class, each image counted as often as its weight says.

    Where two detections of one class in one image have equal scores, the copies of an image stand
    one box after the other here, and one image after the other in a file that repeats it; apart
    from such ties the result is that of pycocotools on the repeated images.

    Args:
        matches: The evaluation.
        weights: Whole numbers from 0 up, shape (..., I); each image counts once by default.

    Returns:
        Shape (..., K), float64; NaN for a class without an object.
    """
    if weights is None:
        weights = np.ones(len(matches.image_ids), np.int32)
    rows = weights.reshape(-1, len(matches.image_ids))
    segments = _Segments(matches)
    starts = range(0, len(rows), _CHUNK)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        parts = pool.map(lambda start: segments.precision(rows[start : start + _CHUNK]), starts)
        found = np.concatenate([np.empty((0, len(matches.classes))), *parts])
    return found.reshape(*weights.shape[:-1], len(matches.classes))


class _Segments:
    """The detections from one hit to the next, summed up: precision peaks nowhere else."""

    def __init__(self, matches: Matches) -> None:
        from scipy.sparse import csr_array

        hits = np.flatnonzero(matches.hit)
        following = np.searchsorted(hits, np.arange(len(matches.hit)))  # the hit at or after each
        labels = np.append(matches.label[hits], -1)
        counted = labels[following] == matches.label
        entries = (following[counted], matches.image[counted])
        shape = (len(hits), len(matches.image_ids))
        ones = np.ones(int(counted.sum()), np.int32)
        self._seen: Any = csr_array((ones, entries), shape=shape)
        self._image = matches.image[hits]
        self._ends = np.searchsorted(labels[:-1], np.arange(len(matches.classes) + 1))
        self._objects = matches.objects.astype(np.float64)  # a product of floats runs in BLAS

    def precision(self, weights: NDArray[np.int32]) -> NDArray[np.float64]:
        """AP50, shape (C, K), of weights of shape (C, I)."""
        by_image = np.ascontiguousarray(weights.T, np.int32)
        seen = self._seen @ by_image
        found = by_image[self._image]
        objects = weights.astype(np.float64) @ self._objects
        columns = [
            _average(_running(found[start:end]), _running(seen[start:end]), count)
            for start, end, count in zip(self._ends, self._ends[1:], objects.T, strict=False)
        ]
        return np.array(columns).reshape(len(columns), len(weights)).T


def _running(counts: NDArray[np.int32]) -> NDArray[np.int32]:
    return counts.cumsum(axis=0, dtype=np.int32)


def _average(
    found: NDArray[np.signedinteger[Any]],
    seen: NDArray[np.signedinteger[Any]],
    objects: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Average precision by pycocotools' 101 recall thresholds, column by column.

    Args:
        found: Objects found up to each hit, shape (H, C), rising along H.
        seen: Detections up to each hit, shape (H, C).
        objects: Objects to find, shape (C,).

    Returns:
        Shape (C,); NaN where there is no object.
    """
    precision = found / (seen + np.spacing(1.0))  # pycocotools' own guard against 0 / 0
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    reached = np.searchsorted(_RECALLS, found / np.maximum(objects, 1), side="right")
    # At each threshold the precision of the first hit that reaches it, and 0 past the last hit.
    steps = np.diff(reached, axis=0, prepend=0, append=len(_RECALLS))
    values = np.repeat(np.vstack([envelope, np.zeros(len(objects))]).T, steps.T.ravel())
    # One column a row in memory: the mean then rounds as that of a single class does.
    average = values.reshape(len(objects), len(_RECALLS)).mean(axis=-1)
    return np.where(objects > 0, average, np.nan)


def image_precision(matches: Matches) -> NDArray[np.float64]:
    """AP50 within each image: the mean over the classes that have an object in it.

    Returns:
        Shape (I,), float64; NaN for an image without an object.
    """
    images, classes = matches.objects.shape
    image, label = np.nonzero(matches.objects)
    pairs = image * classes + label
    counts = matches.objects[image, label].astype(np.float64)
    found, seen = _columns(matches, pairs)
    precision = _average(found, seen, counts)
    total = np.bincount(image, precision, images)
    present = np.bincount(image, minlength=images)
    return np.where(present > 0, total / np.maximum(present, 1), np.nan)


def _columns(
    matches: Matches, pairs: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Objects found and detections up to each hit, a column for each image and class of ``pairs``.

    Both have shape (H, len(pairs)), H the most hits of any; shorter columns go on as they end,
    with detections without end, so that what fills them has no precision.
    """
    pair = matches.image.astype(np.int64) * len(matches.classes) + matches.label
    order = np.argsort(pair, kind="stable")  # keeps the falling scores of an image and class
    pair, hit = pair[order], matches.hit[order]
    start = np.searchsorted(pair, pair)
    before = np.append(0, np.cumsum(hit))
    column = np.searchsorted(pairs, pair[hit])
    row = (before[:-1] - before[start])[hit]
    most = int(row.max(initial=-1)) + 1
    seen = np.full((most, len(pairs)), np.iinfo(np.int64).max)
    seen[row, column] = (np.arange(len(pair)) - start + 1)[hit]
    hits = np.bincount(column, minlength=len(pairs))
    return np.minimum(np.arange(1, most + 1)[:, None], hits), seen
