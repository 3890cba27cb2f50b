"""Ways to fuse boxes of one image: mmdet's weighted boxes fusion, NMS and Soft-NMS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.experiment.rows.fuse import Method
from benchmark.job.made.fusing.settings import Settings


@dataclass(frozen=True)
class Found:
    """Boxes of one image.

    Attributes:
        boxes: xyxy in pixels, shape (N, 4), float64.
        scores: Shape (N,), float64.
        labels: Numbers of the classes, shape (N,), int64.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]


Fuse = Callable[[Sequence[Found], Settings], Found]

SOFT_NMS_LOWEST = 1e-3
"""Soft-NMS drops a box whose score it lowers below this: ``min_score`` of mmcv, by default."""


def wbf(rows: Sequence[Found], settings: Settings) -> Found:
    """Weighted boxes fusion, by mmdet's function, whose boxes and scores are float32.

    Boxes are in pixels: the function compares by IoU and averages, and so does not ask for boxes in 0..1. A box of
    score 0 has no weight in an average, and several of them alone would make one of 0 / 0: they are left out.
    """
    from benchmark import ops

    ops.install()  # before anything of mmdet's models is imported
    from mmdet.models.utils import weighted_boxes_fusion

    rows = [_among(found, found.scores > 0) for found in rows]
    boxes, scores, labels = weighted_boxes_fusion(
        [found.boxes for found in rows],
        [found.scores for found in rows],
        [found.labels for found in rows],
        weights=list(settings.weights),
        iou_thr=settings.iou,
        skip_box_thr=settings.skip,
    )
    return Found(
        boxes.numpy().astype(np.float64).reshape(-1, 4),
        scores.numpy().astype(np.float64),
        labels.numpy().astype(np.int64),
    )


def nms(rows: Sequence[Found], settings: Settings) -> Found:
    """Non-maximum suppression of all rows' boxes, class by class.

    A weight multiplies its row's scores, as in https://github.com/ZFTurbo/Weighted-Boxes-Fusion (there divided by the
    sum of all weights, here by the largest, so that equal weights leave the scores as they are).
    """
    import torch

    from benchmark.ops.torch_ops.nms import nms as suppress

    def of_class(found: Found) -> Found:
        boxes, scores = torch.from_numpy(found.boxes), torch.from_numpy(found.scores)
        return _among(found, suppress(boxes, scores, settings.iou, 0).numpy())

    return _by_class(_weighted(rows, settings), of_class)


def soft_nms(rows: Sequence[Found], settings: Settings) -> Found:
    """Linear Soft-NMS of all rows' boxes, class by class; weights as in `nms`.

    A box's score is multiplied by 1 - IoU with each better box that it overlaps by ``iou`` or more, and the box is
    dropped below `SOFT_NMS_LOWEST`.
    """
    import torch

    from benchmark.ops.torch_ops.nms import softnms

    def of_class(found: Found) -> Found:
        boxes, scores = torch.from_numpy(found.boxes), torch.from_numpy(found.scores)
        results = boxes.new_empty((len(boxes), 5))
        linear = 1
        kept = softnms(boxes, scores, results, settings.iou, 0.5, SOFT_NMS_LOWEST, linear, 0)
        of_kept = _among(found, kept.numpy())
        return Found(of_kept.boxes, results[: len(kept), 4].numpy(), of_kept.labels)

    return _by_class(_weighted(rows, settings), of_class)


FUSE: Mapping[Method, Fuse] = {"wbf": wbf, "nms": nms, "soft_nms": soft_nms}


def _among(found: Found, which: NDArray[np.bool_] | NDArray[np.int64]) -> Found:
    return Found(found.boxes[which], found.scores[which], found.labels[which])


def _weighted(rows: Sequence[Found], settings: Settings) -> list[Found]:
    """Without the boxes that are skipped, the others' scores times their row's share of the largest weight."""
    largest = max(settings.weights)
    kept = [_among(found, found.scores >= settings.skip) for found in rows]
    return [
        Found(found.boxes, found.scores * (weight / largest), found.labels)
        for found, weight in zip(kept, settings.weights, strict=True)
    ]


def _by_class(rows: Sequence[Found], of_class: Callable[[Found], Found]) -> Found:
    together = _joined(rows)
    classes = np.unique(together.labels)
    return _joined([of_class(_among(together, together.labels == label)) for label in classes])


def _joined(parts: Sequence[Found]) -> Found:
    empty = Found(np.empty((0, 4)), np.empty(0), np.empty(0, np.int64))
    every = [empty, *parts]
    return Found(
        np.concatenate([part.boxes for part in every]),
        np.concatenate([part.scores for part in every]),
        np.concatenate([part.labels for part in every]),
    )
