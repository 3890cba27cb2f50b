"""Where two rows differ that have a run for each fold: by fold, and by image over the images of all folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.comparison.sides import Side
from benchmark.statistics.folds import difference, interval
from benchmark.statistics.intervals import Difference, Interval
from benchmark.statistics.matches import Matches
from benchmark.statistics.resample import class_precision, image_precision


@dataclass(frozen=True)
class OfClass:
    """AP50 of one class on both sides.

    Attributes:
        name: The class.
        objects: True objects of the class in the images of all folds.
        a: Mean over the folds that have an object, a fraction in 0..1; None without one.
        b: The same of B.
        difference: ``a - b`` with its interval, None where fewer than two folds have an object.
    """

    name: str
    objects: int
    a: float | None
    b: float | None
    difference: Difference | None


@dataclass(frozen=True)
class OfImages:
    """AP50 within each image of all folds, fold by fold.

    Attributes:
        files: ``file_name`` of each, N long.
        objects: True objects in each, shape (N,), int64.
        a: Mean over the runs of A that have not trained on it, shape (N,), float64; NaN without an object.
        b: The same of B.
    """

    files: tuple[str, ...]
    objects: NDArray[np.int64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]


def interval_over_folds(side: Side) -> Interval:
    """The interval of a side's mAP50."""
    return interval(side.of_folds)


def difference_over_folds(a: Side, b: Side) -> Difference:
    """mAP50 of A minus B, paired by fold."""
    return difference(a.of_folds, b.of_folds)


def classes_over_folds(a: Side, b: Side) -> list[OfClass]:
    """Every class, in the order of A's first run."""
    names = a.runs[0].matches.classes
    values = [_class_values(side, names) for side in (a, b)]
    objects = _objects(a, names)
    return [_of_class(name, *of) for name, *of in zip(names, objects.T, *values, strict=True)]


def _of_class(
    name: str, objects: NDArray[np.int64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> OfClass:
    with_objects = objects > 0
    count, a, b = int(objects.sum()), a[with_objects], b[with_objects]
    if not len(a):
        return OfClass(name, count, None, None, None)
    apart = difference(a, b) if len(a) > 1 else None
    return OfClass(name, count, float(a.mean()), float(b.mean()), apart)


def _class_values(side: Side, names: Sequence[str]) -> NDArray[np.float64]:
    """AP50 of each class and fold, means over the seeds, shape (K, F)."""
    of_folds = [
        np.mean([class_precision(m)[_order(m, names)] for m in matches], axis=0)
        for matches in side.matches_by_fold
    ]
    return np.stack(of_folds, axis=1)


def _objects(side: Side, names: Sequence[str]) -> NDArray[np.int64]:
    """True objects of each fold and class, shape (F, K)."""
    first = [matches[0] for matches in side.matches_by_fold]
    return np.stack([m.objects.sum(axis=0)[_order(m, names)] for m in first])


def _order(matches: Matches, names: Sequence[str]) -> list[int]:
    return [matches.classes.index(name) for name in names]


def images_over_folds(a: Side, b: Side) -> OfImages:
    """Every image of all folds."""
    first = [matches[0] for matches in a.matches_by_fold]
    means = [
        np.concatenate(
            [np.mean([image_precision(m) for m in ms], axis=0) for ms in side.matches_by_fold]
        )
        for side in (a, b)
    ]
    files = tuple(file for matches in first for file in matches.files)
    return OfImages(files, np.concatenate([m.objects.sum(axis=1) for m in first]), *means)
