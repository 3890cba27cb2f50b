"""Convolution at some cells of one image only, in place of mmcv's compiled operators.

``h_idx`` and ``w_idx`` are the rows and columns of the N cells, shape (N,), int64. As in mmcv there
is no gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def masked_im2col_forward(
    images: Tensor,
    h_idx: Tensor,
    w_idx: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Fills ``columns``, shape (C * kernel_h * kernel_w, N), with what the kernel sees at a cell.

    ``images`` is (1, C, H, W); beyond its border is 0.
    """
    padded = pad(images, (pad_w, kernel_w - 1, pad_h, kernel_h - 1))[0]
    y = h_idx + torch.arange(kernel_h, device=images.device)[:, None, None]
    x = w_idx + torch.arange(kernel_w, device=images.device)[:, None]
    columns.copy_(padded[:, y, x].reshape(columns.shape))


def masked_col2im_forward(
    columns: Tensor,
    h_idx: Tensor,
    w_idx: Tensor,
    images: Tensor,
    height: int,
    width: int,
    channels: int,
) -> None:
    """Writes ``columns``, shape (C, N), to the cells of ``images``, shape (1, C, height, width)."""
    images[0, :, h_idx, w_idx] = columns.to(images.dtype)
