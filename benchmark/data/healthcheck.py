"""hotcoco's health check over sound boxes: objects that are marked twice, and boxes of an odd shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations


@dataclass(frozen=True)
class Health:
    """What hotcoco finds beside what `benchmark.data.check` looks for itself.

    Attributes:
        doubled: Rows of the boxes that another of their class in their image covers with an IoU above 0.95; the boxes
            of an image and class side by side, from left to right.
        slim: Rows of the boxes that are over 20 times as long as wide, or as wide as long.
        unsearched: Rows of the images with over 100 boxes of one class, in which hotcoco looks for no doubled ones.
    """

    doubled: NDArray[np.intp]
    slim: NDArray[np.intp]
    unsearched: NDArray[np.intp]


def health(annotations: Annotations, sound: NDArray[np.bool_]) -> Health:
    """Has hotcoco look at the boxes.

    Args:
        annotations: The split.
        sound: Which of its boxes are looked at, shape (N,), bool: their image and category are listed, and they have
            a width and a height.

    Raises:
        Exception: Whatever hotcoco raises.
    """
    images, boxes = annotations.images, annotations.boxes
    rows = np.flatnonzero(sound)
    if not len(rows):
        return Health(rows, rows, rows)
    affected = _affected(annotations, rows, images.rows(boxes.image_ids[rows]))
    doubled = rows[affected.get("near_duplicate", [])]
    columns = (*boxes.xywh[doubled].T, boxes.category_ids[doubled], boxes.image_ids[doubled])
    return Health(
        doubled=doubled[np.lexsort(columns)],
        slim=rows[affected.get("extreme_aspect_ratio", [])],
        unsearched=np.array(affected.get("near_duplicate_check_skipped", []), np.intp),
    )


def _affected(
    annotations: Annotations, rows: NDArray[np.intp], image_rows: NDArray[np.intp]
) -> dict[str, list[int]]:
    """By the code of hotcoco's finding, the places of boxes in ``rows``, or rows of images.

    Images, boxes and categories go by their place, for ids above 2**53 change in hotcoco.
    """
    from hotcoco import COCO

    images, boxes = annotations.images, annotations.boxes
    sizes = zip(images.width.tolist(), images.height.tolist(), strict=True)
    listed = [
        {"id": row, "width": width, "height": height, "file_name": ""}
        for row, (width, height) in enumerate(sizes)
    ]
    _, classes = np.unique(boxes.category_ids[rows], return_inverse=True)
    names = [{"id": key, "name": str(key)} for key in range(int(classes.max()) + 1)]
    coco = COCO.from_arrays(
        listed,
        names,
        image_rows.astype(np.int64),
        classes.astype(np.int64),
        boxes.xywh[rows],
        ids=np.arange(len(rows)),
    )
    warnings = coco.healthcheck()["warnings"]
    return {warning["code"]: warning["affected_ids"] for warning in warnings}
