"""What is wrong with boxes themselves: numbers that are none, boxes that lie elsewhere, boxes twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.errors import few, printable
from benchmark.writing.words import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COUNTED_AN_IMAGE = 100
"""Detections an image and class that COCO's evaluation counts, the best ones; mmdet keeps as many an image in all."""
_MOST_FUSED = (
    10  # mmdet's weighted boxes fusion exceeds 1 where weights are uneven; percents go further
)
_EDGE_PX = 1.0  # what rounding may put past an edge
_CORNERS_SHARE = 0.1  # of boxes that stick out of their image, from which on corners are suspected


@dataclass(frozen=True)
class Found:
    """Boxes of which image and class are known, each column N long.

    Attributes:
        image: Row of the image of each, int64.
        category_ids: int64.
        xywh: Pixels, shape (N, 4), float64.
        scores: float64.
        size: Width and height of the image of each, shape (N, 2), float64.
        told: Words where a box stands, and in which image, by its number.
    """

    image: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    xywh: NDArray[np.float64]
    scores: NDArray[np.float64]
    size: NDArray[np.float64]
    told: Callable[[int], str]

    def some(self, bad: NDArray[np.bool_], value: Callable[[int], str] | None = None) -> str:
        """How many boxes, and where the first of them stand: ``(3): entry 1 in 'a.jpg', ...``."""
        import numpy as np

        numbers = np.flatnonzero(bad)
        each = (
            f"{self.told(n)}{f' has {value(n)}' if value else ''}" for n in numbers[:5].tolist()
        )
        return printable(f"({len(numbers):,}): {few(each, count=len(numbers))}")


def problems_of(found: Found) -> list[str]:
    """What is wrong with them, a sentence each: how many, and the first few."""
    if not len(found.scores):
        return []
    numbers = _no_numbers(found)
    return [*numbers, *_wrong_scores(found), *_wrong_places(found), *_twice(found)]


def notes_of(found: Found) -> list[str]:
    """What is odd about boxes that have no problem, a sentence each."""
    if not len(found.scores):
        return []
    return [*_past_edges(found), *_empty(found), *_many(found), *_above_1(found)]


def _box(found: Found) -> Callable[[int], str]:
    return lambda n: f"[{', '.join(f'{value:g}' for value in found.xywh[n])}]"


def _finite(found: Found) -> NDArray[np.bool_]:
    import numpy as np

    return np.asarray(np.isfinite(found.xywh).all(axis=1), np.bool_)


def _no_numbers(found: Found) -> list[str]:
    import numpy as np

    boxes = ~_finite(found)
    scores = ~np.isfinite(found.scores)
    return [
        *([f"boxes with NaN or infinity {found.some(boxes, _box(found))}"] if boxes.any() else []),
        *([f"scores that are NaN or infinite {found.some(scores)}"] if scores.any() else []),
    ]


def _wrong_scores(found: Found) -> list[str]:
    import numpy as np

    wrong = np.isfinite(found.scores) & ((found.scores < 0) | (found.scores > _MOST_FUSED))
    if not wrong.any():
        return []
    percent = "; are they percent?" if 1 < found.scores[wrong].max() <= 100 else ""
    told = found.some(wrong, lambda n: f"{found.scores[n]:g}")
    return [f"scores outside 0..1 {told}{percent}"]


def _above_1(found: Found) -> list[str]:
    above = found.scores > 1
    if not above.any():
        return []
    told = found.some(above, lambda n: f"{found.scores[n]:g}")
    return [f"scores above 1 {told}: as a weighted fusion gives them; their order is what counts"]


def _wrong_places(found: Found) -> list[str]:
    sound = _finite(found)
    if why := other_unit(found):
        return [why]
    negative = sound & (found.xywh[:, 2:].min(axis=1) < 0)
    outside = sound & ~negative & _is_outside(found)
    return [
        *(
            [f"boxes with a negative width or height {found.some(negative, _box(found))}"]
            if negative.any()
            else []
        ),
        *(
            [f"boxes outside their image {found.some(outside, _box(found))}"]
            if outside.any()
            else []
        ),
    ]


def _is_outside(found: Found) -> NDArray[np.bool_]:
    import numpy as np

    start, side = found.xywh[:, :2], found.xywh[:, 2:]
    beyond = (start > found.size + _EDGE_PX) | (start + side < -_EDGE_PX)
    return np.asarray(beyond.any(axis=1), np.bool_)


def _past(found: Found) -> NDArray[np.float64]:
    """Pixels by which each reaches past the edge of its image, shape (N,); below 0 of one inside."""
    import numpy as np

    start, side = found.xywh[:, :2], found.xywh[:, 2:]
    past: NDArray[np.float64] = np.maximum(-start, start + side - found.size).max(axis=1)
    return past


def other_unit(found: Found) -> str:
    """Says that boxes are not in COCO's form where they all are in another; empty otherwise."""
    import numpy as np

    sound = _finite(found)
    boxes, size = found.xywh[sound], found.size[sound]
    if not len(boxes):
        return ""
    if np.abs(boxes).max() <= 1.5 and (size > 16).all():
        return (
            f"boxes that are fractions of the image {found.some(sound, _box(found))}: write pixels"
        )
    corners = (boxes[:, 2:] >= boxes[:, :2]).all() and (boxes[:, 2:] <= size + _EDGE_PX).all()
    out = sound & (_past(found) > _EDGE_PX)
    if corners and (boxes[:, :2] >= -_EDGE_PX).all() and out.sum() > _CORNERS_SHARE * len(boxes):
        told = found.some(out, _box(found))
        return (
            f"boxes that stick out of their image as x, y, width, height {told}, and as corners x1, y1, x2, y2 all lie "
            "inside: write width and height"
        )
    return ""


def _twice(found: Found) -> list[str]:
    import numpy as np

    columns = [found.image, found.category_ids, found.scores, *found.xywh.T]
    order = np.lexsort(columns)
    same = np.ones(len(order) - 1, np.bool_)
    for column in columns:
        same &= column[order[1:]] == column[order[:-1]]
    again = np.zeros(len(order), np.bool_)
    again[order[1:][same]] = True
    if not again.any():
        return []
    told = f"boxes that are there twice, with image, category and score {found.some(again)}"
    return [f"{told}; leave each in once"]


def _past_edges(found: Found) -> list[str]:
    past = _past(found)
    out = past > _EDGE_PX
    if not out.any():
        return []
    told = found.some(out, _box(found))
    return [
        f"boxes that reach past the edge of their image {told}; by {past.max():.1f} px at most, and kept as they are"
    ]


def _empty(found: Found) -> list[str]:
    empty = found.xywh[:, 2:].min(axis=1) == 0
    told = "they can find nothing, and count as wrong"
    return [f"boxes with no area {found.some(empty, _box(found))}; {told}"] if empty.any() else []


def _many(found: Found) -> list[str]:
    import numpy as np

    counts = np.bincount(found.image)
    many = counts > COUNTED_AN_IMAGE
    if not many.any():
        return []
    first = int(np.flatnonzero(found.image == np.argmax(many))[0])
    where = found.told(first).partition(" in ")[2]
    best, images = COUNTED_AN_IMAGE, counted(int(many.sum()), "image")
    return [
        f"over {best} boxes in {images} (up to {counts.max():,}; first {where}): all are kept; COCO's evaluation "
        f"counts the best {best} of an image and class, and rows of mmdet have {best} an image in all"
    ]
