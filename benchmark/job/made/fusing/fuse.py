"""Fuses the boxes of some rows, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmark.job.made.fusing.methods import FUSE, Found
from benchmark.job.made.fusing.most import counted
from benchmark.job.made.fusing.settings import Settings
from benchmark.statistics.evaluation import Detections


@dataclass(frozen=True)
class Fused:
    """Fused boxes.

    Attributes:
        detections: The boxes, by image.
        flat: How many boxes of the rows were left out because they have no area.
        beyond: How many fused boxes were left out that pycocotools would not count, see `counted`.
    """

    detections: Detections
    flat: int
    beyond: int


def fuse(rows: Sequence[Detections], settings: Settings) -> Fused:
    """Fuses the boxes of some rows.

    Args:
        rows: The boxes of each row, scores 0 or above.
        settings: How; a weight a row.

    Raises:
        ValueError: The weights are not one a row, one is below 0 or no number, or all are 0; a score is below 0 or no
            number.
    """
    _refuse(rows, settings)
    taking_part = [row for row, weight in zip(rows, settings.weights, strict=True) if weight > 0]
    weights = tuple(weight for weight in settings.weights if weight > 0)
    solid = [row.chosen(np.all(row.boxes[:, 2:] > 0, axis=1)) for row in taking_part]
    every = _by_image(solid, replace(settings, weights=weights))
    best = counted(every)
    flat = sum(map(len, taking_part)) - sum(map(len, solid))
    return Fused(best, flat, len(every) - len(best))


def _refuse(rows: Sequence[Detections], settings: Settings) -> None:
    weights = np.array(settings.weights, np.float64)
    if len(weights) != len(rows):
        raise ValueError(f"{len(weights)} weights for {len(rows)} rows")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError(f"weights {list(settings.weights)}: each is 0 or above, one above 0")
    for number, row in enumerate(rows, 1):
        if not (np.isfinite(row.scores) & (row.scores >= 0)).all():
            raise ValueError(
                f"row {number} of those that are fused has scores below 0 or no numbers"
            )


def _by_image(rows: Sequence[Detections], settings: Settings) -> Detections:
    together = Detections.concatenate(rows)
    images = np.unique(together.image_ids)
    categories = np.unique(
        together.category_ids
    )  # mmdet's function keeps labels in 24 bits: ids are longer
    sliced = [_Sliced(row, images, categories) for row in rows]
    one = FUSE[settings.method]
    parts = []
    for position, image in enumerate(images):
        fused = one([row.found(position) for row in sliced], settings)
        parts.append(_of_image(int(image), fused, categories))
    return Detections.concatenate(parts)


class _Sliced:
    """The boxes of a row, by image."""

    def __init__(
        self, row: Detections, images: NDArray[np.int64], categories: NDArray[np.int64]
    ) -> None:
        order = np.argsort(row.image_ids, kind="stable")
        self._begins, self._ends = (
            np.searchsorted(row.image_ids[order], images, side) for side in ("left", "right")
        )
        self._corners = _xyxy(row.boxes)[order]
        self._scores = row.scores[order]
        self._labels = np.searchsorted(categories, row.category_ids[order])

    def found(self, image: int) -> Found:
        part = slice(self._begins[image], self._ends[image])
        return Found(self._corners[part], self._scores[part], self._labels[part])


def _of_image(image: int, fused: Found, categories: NDArray[np.int64]) -> Detections:
    size = fused.boxes[:, 2:] - fused.boxes[:, :2]
    return Detections(
        np.full(len(fused.scores), image, np.int64),
        np.hstack([fused.boxes[:, :2], size]),
        fused.scores,
        categories[fused.labels],
    )


def _xyxy(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    corners: NDArray[np.float64] = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
    return corners
