"""Where two rows or runs differ on the same images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.comparison.over_folds import (
    classes_over_folds,
    difference_over_folds,
    images_over_folds,
    interval_over_folds,
)
from benchmark.comparison.sides import Evaluated, Side, find_sides
from benchmark.errors import UserError
from benchmark.experiment.published import Judge
from benchmark.statistics import LEVEL, RESAMPLES, SEED
from benchmark.statistics.intervals import Difference, Interval, Sample, difference, interval
from benchmark.statistics.resample import class_precision, image_precision, image_weights
from benchmark.writing.words import counted


@dataclass(frozen=True)
class ClassDifference:
    """AP50 of one class on both sides, fractions in 0..1.

    Attributes:
        name: The class.
        objects: True objects of the class in the images.
        a: Mean AP50 over the runs of A, None without an object.
        b: The same of B.
        difference: ``a - b`` with its interval, None where fewer than two images have the class.
    """

    name: str
    objects: int
    a: float | None
    b: float | None
    difference: Difference | None

    @property
    def gap(self) -> float | None:
        """``a - b``."""
        return None if self.a is None or self.b is None else self.a - self.b


@dataclass(frozen=True)
class ImageDifference:
    """AP50 within one image on both sides.

    Attributes:
        file: The image's ``file_name`` in the annotations.
        objects: True objects in the image.
        a: AP50 within the image, the mean over the classes in it and the runs of A; a fraction in 0..1.
        b: The same of B.
    """

    file: str
    objects: int
    a: float
    b: float

    @property
    def gap(self) -> float:
        """``a - b``."""
        return self.a - self.b


@dataclass(frozen=True)
class Comparison:
    """Two sides, and where they differ.

    Attributes:
        intervals: The interval of either mAP50, None where there is none.
        difference: mAP50 of A minus B, None where there is no interval: with fewer than two images.
        classes: Every class, the largest difference first; last those without an object.
        images: The images with an object on which the sides differ, the largest difference first.
    """

    a: Side
    b: Side
    intervals: tuple[Interval | None, Interval | None]
    difference: Difference | None
    classes: tuple[ClassDifference, ...]
    images: tuple[ImageDifference, ...]

    @property
    def gap(self) -> float:
        """mAP50 of A minus that of B."""
        return self.a.map50 - self.b.map50

    @property
    def better(self) -> str | None:
        """``a`` or ``b`` where the difference is separated from 0 at `LEVEL`, else None."""
        if self.difference is None or self.difference.p > 1 - LEVEL or self.gap == 0:
            return None
        return "a" if self.gap > 0 else "b"

    @property
    def on_test(self) -> bool:
        """Whether the images are those of the test split."""
        return bool(self.a.runs[0].test)

    @property
    def profile(self) -> str:
        """The profile that all runs were made under."""
        return self.a.runs[0].spec.profile


def compare(
    a: str, b: str, results: Path, experiment: str | None = None, split: Judge | None = None
) -> Comparison:
    """Holds two rows, two runs, or a row and a run against each other.

    Args:
        a: Name of a row of a leaderboard in the results folder, or the id of a run.
        b: The other one.
        results: The results folder.
        experiment: Look rows up in this experiment's leaderboard only.
        split: As of `find_sides`.

    Raises:
        UserError: With every problem: a name that is neither, a row of several leaderboards, runs that are not
            complete or have no ``matches.npz``, runs that were made under different profiles or evaluated on
            different data.
    """
    first, second = find_sides((a, b), results, experiment, split)
    if problems := _unpaired(first, second):
        raise UserError(problems)
    if first.folds:
        return _over_folds(first, second)
    return Comparison(
        first,
        second,
        (interval(first.sample), interval(second.sample)),
        difference(first.sample, second.sample),
        _classes(first, second),
        _images(first, second),
    )


def _over_folds(a: Side, b: Side) -> Comparison:
    classes = [ClassDifference(**vars(found)) for found in classes_over_folds(a, b)]
    found = images_over_folds(a, b)
    return Comparison(
        a,
        b,
        (interval_over_folds(a), interval_over_folds(b)),
        difference_over_folds(a, b),
        _largest_first(classes),
        _differing(found.files, found.objects, found.a, found.b),
    )


def _unpaired(a: Side, b: Side) -> list[str]:
    """Why the two cannot be held against each other."""
    problems = []
    profiles = [{run.spec.profile for run in side.runs} for side in (a, b)]
    if len(profiles[0] | profiles[1]) > 1:
        made = [f"'{s.name}' under {_listed(p)}" for s, p in zip((a, b), profiles, strict=True)]
        problems.append(f"{', '.join(made)}: numbers of different profiles do not compare")
    if bool(a.folds) != bool(b.folds):
        over, one = (a, b) if a.folds else (b, a)
        return [
            *problems,
            f"'{over.name}' is over {len(over.folds)} folds and '{one.name}' is not: name two rows over the same "
            "folds, or two runs of one fold",
        ]
    hashes = [{_evaluated_on(run, side) for run in side.runs} for side in (a, b)]
    if len(hashes[0] | hashes[1]) > 1:
        made = [f"'{s.name}' on {_listed(h)}" for s, h in zip((a, b), hashes, strict=True)]
        test = a.runs[0].test
        what = "the folds" if a.folds else "the test split" if test else "val.json"
        data = "test" if test else "validation"
        problems.append(
            f"{', '.join(made)} (SHA-256 of {what}): numbers of different {data} data do not compare"
        )
    return problems or _other_images(a, b)


def _evaluated_on(run: Evaluated, side: Side) -> str:
    """The first digits of the SHA-256 of what a run was evaluated on: of a row over folds that of the division."""
    if run.test:
        return run.test[:12]
    data = run.spec.dataset
    return (data.hashes[1] if side.folds else data.val.sha256)[:12]


def _other_images(a: Side, b: Side) -> list[str]:
    firsts = {run.spec.fold: run for run in reversed(a.runs)}
    for run in (*a.runs, *b.runs):
        first = firsts[run.spec.fold] if a.folds else a.runs[0]
        same = np.array_equal(run.matches.image_ids, first.matches.image_ids)
        if not same or set(run.matches.classes) != set(first.matches.classes):
            counts = [counted(len(r.matches.image_ids), "image") for r in (first, run)]
            return [
                f"{first.spec.run_id} ({counts[0]}) and {run.spec.run_id} ({counts[1]}) were evaluated on "
                "other images or classes: differences are paired by image"
            ]
    return []


def _listed(values: set[str]) -> str:
    return " and ".join(sorted(values))


def _classes(a: Side, b: Side) -> tuple[ClassDifference, ...]:
    first = a.runs[0].matches
    weights = image_weights(a.images, RESAMPLES, SEED)
    # An image without an object of a class says little about that class.
    images = np.count_nonzero(first.objects, axis=0).tolist()
    samples = [_class_samples(side, first.classes, weights, images) for side in (a, b)]
    objects = first.objects.sum(axis=0).tolist()
    return _largest_first(map(_class_difference, first.classes, objects, *samples))


def _largest_first(found: Iterable[ClassDifference]) -> tuple[ClassDifference, ...]:
    return tuple(sorted(found, key=lambda c: (c.gap is None, -abs(c.gap or 0), c.name)))


def _class_samples(
    side: Side, names: Sequence[str], weights: NDArray[np.int32], images: Sequence[int]
) -> list[Sample]:
    """AP50 of each class over seeds and resampled images, NaN where there is no object."""
    # By name: the order of the classes is that of train.json, which may differ.
    order = [[m.classes.index(name) for name in names] for m in side.matches]
    of_all = [class_precision(m)[k] for m, k in zip(side.matches, order, strict=True)]
    drawn = [class_precision(m, weights)[:, k] for m, k in zip(side.matches, order, strict=True)]
    columns = zip(np.stack(of_all, axis=1), np.mean(drawn, axis=0).T, images, strict=True)
    return [Sample(values, draws, count) for values, draws, count in columns]


def _class_difference(name: str, objects: int, a: Sample, b: Sample) -> ClassDifference:
    if not objects:
        return ClassDifference(name, objects, None, None, None)
    return ClassDifference(name, objects, a.value, b.value, difference(a, b))


def _images(a: Side, b: Side) -> tuple[ImageDifference, ...]:
    first = a.runs[0].matches
    means = [np.mean([image_precision(m) for m in side.matches], axis=0) for side in (a, b)]
    return _differing(first.files, first.objects.sum(axis=1), *means)


def _differing(
    files: Sequence[str],
    objects: NDArray[np.int64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
) -> tuple[ImageDifference, ...]:
    differ = np.flatnonzero(np.abs(a - b) > 0).tolist()  # not NaN: no object in the image
    found = [ImageDifference(files[i], int(objects[i]), float(a[i]), float(b[i])) for i in differ]
    return tuple(sorted(found, key=lambda image: (-abs(image.gap), image.file)))
