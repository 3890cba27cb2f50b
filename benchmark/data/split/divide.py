"""Divides images into parts that are alike in classes, numbers of objects and numbers of images."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations
from benchmark.data.findings import repeated_ids
from benchmark.data.keep import evaluated, trained
from benchmark.data.split.groups import Groups, groups_of
from benchmark.errors import UserError, few
from benchmark.writing.words import counted

_MOST_SHARES = 20  # a share that is held out is rounded to a fraction of so many parts at most


@dataclass(frozen=True)
class Wanted:
    """How images are to be divided.

    Attributes:
        count: Into how many parts.
        seed: Of the order in which groups of the same make-up are dealt out.
        group: A key of the images or a pattern over their file names, see `groups_of`; None for none.
        duplicates: Whether near-duplicates stay together.
        held: In how many of the parts those that are held out lie, 0 for folds.
    """

    count: int
    seed: int = 0
    group: str | None = None
    duplicates: bool = True
    held: int = 0


@dataclass(frozen=True)
class Division:
    """How the images of an annotation file were divided.

    Attributes:
        wanted: What was asked for.
        file: Name of the annotation file.
        sha256: Hex SHA-256 of its bytes.
        ids: All image ids, sorted.
        parts: The image ids of each part, sorted: the validation images of each fold, or those that are held out.
        groups: The image ids of each group of more than one image, sorted.
    """

    wanted: Wanted
    file: str
    sha256: str
    ids: tuple[int, ...]
    parts: tuple[tuple[int, ...], ...]
    groups: tuple[tuple[int, ...], ...] = ()

    @property
    def digest(self) -> str:
        """Hex SHA-256 of what was divided, and of which images are in which part."""
        return hashlib.sha256(json.dumps([self.sha256, self.parts]).encode()).hexdigest()

    def others(self, part: int) -> tuple[int, ...]:
        """The image ids of all parts but one, sorted: the training images of a fold."""
        own = set(self.parts[part])
        return tuple(image for image in self.ids if image not in own)


def shares(held: float) -> tuple[int, int]:
    """The fraction next to a share that is to be held out: how many of how many parts, 20 at most.

    Raises:
        UserError: It is none.
    """
    found = Fraction(held).limit_denominator(_MOST_SHARES) if math.isfinite(held) else Fraction(0)
    if not 0 < found < 1:
        raise UserError(
            f"--holdout {held}: give a share from {1 / _MOST_SHARES} to {1 - 1 / _MOST_SHARES}, as in 0.1"
        )
    return found.numerator, found.denominator


def divided(
    annotations: Annotations, wanted: Wanted, images: Path | None = None
) -> tuple[Division, Groups]:
    """Divides the images of a split; the same file, images and request give the same parts.

    scikit-learn's ``StratifiedGroupKFold`` deals groups of images out, those of the most uneven make-up first, each to
    the part that leaves the classes' shares most even. What it counts is every object of every image, by class, and
    each image once: so an image with several classes counts for all of them, images without an object are spread, too,
    and the parts have about as many images.

    Args:
        annotations: The split.
        wanted: What is asked for.
        images: Folder of its images, in which near-duplicates are looked for; needed where these stay together.

    Returns:
        The division, and the groups.

    Raises:
        UserError: The file has entries that are wrong, there are fewer groups than parts, or the group is none.
    """
    _check_sound(annotations)
    groups = groups_of(annotations, wanted.group, images if wanted.duplicates else None)
    wanted = _within(wanted, groups.count)
    if groups.count < max(wanted.count, 2):
        raise UserError(_too_few(annotations, wanted, groups))
    part_of = _dealt(annotations, groups.of, wanted)
    ids = annotations.images.ids
    parts = [tuple(sorted(ids[part_of == part].tolist())) for part in range(wanted.count)]
    if not all(parts):
        raise UserError(_too_few(annotations, wanted, groups))
    if wanted.held:
        parts = [_held_out(parts, wanted.held)]
    together = groups.of_several(ids)
    of = (annotations.path.name, annotations.sha256, tuple(sorted(ids.tolist())))
    division = Division(wanted, *of, tuple(parts), together)
    check_objects(annotations, division)
    return division, groups


def _held_out(parts: Sequence[tuple[int, ...]], count: int) -> tuple[int, ...]:
    """So many of the parts, one after the other, that together are nearest to their share: large groups differ."""
    choices = [
        sorted(image for part in (*parts, *parts)[first : first + count] for image in part)
        for first in range(len(parts))
    ]
    meant = sum(map(len, parts)) * count / len(parts)
    best = min(choices, key=lambda held: abs(len(held) - meant))
    return tuple(best)


def _within(wanted: Wanted, groups: int) -> Wanted:
    """A share of few groups is held out as nearly as they let it: of eight images one for a tenth."""
    if not wanted.held or groups >= wanted.count:
        return wanted
    held = round(groups * wanted.held / wanted.count)
    return replace(wanted, count=groups, held=min(max(held, 1), max(groups - 1, 1)))


def check_objects(annotations: Annotations, division: Division) -> None:
    """Looks for an object in each part, and outside of it: a run that finds none to learn or to find has no score.

    Raises:
        UserError: There is none, with the parts that lack it.
    """
    boxes = annotations.boxes
    learnt, found = (
        set(boxes.image_ids[m].tolist()) for m in (trained(annotations), evaluated(annotations))
    )
    lacking = [
        f"{'the part held out' if division.wanted.held else f'fold {number}'}: no object to {what}"
        for number, part in enumerate(division.parts)
        for what, held in (("find", found & {*part}), ("learn from", learnt - {*part}))
        if not held
    ]
    if not found:
        raise UserError(f"{annotations.path}: there is no object in it that a run has to find")
    if lacking:
        then = "hold another share out" if division.wanted.held else "divide it into fewer parts"
        raise UserError(
            f"{annotations.path}: {few(lacking)}; its objects are in {len(found)} of {len(annotations.images)} images: "
            f"{then}, or give 'detboard data split' another --seed"
        )


def _check_sound(annotations: Annotations) -> None:
    path, images, boxes = annotations.path, annotations.images, annotations.boxes
    problems = []
    if faults := [*images.faults, *boxes.faults]:
        problems.append(f"{path}: entries with a field missing or wrong: {few(faults)}")
    if repeated := repeated_ids(images.ids):
        problems.append(f"{path}: image ids that repeat: {few(repeated)}")
    if problems:
        raise UserError([f"{told}; mend them before the images are divided" for told in problems])


def _too_few(annotations: Annotations, wanted: Wanted, groups: Groups) -> str:
    several = groups.of_several(annotations.images.ids)
    largest = max(map(len, several), default=1)
    asked = "two parts" if wanted.held else f"{wanted.count} folds"
    of = counted(groups.count, "group")
    together = f" in {of}, the largest of {largest}," if several else ""
    return (
        f"{annotations.path}: {counted(len(annotations.images), 'image')}{together} cannot be divided into {asked}: "
        "each needs a group of its own; ask for fewer, or look whether the groups are what you mean"
    )


def _dealt(annotations: Annotations, groups: NDArray[np.intp], wanted: Wanted) -> NDArray[np.intp]:
    """The part of each image, shape (N,)."""
    from sklearn.model_selection import StratifiedGroupKFold

    images, boxes, held = annotations.images, annotations.boxes, evaluated(annotations)
    # A row for each image, of a class that no object has, and one for each object.
    rows = np.concatenate([np.arange(len(images)), images.rows(boxes.image_ids[held])])
    classes = np.concatenate([np.full(len(images), -1), boxes.category_ids[held]])
    folds = StratifiedGroupKFold(wanted.count, shuffle=True, random_state=wanted.seed)
    part_of = np.zeros(len(images), np.intp)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of rare classes, which the report tells
        for part, (_, chosen) in enumerate(folds.split(rows, classes, groups[rows])):
            part_of[rows[chosen]] = part
    return part_of
