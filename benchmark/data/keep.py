"""What mmdet and COCO's evaluation keep of an annotation file, without building mmdet's data set.

The rules of training are those of ``mmdet.datasets.CocoDataset`` (mmdet 3): ``parse_data_info`` leaves out boxes,
``filter_data`` leaves out images. Neither says anything. The rule of evaluation is `benchmark.statistics.counted`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations, Boxes, Images
from benchmark.statistics.counted import counted

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ImageFilter:
    """Which images of an annotation file mmdet's data set keeps: its ``filter_cfg``.

    Attributes:
        filter_empty_gt: Whether images without an annotation of the classes are left out.
        min_size: Images with a side below this many pixels are left out.
    """

    filter_empty_gt: bool = False
    min_size: float = 0

    @classmethod
    def of(cls, leaf: Mapping[str, object]) -> ImageFilter:
        """The filter of a data set's config; one in ``test_mode`` keeps all images, as one without ``filter_cfg``."""
        given = leaf.get("filter_cfg")
        if leaf.get("test_mode") or not isinstance(given, Mapping):
            return cls()
        return cls(bool(given.get("filter_empty_gt", False)), given.get("min_size", 0))


TRAINING = ImageFilter(filter_empty_gt=True, min_size=32)
"""The filter of mmdet's own configs, and of the data set parts that are shipped."""


def left_out(annotations: Annotations) -> dict[str, Mask]:
    """Which boxes mmdet leaves out of a training, by reason; a box may have several.

    Returns:
        Masks of shape (N,), bool. The keys are ``unlisted`` (its image or category is not listed), ``ignore``, ``flat``
        (no width or no height), ``outside`` (of its image), ``area`` (not above 0) and ``side`` (below a pixel).
    """
    boxes = annotations.boxes
    flat = (boxes.xywh[:, 2] <= 0) | (boxes.xywh[:, 3] <= 0)
    tiny = (boxes.xywh[:, 2] < 1) | (boxes.xywh[:, 3] < 1)
    return {
        "unlisted": ~_listed(annotations),
        "ignore": boxes.ignore,
        "flat": flat,
        "outside": _outside(annotations.images, boxes) & ~flat,
        "area": boxes.area <= 0,
        "side": tiny & ~flat,
    }


def firsts(masks: Mapping[str, Mask]) -> dict[str, Mask]:
    """The same masks, each without what one before it holds."""
    taken: Mask | None = None
    found = {}
    for name, mask in masks.items():
        found[name] = mask if taken is None else mask & ~taken
        taken = mask if taken is None else mask | taken
    return found


def trained(annotations: Annotations) -> Mask:
    """Which boxes a training learns from, shape (N,), bool: those that mmdet keeps and that are no crowds.

    A crowd is kept as a region that is not held against the detector.
    """
    kept = ~annotations.boxes.crowd
    for mask in left_out(annotations).values():
        kept &= ~mask
    return kept


def evaluated(annotations: Annotations) -> Mask:
    """Which boxes an evaluation has to find, shape (N,), bool."""
    boxes = annotations.boxes
    return counted(boxes.area, boxes.crowd) & _listed(annotations)


def past_edge(
    annotations: Annotations, xywh: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """By how many pixels each box passes its image's edge where it does so most; below 0 inside.

    mmdet's ``Resize`` clips boxes to the image; an evaluation takes them as they are.

    Args:
        annotations: The split.
        xywh: Other numbers in the place of its boxes', shape (N, 4), float64.

    Returns:
        Pixels, shape (N,), float64.
    """
    boxes = annotations.boxes
    width, height = _sizes(annotations.images, boxes)
    x, y, w, h = (boxes.xywh if xywh is None else xywh).T
    overhang: NDArray[np.float64] = np.maximum.reduce([-x, -y, x + w - width, y + h - height])
    return overhang


def kept_images(annotations: Annotations, chosen: ImageFilter) -> NDArray[np.intp]:
    """Rows of the images that mmdet's data set keeps, in its order, which is that of the file; shape (K,).

    ``indices`` of a data set's config count these. An image is empty for mmdet if no annotation of the classes names
    it, whatever becomes of that annotation: an image whose only boxes are left out is kept. Image ids must not repeat.
    """
    images, boxes = annotations.images, annotations.boxes
    kept = np.minimum(images.width, images.height) >= chosen.min_size
    if chosen.filter_empty_gt:
        known = np.isin(boxes.category_ids, [category.id for category in annotations.categories])
        kept &= np.isin(images.ids, boxes.image_ids[known])
    return np.flatnonzero(kept)


def images_with(annotations: Annotations, chosen: Mask) -> Mask:
    """Which images hold one of the chosen boxes: `trained` or `evaluated` ones, say; shape (I,), bool."""
    return np.isin(annotations.images.ids, annotations.boxes.image_ids[chosen])


def files_of_boxes_outside(annotations: Annotations, turned: Container[str]) -> list[str]:
    """The image file of each box that is kept, and that its image does not hold if the files of ``turned`` are turned.

    Turned by a quarter, that is: so mmdet's reader turns files by their EXIF orientation.
    """
    images, boxes = annotations.images, annotations.boxes
    swapped = np.array([name in turned for name in images.files], np.bool_)
    width = np.where(swapped, images.height, images.width)
    height = np.where(swapped, images.width, images.height)
    gone = _outside(replace(images, width=width, height=height), boxes)
    rows = images.rows(boxes.image_ids[trained(annotations) & gone])
    return [images.files[row] for row in rows[swapped[rows]]]


def _listed(annotations: Annotations) -> Mask:
    boxes = annotations.boxes
    image = np.isin(boxes.image_ids, annotations.images.ids)
    return image & np.isin(boxes.category_ids, [c.id for c in annotations.categories])


def _outside(images: Images, boxes: Boxes) -> Mask:
    """Boxes that have no area within their image, by mmdet's own arithmetic."""
    width, height = _sizes(images, boxes)
    x, y, w, h = boxes.xywh.T
    across = np.maximum(0, np.minimum(x + w, width) - np.maximum(x, 0))
    down = np.maximum(0, np.minimum(y + h, height) - np.maximum(y, 0))
    outside: Mask = across * down == 0
    return outside


def _sizes(images: Images, boxes: Boxes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Width and height of each box's image; any image's where its own is not listed."""
    if not len(images.ids):
        empty = np.zeros(len(boxes.ids), np.int64)
        return empty, empty
    rows = images.rows(boxes.image_ids)
    return images.width[rows], images.height[rows]
