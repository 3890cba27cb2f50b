"""How large the objects of a split are, as its files have them or as a model sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations
from benchmark.data.keep import Mask, trained

Sides = NDArray[np.float64]
Factors = Callable[[Sides, Sides], tuple[Sides, Sides]]


@dataclass(frozen=True)
class ClassSizes:
    """The sizes of the objects of a class, in pixels: square roots of width times height.

    Attributes:
        name: The class.
        count: How many objects.
        tenth: A tenth of them is smaller; nan without objects, as the next two.
        median: Half of them is smaller.
        ninth: Nine tenths of them are smaller.
    """

    name: str
    count: int
    tenth: float
    median: float
    ninth: float


def object_sizes(files: Sequence[Annotations], factors: Factors) -> list[ClassSizes]:
    """The sizes of the objects that a training learns from, class by class.

    Args:
        files: What it learns from, in one file or several; they list the same classes.
        factors: From widths and heights of images in pixels, each (N,), float64, to what their sides are multiplied
            by, likewise.
    """
    named = [_named_sides(annotations, factors) for annotations in files]
    names = [category.name for category in files[0].categories] if files else []
    return [_sized(name, np.concatenate([sides[name] for sides in named])) for name in names]


def _named_sides(annotations: Annotations, factors: Factors) -> dict[str, Sides]:
    learnt = trained(annotations)
    sides, held = _sides(annotations, learnt, factors), annotations.boxes.category_ids[learnt]
    return {name: sides[held == key] for key, name in annotations.categories}


def _sides(annotations: Annotations, chosen: Mask, factors: Factors) -> Sides:
    images, boxes = annotations.images, annotations.boxes
    if not chosen.any():
        return np.zeros(0)
    rows = images.rows(boxes.image_ids[chosen])
    across, down = factors(images.width.astype(np.float64), images.height.astype(np.float64))
    width, height = boxes.xywh[chosen, 2:].T
    sides: Sides = np.sqrt(width * across[rows] * height * down[rows])
    return sides


def _sized(name: str, sides: Sides) -> ClassSizes:
    shares = np.quantile(sides, (0.1, 0.5, 0.9)) if len(sides) else np.full(3, np.nan)
    return ClassSizes(name, len(sides), *map(float, shares))
