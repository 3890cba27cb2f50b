"""The boxes half of a check: annotations that training cannot use, leaves out or changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations, Boxes, Images
from benchmark.data.findings import Reporter, repeated_ids
from benchmark.data.healthcheck import health

# Tools that round corners to whole pixels, or that count pixels from 1, leave boxes that pass the
# image's edge by less than this; mmdet clips them, and what is lost is below what they measured.
_OVERHANG_PX = 1.0


def check_boxes(reporter: Reporter, annotations: Annotations) -> None:
    """Reports what is wrong with a split's annotations."""
    images, boxes = annotations.images, annotations.boxes
    reporter.error(boxes.faults, "annotations with a field missing or wrong")
    reporter.error(repeated_ids(boxes.ids), "annotation ids that repeat")
    strange = ~np.isin(boxes.category_ids, [category.id for category in annotations.categories])
    unknown = _named(boxes, strange, "category", boxes.category_ids)
    reporter.error(unknown, "annotations of a category that 'categories' does not list")
    lost = ~np.isin(boxes.image_ids, images.ids)
    if not images.faults:  # else the image may be there, and only its entry be wrong
        what = "annotations of an image that 'images' does not list"
        reporter.error(_named(boxes, lost, "image", boxes.image_ids), what)
    zero = [str(value) for value in boxes.ids[boxes.ids == 0]]
    reporter.warning(
        zero,
        "annotations with the id 0: evaluated as any other; pycocotools and mmdet's CocoMetric take "
        "that id for 'not found', and score this file a little lower",
    )
    trained = _check_geometry(reporter, images, boxes)
    _check_health(reporter, annotations, trained & ~strange & ~lost)


def _check_geometry(reporter: Reporter, images: Images, boxes: Boxes) -> NDArray[np.bool_]:
    """Returns which boxes are none of those that training cannot use or leaves out."""
    width, height = boxes.xywh[:, 2], boxes.xywh[:, 3]
    flat = (width <= 0) | (height <= 0)
    reporter.error(
        _boxed(boxes, flat),
        "boxes whose width or height is not above 0 (a bbox is [x, y, width, height])",
    )
    outside = _outside(images, boxes) & ~flat
    reporter.error(_boxed(boxes, outside, images), "boxes that reach outside their image")
    tiny = ~flat & ~outside & ((width < 1) | (height < 1) | (boxes.area <= 0))
    reporter.warning(
        _boxed(boxes, tiny),
        "boxes that training leaves out, as mmdet does: a side below 1 pixel, or no area",
    )
    return ~flat & ~tiny


def _check_health(reporter: Reporter, annotations: Annotations, sound: NDArray[np.bool_]) -> None:
    images, boxes = annotations.images, annotations.boxes
    try:
        found = health(annotations, sound)
    except Exception as error:  # whatever hotcoco raises
        told = f"{type(error).__name__}: {error}"
        reporter.findings.warnings.append(
            f"{reporter.path}: objects marked twice were not looked for: hotcoco ended with {told}"
        )
        return
    reporter.warning(
        _boxed(boxes, found.doubled, images),
        "boxes that all but cover another of their class (IoU above 0.95): objects marked twice?",
    )
    reporter.warning(
        _boxed(boxes, found.slim, images), "boxes with one side over 20 times as long as the other"
    )
    reporter.warning(
        [images.files[row] for row in found.unsearched],
        "images with over 100 boxes of a class, too many to look for objects marked twice",
    )


def _outside(images: Images, boxes: Boxes) -> NDArray[np.bool_]:
    """Which boxes pass their image's edge by a pixel or more; False where there is no image."""
    if not len(images.ids):
        return np.zeros(len(boxes.ids), np.bool_)
    rows = images.rows(boxes.image_ids)
    x, y, width, height = boxes.xywh.T
    over_right = x + width - images.width[rows]
    over_bottom = y + height - images.height[rows]
    overhang = np.maximum.reduce([-x, -y, over_right, over_bottom])
    outside: NDArray[np.bool_] = overhang >= _OVERHANG_PX
    listed: NDArray[np.bool_] = images.ids[rows] == boxes.image_ids
    return np.logical_and(outside, listed)


def check_enough(reporter: Reporter, name: str, annotations: Annotations) -> None:
    """Reports a split without boxes, and classes without one; ``name`` is the split's, ``train`` or ``val``."""
    boxes = annotations.boxes
    if not np.any(~boxes.crowd):
        purpose = "learn from" if name == "train" else "measure"
        told = "no box" if not boxes.faults else "no sound box"
        reporter.findings.errors.append(f"{reporter.path}: {told}: there is nothing to {purpose}")
        return
    none = [name for name, count in annotations.boxes_per_class.items() if not count]
    reporter.warning(none, f"classes without a box in {name}")


def _named(
    boxes: Boxes, chosen: NDArray[np.bool_], label: str, values: NDArray[np.int64]
) -> list[str]:
    pairs = zip(boxes.ids[chosen].tolist(), values[chosen].tolist(), strict=True)
    return [f"annotation {key} ({label} {value})" for key, value in pairs]


def _boxed(
    boxes: Boxes, chosen: NDArray[np.bool_] | NDArray[np.intp], images: Images | None = None
) -> list[str]:
    """Offending boxes by annotation id, with their numbers and, given images, the image and its size."""
    image_ids = boxes.image_ids[chosen]
    places = _places(images, image_ids) if images is not None else [""] * len(image_ids)
    return [
        f"annotation {key} {[float(f'{number:.6g}') for number in box]}{place}"
        for key, box, place in zip(
            boxes.ids[chosen].tolist(), boxes.xywh[chosen].tolist(), places, strict=True
        )
    ]


def _places(images: Images, image_ids: NDArray[np.int64]) -> list[str]:
    if not len(image_ids):
        return []
    return [
        f" in {images.files[row]} of {images.width[row]}x{images.height[row]}"
        for row in images.rows(image_ids)
    ]
