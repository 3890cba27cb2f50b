"""Non-maximum suppression, in place of mmcv's compiled operators.

Boxes are xyxy in pixels, shape (N, 4), and (x2 - x1 + offset) wide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
import torchvision.ops
from torch import Tensor

from benchmark.ops.torch_ops.precision import at_least_float32


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the kept boxes by falling score, shape (K,), int64; ties keep their order."""
    boxes, scores = at_least_float32(boxes), at_least_float32(scores)
    if offset == 0:
        # mmcv compares with a C float. torchvision's threshold is a double, and an overlap of
        # float32(0.6) exceeds 0.6: it must be rounded first.
        rounded = torch.tensor(iou_threshold, dtype=boxes.dtype).item()
        return cast(Tensor, torchvision.ops.nms(boxes, scores.to(boxes.dtype), rounded))
    kept = [best for best, _ in _suppressions(boxes, scores, iou_threshold, offset, False)]
    return torch.stack(kept) if kept else boxes.new_zeros(0, dtype=torch.long)


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Groups of indices: each kept box, then those that it suppressed.

    Args:
        dets: Boxes (xyxy) and scores, shape (N, 5).
        iou_threshold: A box is suppressed at this overlap or above.
    """
    dets = at_least_float32(dets)
    groups = _suppressions(dets[:, :4], dets[:, 4], iou_threshold, 0, True)
    return [[int(best), *suppressed.tolist()] for best, suppressed in groups]


def _suppressions(
    boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int, inclusive: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields the index of each kept box and of those that it suppresses, by falling score."""
    order = scores.sort(descending=True, stable=True).indices
    threshold = torch.tensor(iou_threshold, dtype=boxes.dtype).item()
    while order.numel():
        best, rest = order[0], order[1:]
        overlap = _overlaps(boxes[best], boxes[rest], offset)
        suppressed = overlap >= threshold if inclusive else overlap > threshold
        yield best, rest[suppressed]
        order = rest[~suppressed]


def _overlaps(box: Tensor, boxes: Tensor, offset: int) -> Tensor:
    """IoU of one box, shape (4,), with each of ``boxes``; NaN where both are empty."""
    near, far = box[:2].maximum(boxes[:, :2]), box[2:].minimum(boxes[:, 2:])
    inter = (far - near + offset).clamp(min=0).prod(dim=1)
    area = (box[2:] - box[:2] + offset).prod()
    areas = (boxes[:, 2:] - boxes[:, :2] + offset).prod(dim=1)
    return inter / (area + areas - inter)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS; fills ``dets`` (xyxy and score, shape (N, 5)) and returns the kept indices.

    Source: https://arxiv.org/abs/1704.04503. Candidates are reordered as in mmcv's loop, which
    decides between equal scores.

    Args:
        boxes: Shape (N, 4), on the CPU.
        scores: Shape (N,).
        dets: Receives the result in its first K rows.
        iou_threshold: Overlap from which methods 0 and 1 lower a score.
        sigma: Width of method 2.
        min_score: Boxes whose score falls below it are dropped.
        method: 0 (naive), 1 (linear) or 2 (gaussian).
        offset: 0 or 1.
    """
    boxes, scores = at_least_float32(boxes), at_least_float32(scores).clone()
    lowest = torch.tensor(min_score, dtype=scores.dtype).item()
    inds, done = torch.arange(len(boxes)), 0
    while done < len(inds):
        best = done + int(scores[inds[done:]].argmax())
        inds[[done, best]] = inds[[best, done]]
        chosen = inds[done]
        dets[done, :4], dets[done, 4] = boxes[chosen], scores[chosen]
        done += 1
        rest = inds[done:]
        overlap = _overlaps(boxes[chosen], boxes[rest], offset)
        scores[rest] *= _decay(overlap, iou_threshold, sigma, method)
        inds = torch.cat([inds[:done], _without(rest, scores[rest] < lowest)])
    return inds


def _decay(overlap: Tensor, iou_threshold: float, sigma: float, method: int) -> Tensor:
    """Factors of the scores, shape (N,)."""
    if method == 2:
        return (-(overlap * overlap) / sigma).exp()
    lowered = 1 - overlap if method == 1 else torch.zeros_like(overlap)
    threshold = torch.tensor(iou_threshold, dtype=overlap.dtype).item()
    return lowered.where(overlap >= threshold, torch.ones_like(overlap))


def _without(values: Tensor, dropped: Tensor) -> Tensor:
    """Fills each gap, from the first on, with the last value that is not dropped."""
    count = int((~dropped).sum())
    result = values[:count].clone()
    result[dropped[:count]] = values[count:][~dropped[count:]].flip(0)
    return result
