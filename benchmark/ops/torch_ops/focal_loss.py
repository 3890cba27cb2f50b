"""Focal losses, in place of mmcv's compiled operators. Source: https://arxiv.org/abs/1708.02002.

``target`` holds labels, shape (N,), int64; ``weight`` one factor a class, shape (C,), or shape (0,)
for none.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from benchmark.ops.torch_ops.precision import at_least_float32

# Elements of a score matrix that are worked on at once: the temporaries of a focal loss would
# otherwise be several times the size of the scores (0.2 GB each for 4 images and 80 classes).
_CHUNK_ELEMENTS = 1 << 22


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
    logits = at_least_float32(scores)
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
    return at_least_float32(softmax.gather(1, label[:, None])[:, 0]), label == target


def _label_weight(target: Tensor, weight: Tensor) -> Tensor:
    """The class weight of each label, shape (N,), or 1, shape (), without weights.

    It is 1 for a label outside the classes, where mmcv reads past the end of ``weight``.
    """
    if not weight.numel():
        return at_least_float32(weight.new_ones(()))
    label = target.clamp(0, weight.numel() - 1)
    return at_least_float32(weight)[label].where(label == target, 1.0)


def _chunks(matrix: Tensor) -> Iterator[slice]:
    """Slices of the rows of ``matrix`` with about `_CHUNK_ELEMENTS` elements each."""
    step = max(1, _CHUNK_ELEMENTS // max(1, matrix.shape[1]))
    return (slice(start, start + step) for start in range(0, matrix.shape[0], step))
