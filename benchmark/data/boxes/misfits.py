"""Boxes that are sound, and lie on no objects: those of another split, or written in another form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from benchmark.data.boxes.base import Columns, Others, Target
from benchmark.data.boxes.evidence import Fit, fit_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _Boxes = NDArray[np.float64]


def misfit(
    columns: Columns, image: NDArray[np.int64], target: Target, others: Others | None
) -> tuple[str, str]:
    """Why boxes are not those that they seem to be.

    Args:
        columns: The boxes.
        image: Row of the image of each, shape (N,); below 0 of one that is not known.
        target: The images and classes that they seem to be of.
        others: The other splits; None where the images are known by their names, which no other split has.

    Returns:
        What stands in the way, and what is odd; each empty if there is nothing.
    """
    own = None
    if target.objects is not None:
        own = fit_of(image, columns.xywh, columns.scores, target.objects)
        if own.is_enough:
            return "", ""  # reading other splits takes time
    found = [
        *_elsewhere(columns, image, target, others, own),
        *_otherwise(columns, image, target, own),
    ]
    if found:
        return found[0], ""
    return "", _hardly_any(own) if own is not None and own.is_hardly_any else ""


def _hardly_any(own: Fit) -> str:
    return (
        f"hardly any box lies on an object: {own.hits:,} of the best {own.looked_at:,}; are they in pixels of the "
        "original images, and of these images?"
    )


def _elsewhere(
    columns: Columns,
    image: NDArray[np.int64],
    target: Target,
    others: Others | None,
    own: Fit | None,
) -> Iterator[str]:
    """Says that they lie on the objects of another split, whose images have the same ids."""
    from benchmark.statistics.ids import places

    known = image >= 0
    for other in others() if others is not None and known.all() else ():
        there = places(target.ids[image], other.ids)
        if other.objects is None or (there < 0).any() or _same_files(target, image, other, there):
            continue
        fit = fit_of(there, columns.xywh, columns.scores, other.objects)
        if own.loses_to(fit) if own else fit.is_sure:
            here = f", and {own.hits:,} on those of {target.path}" if own else ""
            yield (
                f"its boxes are of the {other.name} split, {other.path}, whose images have the same ids: {fit.hits:,} "
                f"of the best {fit.looked_at:,} lie on objects there{here}"
            )


def _same_files(
    target: Target, image: NDArray[np.int64], other: Target, there: NDArray[np.int64]
) -> bool:
    """Whether the images of the same ids are the same images, so that nothing tells the splits apart."""
    pairs = {*zip(image.tolist(), there.tolist(), strict=True)}
    return all(target.files[mine] == other.files[theirs] for mine, theirs in pairs)


def _otherwise(
    columns: Columns, image: NDArray[np.int64], target: Target, own: Fit | None
) -> Iterator[str]:
    """Says that they lie on objects if they are read in another form than COCO's."""
    if own is None or target.objects is None:
        return
    for words, read in _FORMS.items():
        fit = fit_of(image, read(columns.xywh), columns.scores, target.objects)
        if own.loses_to(fit):
            yield (
                f"its boxes are {words}: so {fit.hits:,} of the best {fit.looked_at:,} lie on objects, and "
                f"{own.hits:,} as x, y, width, height; write the left upper corner, width and height"
            )


def _of_corners(boxes: _Boxes) -> _Boxes:
    import numpy as np

    return np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


def _of_centres(boxes: _Boxes) -> _Boxes:
    import numpy as np

    return np.column_stack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]])


_FORMS: dict[str, Callable[[_Boxes], _Boxes]] = {
    "corners, x1, y1, x2, y2": _of_corners,
    "centres, with width and height": _of_centres,
}
