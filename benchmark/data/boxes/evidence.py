"""What the objects of the annotations tell about a file that can be read in several ways: which way its boxes fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_IOU = 0.5
_LOOKED_AT = 20_000  # boxes, those of the highest scores
_CHANCE = 0.001

_Way = TypeVar("_Way")


@dataclass(frozen=True)
class Objects:
    """The objects that the annotations have, each column M long.

    Attributes:
        image: Row of the image of each among the images, int64.
        category_ids: int64.
        xywh: Pixels, shape (M, 4), float64.
    """

    image: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    xywh: NDArray[np.float64]


def overlapped(
    image: NDArray[np.int64],
    xywh: NDArray[np.float64],
    scores: NDArray[np.float64],
    objects: Objects,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Boxes that overlap an object by an IoU of 0.5, of whatever class, and the object that each overlaps most.

    Of many boxes only those of the highest scores are looked at.

    Args:
        image: Row of the image of each box, shape (N,); below 0 of one that is in none.
        xywh: Pixels, shape (N, 4).
        scores: Shape (N,).
        objects: The objects.

    Returns:
        Numbers of boxes, and as many of objects.
    """
    import numpy as np

    best = np.argsort(-scores, kind="stable")[:_LOOKED_AT]
    boxes, of = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for row in np.intersect1d(image[best], objects.image):
        mine, theirs = best[image[best] == row], np.flatnonzero(objects.image == row)
        iou = _iou(xywh[mine], objects.xywh[theirs])
        hit = iou.max(axis=1) >= _IOU
        boxes.append(mine[hit])
        of.append(theirs[iou.argmax(axis=1)[hit]])
    return np.concatenate(boxes), np.concatenate(of)


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each box with each other, shape (A, B); 0 where an area is none."""
    import numpy as np

    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    whole = a[:, None, 2:].prod(axis=2) + b[None, :, 2:].prod(axis=2) - shared
    return np.where(whole > 0, shared / np.where(whole > 0, whole, 1), 0)


def clearly_best(counts: Mapping[_Way, int]) -> _Way | None:
    """The way by which clearly more boxes fit than by any other; None if that could be chance.

    A sign test against the second best: were both as good, so great a lead would come about once in 1,000 times.
    """
    first, second = sorted(counts, key=lambda way: -counts[way])[:2]
    more, less = counts[first], counts[second]
    tails = sum(comb(more + less, count) for count in range(less + 1))
    return first if tails < _CHANCE * 2 ** (more + less) else None
