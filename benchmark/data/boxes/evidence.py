"""What the objects of the annotations tell about a file that can be read in several ways: which way its boxes fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_IOU = 0.5
_LOOKED_AT = 20_000  # boxes, those of the highest scores
_CHANCE = 0.005
# Shares of the best boxes that lie on objects: by chance a few in a hundred do.
_SURE, _ENOUGH, _HARDLY_ANY = 0.5, 0.3, 0.05
_FEW, _MANY = 10, 20  # boxes

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

    finite = np.isfinite(xywh).all(axis=1) & np.isfinite(scores)
    best = np.argsort(-scores, kind="stable")
    best = best[finite[best]][:_LOOKED_AT]
    rows = np.intersect1d(image[best], objects.image)
    boxes, of = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for mine, theirs in zip(_of(image[best], rows), _of(objects.image, rows), strict=True):
        iou = _iou(xywh[best[mine]], objects.xywh[theirs])
        hit = iou.max(axis=1) >= _IOU
        boxes.append(best[mine[hit]])
        of.append(theirs[iou.argmax(axis=1)[hit]])
    return np.concatenate(boxes), np.concatenate(of)


def _of(image: NDArray[np.int64], rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Of each of the rows, which are sorted, the places where it stands in ``image``."""
    import numpy as np

    order = np.argsort(image, kind="stable")
    starts = np.searchsorted(image[order], rows, "left")
    ends = np.searchsorted(image[order], rows, "right")
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        yield order[start:end]


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each box with each other, shape (A, B); 0 where an area is none."""
    import numpy as np

    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    whole = a[:, None, 2:].prod(axis=2) + b[None, :, 2:].prod(axis=2) - shared
    return np.where(whole > 0, shared / np.where(whole > 0, whole, 1), 0)


class Fit(NamedTuple):
    """How many of the best boxes, as many as there are objects in their images, lie on one of whatever class.

    Attributes:
        hits: How many do.
        looked_at: Of how many.
    """

    hits: int
    looked_at: int

    @property
    def share(self) -> float:
        """A fraction in 0..1."""
        return self.hits / self.looked_at if self.looked_at else 0.0

    @property
    def is_enough(self) -> bool:
        """Whether so many do that the boxes are of these images, and read as they were meant."""
        return self.share >= _ENOUGH

    @property
    def is_hardly_any(self) -> bool:
        """Whether so few do that something may be wrong with how they are read."""
        return self.looked_at >= _MANY and self.share < _HARDLY_ANY

    def loses_to(self, other: Fit) -> bool:
        """Whether boxes read otherwise fit clearly better."""
        told = clearly_best({"own": self.hits, "other": other.hits}) == "other"
        return told and other.is_enough and other.share >= 3 * self.share

    @property
    def is_sure(self) -> bool:
        """Whether no boxes of other images would fit so well, whatever else is known."""
        return self.share >= _SURE and self.hits >= _FEW


def fit_of(
    image: NDArray[np.int64],
    xywh: NDArray[np.float64],
    scores: NDArray[np.float64],
    objects: Objects,
) -> Fit:
    """How well boxes fit the objects of some images; arguments are as in `overlapped`."""
    import numpy as np

    many = int(np.isin(objects.image, image).sum())
    best = np.argsort(-scores, kind="stable")[: min(many, _LOOKED_AT)]
    hits, _ = overlapped(image[best], xywh[best], scores[best], objects)
    return Fit(len(hits), len(best))


def clearly_best(counts: Mapping[_Way, int]) -> _Way | None:
    """The way by which clearly more boxes fit than by any other; None if that could be chance.

    A sign test against the second best: were both as good, so great a lead would come about once in 200 times.
    """
    first, second = sorted(counts, key=lambda way: -counts[way])[:2]
    more, less = counts[first], counts[second]
    tails = sum(comb(more + less, count) for count in range(less + 1))
    return first if tails < _CHANCE * 2 ** (more + less) else None
