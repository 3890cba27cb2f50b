"""CARAFE, https://arxiv.org/abs/1905.02188, in place of mmcv's compiled operators.

Features are (N, C, H, W), masks (N, groups * kernel_size ** 2, H * factor, W * factor): how much a
cell of the output takes from each cell around the one that it was enlarged from.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from benchmark.ops.torch_ops.precision import at_least_float32


def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fills ``output``, shape (N, C, H * scale_factor, W * scale_factor).

    ``rfeatures``, of the shape of ``features``, receives them for the backward pass, which is not
    given them otherwise.
    """
    rfeatures.copy_(features)
    grouped = torch.unflatten(at_least_float32(features), 1, (group_size, -1))
    shares = _shares(at_least_float32(masks), group_size, scale_factor)
    padded = _padded(grouped, kernel_size)
    enlarged = grouped.new_zeros((*grouped.shape[:4], scale_factor, grouped.shape[4], scale_factor))
    for tap, (rows, columns) in enumerate(_taps(features, kernel_size)):
        enlarged += padded[..., rows, columns][..., :, None, :, None] * shares[:, :, tap]
    output.copy_(enlarged.reshape(output.shape))


def carafe_backward(
    grad_output: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rgrad_output: Tensor,
    rgrad_input_hs: Tensor,
    rgrad_input: Tensor,
    rgrad_masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fills ``grad_input`` and ``grad_masks`` from the gradient of the output."""
    grouped = torch.unflatten(at_least_float32(rfeatures), 1, (group_size, -1))
    shares = _shares(at_least_float32(masks), group_size, scale_factor)
    gradient = torch.unflatten(at_least_float32(grad_output), 1, (group_size, -1))
    gradient = _divided(gradient, scale_factor)
    padded = _padded(grouped, kernel_size)
    by_features, by_shares = torch.zeros_like(padded), torch.zeros_like(shares)
    for tap, (rows, columns) in enumerate(_taps(rfeatures, kernel_size)):
        by_features[..., rows, columns] += (gradient * shares[:, :, tap]).sum((4, 6))
        seen = padded[..., rows, columns][..., :, None, :, None]
        by_shares[:, :, tap] = (gradient * seen).sum(2, keepdim=True)
    edge = (kernel_size - 1) // 2
    height, width = grad_input.shape[2:]
    inner = by_features[..., edge : edge + height, edge : edge + width]
    grad_input.copy_(inner.reshape(grad_input.shape))
    grad_masks.copy_(by_shares.reshape(grad_masks.shape))


def _shares(masks: Tensor, groups: int, factor: int) -> Tensor:
    """Masks as (N, groups, taps, 1, H, factor, W, factor): the 1 is for a group's channels."""
    return _divided(torch.unflatten(masks, 1, (groups, -1))[:, :, :, None], factor)


def _divided(enlarged: Tensor, factor: int) -> Tensor:
    """(..., H * factor, W * factor) as (..., H, factor, W, factor)."""
    return torch.unflatten(torch.unflatten(enlarged, -1, (-1, factor)), -3, (-1, factor))


def _padded(grouped: Tensor, kernel_size: int) -> Tensor:
    return pad(grouped, [(kernel_size - 1) // 2] * 4)


def _taps(features: Tensor, kernel_size: int) -> Iterator[tuple[slice, slice]]:
    """Where in the padded map each cell of the kernel lies, for all cells of the map at once."""
    height, width = features.shape[2:]
    for row in range(kernel_size):
        for column in range(kernel_size):
            yield slice(row, row + height), slice(column, column + width)
