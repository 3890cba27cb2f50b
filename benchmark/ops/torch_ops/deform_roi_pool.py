"""Deformable RoI pooling, https://arxiv.org/abs/1703.06211, in place of mmcv's compiled operators.

``rois`` is (image index, x1, y1, x2, y2), shape (R, 5), in pixels that ``spatial_scale`` brings to
cells of the feature map. ``offset``, shape (R, 2, height, width) with x first, or (0,) for none,
moves each bin by ``gamma`` times the region's width and height.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.ops.torch_ops.precision import at_least_float32, finite
from benchmark.ops.torch_ops.sampling import Bins, sampled_groups


def deform_roi_pool_forward(
    images: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Fills ``output``, shape (R, C, height, width), from ``images``, shape (N, C, H, W).

    A bin is the mean of its samples, or 0 where it has none.
    """
    images, rois = at_least_float32(images), finite(rois)
    bins = Bins(pooled_height, pooled_width, spatial_scale, sampling_ratio, 0.5, False)
    output.zero_()
    for group in sampled_groups(images, rois, bins, _shifts(rois, offset, bins, gamma)):
        output[group.rows] = group.values(images).mean(-1).transpose(0, 1).to(output.dtype)


def deform_roi_pool_backward(
    grad_output: Tensor,
    images: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Fills ``grad_input``, (N, C, H, W), and ``grad_offset`` from the gradient of the output.

    It is the derivative of the values, also for samples beyond the border, whose value no small
    shift changes; mmcv's kernels give those offsets the slope of the cells inside.
    """
    rois, given = finite(rois), at_least_float32(images).detach().requires_grad_()
    bins = Bins(pooled_height, pooled_width, spatial_scale, sampling_ratio, 0.5, False)
    shifts = _shifts(rois, offset, bins, gamma)
    moved = None if shifts is None else shifts.detach().requires_grad_()
    with torch.enable_grad():
        for group in sampled_groups(given, rois, bins, moved):
            values = group.values(given).mean(-1).transpose(0, 1)
            torch.autograd.backward(values, grad_output[group.rows].to(values.dtype))
    if given.grad is not None:
        grad_input.copy_(given.grad)
    if moved is not None and moved.grad is not None:
        grad_offset.copy_(_as_offset(moved.grad, rois, bins, gamma))


def _shifts(rois: Tensor, offset: Tensor, bins: Bins, gamma: float) -> Tensor | None:
    """How far each bin is moved along y and x, in cells, shape (R, 2, height, width)."""
    if not offset.numel():
        return None
    _, size = bins.regions(rois)
    return finite(offset).flip(1) * gamma * size[:, :, None, None]


def _as_offset(slope: Tensor, rois: Tensor, bins: Bins, gamma: float) -> Tensor:
    """Derivatives by the offset, of those by `_shifts`; the same factors, x first."""
    _, size = bins.regions(rois)
    return (slope * gamma * size[:, :, None, None]).flip(1)
