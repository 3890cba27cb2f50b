"""The operators that `benchmark.ops` serves in place of mmcv's compiled ones.

Names, arguments and order are those of ``mmcv._ext``: results go into tensors that the caller
allocated. They take tensors of every floating dtype and device; half precision is computed in
float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
import torchvision.ops
from torch import Tensor
from torch.nn.functional import logsigmoid

from benchmark.ops import missing

# Elements of a score matrix that are worked on at once: the temporaries of a focal loss would
# otherwise be several times the size of the scores (0.2 GB each for 4 images and 80 classes).
_CHUNK_ELEMENTS = 1 << 22


# Non-maximum suppression. Boxes are xyxy in pixels, shape (N, 4), and (x2 - x1 + offset) wide.


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the kept boxes by falling score, shape (K,), int64; ties keep their order."""
    boxes, scores = _at_least_float32(boxes), _at_least_float32(scores)
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
    dets = _at_least_float32(dets)
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
    boxes, scores = _at_least_float32(boxes), _at_least_float32(scores).clone()
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


# Focal losses, https://arxiv.org/abs/1708.02002. ``target`` holds labels, shape (N,), int64;
# ``weight`` one factor a class, shape (C,), or shape (0,) for none.


def sigmoid_focal_loss_forward(
    scores: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fills ``output``, shape (N, C), with the loss of each logit of ``scores``, shape (N, C).

    With a label outside 0..C-1 (mmdet's background is C) all logits of the row are negatives, and
    its class weight is 1. mmcv's kernel cuts the logarithm off at 87; this one does not.
    """
    for rows in _chunks(scores):
        # With z = -x for the positive and x for the others, both cases are one expression, without
        # the digits that log(1 - p) loses.
        signed, scale, _ = _signed_logits(scores[rows], target[rows], weight, alpha)
        output[rows] = logsigmoid(-signed) * signed.sigmoid().pow_(gamma) * -scale


def sigmoid_focal_loss_backward(
    scores: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Fills ``grad_input``, shape (N, C), with the derivative of the loss by each logit."""
    for rows in _chunks(scores):
        signed, scale, sign = _signed_logits(scores[rows], target[rows], weight, alpha)
        p = signed.sigmoid()
        slope = p - gamma * (-signed).sigmoid_() * logsigmoid(-signed)
        grad_input[rows] = slope.mul_(p.pow_(gamma)).mul_(scale).mul_(sign)


def _signed_logits(
    scores: Tensor, target: Tensor, weight: Tensor, alpha: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits with the positives negated, the factor of each, and -1 for positives, else 1."""
    logits = _at_least_float32(scores)
    classes = torch.arange(logits.shape[1], device=target.device)
    positive = (target[:, None] == classes).to(logits.dtype)
    sign = 1 - 2 * positive
    scale = (1 - alpha) + (2 * alpha - 1) * positive
    if weight.numel():
        scale *= _label_weight(target, weight)[:, None]
    return logits * sign, scale, sign


def softmax_focal_loss_forward(
    softmax: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fills ``output``, shape (N,), with the loss of rows of probabilities, shape (N, C).

    Labels outside 0..C-1 cost nothing.
    """
    p, counted = _label_probability(softmax, target)
    loss = -alpha * (1 - p) ** gamma * p.clamp(min=torch.finfo(p.dtype).tiny).log()
    output.copy_(loss * counted * _label_weight(target, weight))


def softmax_focal_loss_backward(
    softmax: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Fills ``grad_input``, shape (N, C), with the derivative by each logit before the softmax.

    ``buff``, shape (N,), receives the factor that a row's derivatives share.
    """
    p, counted = _label_probability(softmax, target)
    log_p = p.clamp(min=torch.finfo(p.dtype).tiny).log()
    factor = alpha * (gamma * (1 - p) ** (gamma - 1) * p * log_p - (1 - p) ** gamma)
    buff.copy_(factor * counted * _label_weight(target, weight))
    torch.mul(softmax, -buff[:, None], out=grad_input)
    label = target.clamp(0, softmax.shape[1] - 1)
    grad_input.scatter_add_(1, label[:, None], buff[:, None])


def _label_probability(softmax: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Each row's probability of its label, and whether that label is a class; both (N,)."""
    label = target.clamp(0, softmax.shape[1] - 1)
    return _at_least_float32(softmax.gather(1, label[:, None])[:, 0]), label == target


def _label_weight(target: Tensor, weight: Tensor) -> Tensor:
    """The class weight of each label, shape (N,), or 1, shape (), without weights.

    It is 1 for a label outside the classes, where mmcv reads past the end of ``weight``.
    """
    if not weight.numel():
        return _at_least_float32(weight.new_ones(()))
    label = target.clamp(0, weight.numel() - 1)
    return _at_least_float32(weight)[label].where(label == target, 1.0)


def _chunks(matrix: Tensor) -> Iterator[slice]:
    """Slices of the rows of ``matrix`` with about `_CHUNK_ELEMENTS` elements each."""
    step = max(1, _CHUNK_ELEMENTS // max(1, matrix.shape[1]))
    return (slice(start, start + step) for start in range(0, matrix.shape[0], step))


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor if tensor.element_size() >= 4 else tensor.float()


# RoI align. ``rois`` is (image index, x1, y1, x2, y2), shape (R, 5).


def roi_align_forward(
    images: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fills ``output``, shape (R, C, height, width), from ``images``, shape (N, C, H, W)."""
    _require_average(pool_mode)
    size = (aligned_height, aligned_width)
    pooled = torchvision.ops.roi_align(images, rois, size, spatial_scale, sampling_ratio, aligned)
    output.copy_(pooled)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fills ``grad_input``, shape (N, C, H, W), from the gradient of what the forward filled."""
    _require_average(pool_mode)
    size, shape = (aligned_height, aligned_width), tuple(grad_input.shape)
    backward = torch.ops.torchvision._roi_align_backward
    gradient = backward(grad_output, rois, spatial_scale, *size, *shape, sampling_ratio, aligned)
    grad_input.copy_(gradient)


def _require_average(pool_mode: int) -> None:
    if pool_mode != 1:
        missing("roi_align with pool_mode='max'")()
