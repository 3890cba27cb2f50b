"""Which images a shortened run takes: the first, where they show what the set holds; else a spread of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations, stamp
from benchmark.data.keep import ImageFilter, Mask, evaluated, kept_images, trained
from benchmark.data.memory import Memory
from benchmark.statistics.ids import places

RULE = "1"  # another number where the rule below takes other images of the same file


@dataclass(frozen=True)
class Wanted:
    """What is asked of an annotation file.

    Attributes:
        learns: Whether the images are learnt from; else they are evaluated on.
        kept: Which images mmdet's data set keeps at all.
        count: How many of them are wanted.
        step: If fewer hold an object, as many as make a multiple of this, where that is possible.
    """

    learns: bool
    kept: ImageFilter
    count: int
    step: int = 1


@dataclass(frozen=True)
class Taken:
    """What is taken of an annotation file.

    Attributes:
        sha256: Hash of the file.
        indices: Positions among the images that mmdet's data set keeps, as mmengine's ``indices`` count them,
            sorted; None for the first, as many as are wanted.
    """

    sha256: str
    indices: list[int] | None


def taken(path: Path, wanted: Wanted, memory: Memory) -> Taken:
    """The images that a shortened run takes; it depends on nothing but the file and what is wanted.

    The first ones are taken where each of them holds an object that counts, and together they hold as many classes as
    they are images, or all that the file has; or where no image holds one. Otherwise images that hold one are taken,
    spread evenly over the file, of which some give way to others so that as many classes as can be are there.

    Raises:
        UserError: The file cannot be read, or is not in COCO's form.
    """
    return _taken(path, stamp(path), wanted, memory)


@lru_cache(maxsize=1024)  # the rows of an experiment want much the same
def _taken(path: Path, _stamp: tuple[int, ...], wanted: Wanted, memory: Memory) -> Taken:
    question = f"spread/{RULE} {wanted}"
    return memory.answer(
        path, question, Taken, lambda read: Taken(read.sha256, _chosen(read, wanted))
    )


def _chosen(annotations: Annotations, wanted: Wanted) -> list[int] | None:
    held = _held(annotations, wanted)
    holding = np.flatnonzero(held.any(axis=1))
    first = held[: wanted.count]
    enough = min(wanted.count, held.any(axis=0).sum())
    if not len(holding) or (first.any(axis=1).all() and first.any(axis=0).sum() >= enough):
        return None
    count = min(wanted.count, len(holding))
    if count < wanted.count and count > wanted.step:
        count -= count % wanted.step
    even = ((np.arange(count) + 0.5) * len(holding) / count).astype(np.intp)
    return sorted(_with_classes(held, holding[even]).tolist())


def _held(annotations: Annotations, wanted: Wanted) -> Mask:
    """Which classes each kept image holds an object of that counts, shape (K, C), bool."""
    images, boxes = annotations.images, annotations.boxes
    rows = kept_images(annotations, wanted.kept)
    good = trained(annotations) if wanted.learns else evaluated(annotations)
    position = np.full(len(images.ids), -1, np.intp)
    position[rows] = np.arange(len(rows))
    of_box = position[images.rows(boxes.image_ids[good])]
    ids = np.array([category.id for category in annotations.categories])
    label = places(boxes.category_ids[good], ids)
    held = np.zeros((len(rows), len(ids)), np.bool_)
    held[of_box[of_box >= 0], label[of_box >= 0]] = True
    return held


def _with_classes(held: Mask, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """The chosen images, some of them exchanged for others that hold a class which is missing; rarest class first."""
    rarity = held.sum(axis=0)
    for label in np.argsort(rarity, kind="stable"):
        if not rarity[label] or held[chosen, label].any():
            continue
        counts = held[chosen].sum(axis=0)
        candidates = np.flatnonzero(held[:, label])
        new = candidates[np.argmax((held[candidates] & (counts == 0)).sum(axis=1))]
        # An image may give way if every class that is there stays there.
        left = counts + held[new] - held[chosen]
        spare = np.flatnonzero((left > 0)[:, counts > 0].all(axis=1))
        if len(spare):
            chosen = chosen.copy()
            chosen[spare[np.argmin(np.abs(chosen[spare] - new))]] = new
    return chosen
