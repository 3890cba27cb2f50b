"""What the parts of a division hold: images, groups, and objects by class and size, held against their share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations
from benchmark.data.keep import evaluated
from benchmark.data.split.divide import Division
from benchmark.data.split.groups import Groups
from benchmark.statistics.ids import places

# COCO's, by area in square pixels.
_SMALL, _MEDIUM = 32**2, 96**2
SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Counted:
    """How many of something each part holds.

    Attributes:
        name: What it is.
        counts: Of each part, shape (P,), int64.
        shares: The share of each part that is meant, shape (P,).
        groups: In how many groups they are.
    """

    name: str
    counts: NDArray[np.int64]
    shares: NDArray[np.float64]
    groups: int

    @property
    def total(self) -> int:
        """In all parts."""
        return int(self.counts.sum())

    @property
    def deviations(self) -> NDArray[np.float64]:
        """By how much each part deviates from its share, as a fraction of that, shape (P,); 0 where there are none."""
        expected = self.total * self.shares
        return np.where(
            expected > 0, (self.counts - expected) / np.where(expected > 0, expected, 1), 0
        )

    @property
    def worst(self) -> int:
        """The part that deviates most."""
        return int(np.argmax(np.abs(self.deviations)))

    @property
    def deviation(self) -> float:
        """By how much that one deviates, as a fraction of its share."""
        return float(self.deviations[self.worst])

    @property
    def is_spread(self) -> bool:
        """Whether every part can have some: they are in as many groups as there are parts, or in more."""
        return self.groups >= len(self.counts)


@dataclass(frozen=True)
class Makeup:
    """What the parts of a division hold.

    Attributes:
        parts: What each is called: ``0``, ``1``, ... of folds, ``train`` and ``val`` of a holdout.
        images: Of images.
        groups: How many groups each part holds, shape (P,), int64.
        objects: Of objects of any class.
        empty: Of images without an object.
        sizes: Of objects by COCO's sizes, see `SIZES`.
        classes: Of objects by class, in the order of the file.
    """

    parts: tuple[str, ...]
    images: Counted
    groups: NDArray[np.int64]
    objects: Counted
    empty: Counted
    sizes: tuple[Counted, ...]
    classes: tuple[Counted, ...]

    @property
    def worst(self) -> Counted:
        """What deviates most from its share; of equals the first."""
        every = (self.images, self.objects, *self.sizes, *self.classes)
        return max(every, key=lambda one: abs(one.deviation))

    @property
    def rare(self) -> tuple[Counted, ...]:
        """The classes that not every part can have an object of."""
        return tuple(one for one in self.classes if one.total and not one.is_spread)


def makeup(annotations: Annotations, division: Division, groups: Groups) -> Makeup:
    """Counts what is in the parts of a division; the objects are those that an evaluation has to find."""
    held = _Held(annotations, division, groups)
    boxes, chosen = annotations.boxes, evaluated(annotations)
    rows = annotations.images.rows(boxes.image_ids)
    area, of_class = boxes.area[chosen], boxes.category_ids[chosen]
    objects = rows[chosen]
    empty = np.setdiff1d(np.arange(len(annotations.images)), objects)
    bounds = np.digitize(area, [_SMALL, _MEDIUM])
    return Makeup(
        held.names,
        held.count("images", np.arange(len(annotations.images))),
        held.groups(),
        held.count("objects", objects),
        held.count("images without an object", empty),
        tuple(held.count(f"{size} objects", objects[bounds == n]) for n, size in enumerate(SIZES)),
        tuple(held.count(name, objects[of_class == key]) for key, name in annotations.categories),
    )


class _Held:
    """Counts by part what belongs to images, by their rows."""

    def __init__(self, annotations: Annotations, division: Division, groups: Groups) -> None:
        ids = annotations.images.ids
        parts: Sequence[Sequence[int]] = division.parts
        if division.wanted.held:
            parts = [division.others(0), division.parts[0]]
            share = division.wanted.held / division.wanted.count
            self._shares = np.array([1 - share, share])
            self.names: tuple[str, ...] = ("train", "val")
        else:
            self._shares = np.full(len(parts), 1 / len(parts))
            self.names = tuple(map(str, range(len(parts))))
        self._part_of = np.empty(len(ids), np.intp)
        for number, part in enumerate(parts):
            self._part_of[places(np.array(part, np.int64), ids)] = number
        self._group_of = groups.of

    def count(self, name: str, rows: NDArray[np.intp]) -> Counted:
        """Of things that belong to the images of these rows."""
        counts = np.bincount(self._part_of[rows], minlength=len(self.names))
        return Counted(name, counts, self._shares, len(np.unique(self._group_of[rows])))

    def groups(self) -> NDArray[np.int64]:
        """How many groups each part holds."""
        pairs = np.unique(np.column_stack([self._part_of, self._group_of]), axis=0)
        return np.bincount(pairs[:, 0], minlength=len(self.names))
