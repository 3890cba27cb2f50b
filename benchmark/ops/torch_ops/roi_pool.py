"""RoI pooling, https://arxiv.org/abs/1504.08083, in place of mmcv's compiled operators.

torchvision's operator of that name rounds corners to whole cells, mmcv's rounds the bins: other
numbers, so it can not stand in. ``rois`` is (image index, x1, y1, x2, y2), shape (R, 5), in pixels
that ``spatial_scale`` brings to cells; the last pixel belongs to a region.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.ops.torch_ops.precision import at_least_float32, finite
from benchmark.ops.torch_ops.sampling import scatter

# Cells that are looked at at once; 64 MB in float32.
_CHUNK_ELEMENTS = 1 << 24


def roi_pool_forward(
    images: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Fills ``output``, shape (R, C, height, width), from ``images``, shape (N, C, H, W).

    ``argmax``, int32, receives the cell of each maximum in a flat map, the first of equal ones, or
    -1 where a bin has no cell; the output is 0 there.
    """
    images, rois = at_least_float32(images), finite(rois)
    height, width = images.shape[2:]
    y = _edges(rois[:, 2] * spatial_scale, (rois[:, 4] + 1) * spatial_scale, pooled_height, height)
    x = _edges(rois[:, 1] * spatial_scale, (rois[:, 3] + 1) * spatial_scale, pooled_width, width)
    for rows in torch.split(torch.arange(len(rois), device=rois.device), _rows_at_once(images)):
        maps = images[rois[rows, 0].long()]
        values, columns = _maxima(maps, x[rows], dim=3)
        values, lines = _maxima(values, y[rows], dim=2)
        found = values > -torch.inf
        output[rows] = values.where(found, 0.0).to(output.dtype)
        cell = lines * width + columns.gather(2, lines)
        argmax[rows] = cell.where(found, -1).to(argmax.dtype)


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Fills ``grad_input``, shape (N, C, H, W), from the gradient of what the forward filled."""
    gradient = at_least_float32(grad_output)
    sums = torch.zeros(grad_input.shape, dtype=gradient.dtype, device=gradient.device)
    image = rois[:, 0].long()[:, None, None, None].expand(argmax.shape)
    scatter(sums, image, argmax.long().clamp(min=0), gradient * (argmax >= 0))
    grad_input.copy_(sums)


def _rows_at_once(images: Tensor) -> int:
    return max(1, _CHUNK_ELEMENTS // max(1, images[:1].numel()))


def _edges(start: Tensor, end: Tensor, bins: int, cells: int) -> Tensor:
    """First cell, and first cell after, of each bin along one axis, shape (R, bins, 2), int64.

    A region that ends before it starts has no cells, in mmcv along both axes: either empties it.
    """
    size, number = (
        (end - start)[:, None],
        torch.arange(bins, device=start.device, dtype=start.dtype),
    )
    step = size / bins
    first = (number * step + start[:, None]).floor()
    last = ((number + 1) * step + start[:, None]).ceil()
    last = last.where(size > 0, first)
    return torch.stack([first, last], dim=-1).clamp(0, cells).long()


def _maxima(maps: Tensor, edges: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Maxima over the cells of each bin along ``dim``, and the first cell that has it.

    Args:
        maps: Shape (r, C, H, W).
        edges: Shape (r, bins, 2).
        dim: 2 or 3; its length becomes the number of bins.
    """
    first, last = edges[..., :1], edges[..., 1:]
    widest = max(1, int((last - first).max()) if edges.numel() else 1)
    cells = first + torch.arange(widest, device=maps.device)
    outside = (cells >= last).flatten(1)
    cells = cells.clamp(max=maps.shape[dim] - 1).flatten(1)
    # (r, bins * widest) along `dim`, 1 elsewhere.
    spread = [len(maps), 1, 1, 1]
    spread[dim] = cells.shape[1]
    shape = list(maps.shape)
    shape[dim] = cells.shape[1]
    taken = maps.gather(dim, cells.view(spread).expand(shape))
    taken = taken.masked_fill(outside.view(spread), -torch.inf)
    values, chosen = torch.unflatten(taken, dim, (-1, widest)).max(dim=dim + 1)
    spread[dim] = edges.shape[1]
    return values, chosen + first.view(spread).clamp(max=maps.shape[dim] - 1)
