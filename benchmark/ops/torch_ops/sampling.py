"""Bins of regions and bilinear samples in them: what RoI align and deformable RoI pooling share.

Positions are in cells of a feature map, whose first has its centre at 0. A sample more than one
cell outside the map is 0, one nearer to it has the value of the border, as in mmcv.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

# Samples that are taken at once; 64 MB in float32.
_CHUNK_ELEMENTS = 1 << 24


@dataclass(frozen=True)
class Bins:
    """How a region is divided: ``height`` x ``width`` bins with ``samples`` a side (0: one a cell).

    ``shift`` is taken off the scaled corners; ``at_least_one`` makes regions a cell wide at least.
    """

    height: int
    width: int
    scale: float
    samples: int
    shift: float
    at_least_one: bool

    def regions(self, rois: Tensor) -> tuple[Tensor, Tensor]:
        """Upper left corners and sizes of regions in cells, both (R, 2), as (y, x)."""
        scaled = rois[:, 1:] * self.scale - self.shift
        start, end = scaled[:, [1, 0]], scaled[:, [3, 2]]
        size = end - start
        return start, size.clamp(min=1) if self.at_least_one else size

    def samples_a_side(self, size: Tensor) -> Tensor:
        """Samples a bin has along y and x, shape (R, 2), int64."""
        if self.samples > 0:
            return torch.full_like(size, self.samples, dtype=torch.long)
        return (size / size.new_tensor([self.height, self.width])).ceil().long().clamp(min=0)


@dataclass(frozen=True)
class Samples:
    """Positions of samples in regions of one image: ``shape`` is (r, height, width, gy, gx).

    ``rows`` are their places among all regions, shape (r,); ``y`` and ``x`` are given in shapes
    that broadcast to ``shape``.
    """

    image: int
    rows: Tensor
    y: Tensor
    x: Tensor
    shape: tuple[int, ...]

    def values(self, images: Tensor) -> Tensor:
        """Samples of ``images``, (N, C, H, W), in shape (C, r, height, width, gy * gx)."""
        sampled = bilinear(images[self.image], self.y.expand(self.shape), self.x.expand(self.shape))
        return sampled.flatten(-2)


def sampled_groups(
    images: Tensor, rois: Tensor, bins: Bins, offset: Tensor | None = None
) -> Iterator[Samples]:
    """Regions with samples, a few of one image and one number of samples at a time.

    Args:
        images: Shape (N, C, H, W).
        rois: Shape (R, 5).
        bins: How they are divided.
        offset: Each bin's own shift along y and x, in cells, shape (R, 2, height, width).
    """
    start, size = bins.regions(rois)
    keys = torch.cat([rois[:, :1].long(), bins.samples_a_side(size)], dim=1)
    kinds, kind_of = torch.unique(keys, dim=0, return_inverse=True)
    for kind, (image, *grid) in enumerate(kinds.tolist()):
        if not grid[0] * grid[1]:
            continue
        shape = (bins.height, bins.width, *grid)
        each = images.shape[1] * int(torch.Size(shape).numel())
        for rows in (kind_of == kind).nonzero()[:, 0].split(max(1, _CHUNK_ELEMENTS // each)):
            own = None if offset is None else offset[rows]
            y, x = _positions(start[rows], size[rows], shape, own)
            yield Samples(image, rows, y, x, (len(rows), *shape))


def _positions(
    start: Tensor, size: Tensor, shape: tuple[int, ...], offset: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Where every sample is, y and x, in shapes that broadcast to (r, height, width, gy, gx)."""
    height, width, *grid = shape
    along_y = _along(start[:, 0], size[:, 0], height, grid[0])[:, :, None, :, None]
    along_x = _along(start[:, 1], size[:, 1], width, grid[1])[:, None, :, None, :]
    if offset is None:
        return along_y, along_x
    return along_y + offset[:, 0, :, :, None, None], along_x + offset[:, 1, :, :, None, None]


def _along(start: Tensor, size: Tensor, bins: int, samples: int) -> Tensor:
    """Positions along one axis, shape (r, bins, samples)."""
    step = (size / bins)[:, None, None]
    bin_number = torch.arange(bins, device=size.device, dtype=size.dtype)[:, None]
    within = (torch.arange(samples, device=size.device, dtype=size.dtype) + 0.5) / samples
    return start[:, None, None] + (bin_number + within) * step


def bilinear(image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Samples of ``image``, (C, H, W), at ``y`` and ``x``, both of one shape: (C, *that shape)."""
    height, width = image.shape[1:]
    # grid_sample wants positions in -1..1 from edge to edge, and a picture of them.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    flat = grid.reshape(1, 1, -1, 2).to(image.dtype)
    sampled = grid_sample(image[None], flat, padding_mode="border", align_corners=False)
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    return sampled.view(-1, *y.shape) * inside


def corners(y: Tensor, x: Tensor, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
    """The four cells around each position, as indices into a flat map, and the weight of each.

    The weight is 0 for positions more than one cell outside the map.
    """
    height, width = size
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = y.floor(), x.floor()
    for row, by_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, by_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            cell = row.clamp(max=height - 1) * width + column.clamp(max=width - 1)
            yield cell.long(), by_y * by_x * inside


def scatter(sums: Tensor, image: Tensor, cell: Tensor, values: Tensor) -> None:
    """Adds ``values``, shape (R, C, ...), to ``sums``, shape (N, C, H, W), contiguous.

    Args:
        sums: What is added to.
        image: Index of the image of each value, of the shape of ``values``.
        cell: Index of its cell in the flat map, of the same shape.
        values: What is added.
    """
    channels, cells = sums.shape[1], sums.shape[2] * sums.shape[3]
    channel = torch.arange(channels, device=sums.device).view(1, -1, *[1] * (values.dim() - 2))
    index = (image * channels + channel) * cells + cell
    sums.view(-1).index_add_(0, index.flatten(), values.flatten().to(sums.dtype))
