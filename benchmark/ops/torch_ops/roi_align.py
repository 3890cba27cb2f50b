"""RoI align, https://arxiv.org/abs/1703.06870, in place of mmcv's compiled operators.

``rois`` is (image index, x1, y1, x2, y2), shape (R, 5), in pixels that ``spatial_scale`` brings to
cells of the feature map. A bin has ``sampling_ratio`` samples a side, or with 0 about one a cell.
"""

from __future__ import annotations

import torch
import torchvision.ops
from torch import Tensor

from benchmark.ops.torch_ops.precision import at_least_float32, finite
from benchmark.ops.torch_ops.sampling import Bins, corners, sampled_groups, scatter

_MAX = 0
_NOWHERE = -2.0  # samples from -1 on count, with the value of the border


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
    """Fills ``output``, shape (R, C, height, width), from ``images``, shape (N, C, H, W).

    With ``pool_mode`` 1 a bin is the mean of its samples; with 0 their maximum, whose place goes
    into ``argmax_y`` and ``argmax_x``, both of the shape of ``output``. A bin without samples is 0,
    and its place outside the map; mmcv's kernels leave -10,000 (CPU) or the lowest float (CUDA).
    """
    images, rois = at_least_float32(images), finite(rois)
    size = (aligned_height, aligned_width)
    if pool_mode == _MAX:
        bins = Bins(*size, spatial_scale, sampling_ratio, 0.5 if aligned else 0.0, not aligned)
        _fill_maxima(images, rois, bins, (output, argmax_y, argmax_x))
        return
    output.copy_(
        torchvision.ops.roi_align(images, rois, size, spatial_scale, sampling_ratio, aligned)
    )


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
    if pool_mode == _MAX:
        _spread_maxima(
            at_least_float32(grad_output), finite(rois), (argmax_y, argmax_x), grad_input
        )
        return
    gradient, rois = at_least_float32(grad_output), finite(rois).contiguous()
    size, shape = (aligned_height, aligned_width), tuple(grad_input.shape)
    backward = torch.ops.torchvision._roi_align_backward
    grad_input.copy_(
        backward(gradient, rois, spatial_scale, *size, *shape, sampling_ratio, aligned)
    )


def _fill_maxima(
    images: Tensor, rois: Tensor, bins: Bins, filled: tuple[Tensor, Tensor, Tensor]
) -> None:
    output, argmax_y, argmax_x = filled
    output.zero_()
    argmax_y.fill_(_NOWHERE)
    argmax_x.fill_(_NOWHERE)
    for group in sampled_groups(images, rois, bins):
        value, chosen = group.values(images).max(dim=-1)
        output[group.rows] = value.transpose(0, 1).to(output.dtype)
        for place, positions in ((argmax_y, group.y), (argmax_x, group.x)):
            every = positions.expand(group.shape).flatten(-2).expand(*chosen.shape, -1)
            at = every.gather(-1, chosen[..., None])[..., 0]
            place[group.rows] = at.transpose(0, 1).to(place.dtype)


def _spread_maxima(
    gradient: Tensor, rois: Tensor, places: tuple[Tensor, Tensor], grad_input: Tensor
) -> None:
    y, x = (at_least_float32(place).to(gradient.dtype) for place in places)
    summed = torch.zeros(grad_input.shape, dtype=gradient.dtype, device=gradient.device)
    image = rois[:, 0].long()[:, None, None, None].expand(y.shape)
    for cell, weight in corners(y, x, (grad_input.shape[2], grad_input.shape[3])):
        scatter(summed, image, cell, gradient * weight)
    grad_input.copy_(summed)
