"""Multi-scale deformable attention, https://arxiv.org/abs/2010.04159, in place of mmcv's operators.

mmcv's layer takes these on CUDA, and its own Python version elsewhere: DINO and Deformable DETR
need them on a GPU only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.ops.torch_ops.precision import at_least_float32


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Attention of shape (N, queries, heads * channels), in the dtype of ``value``.

    Args:
        value: Features of all levels, shape (N, keys, heads, channels).
        value_spatial_shapes: Height and width of each level, shape (levels, 2), int64.
        value_level_start_index: First key of each level; levels follow one another anyway.
        sampling_locations: x and y in 0..1, shape (N, queries, heads, levels, points, 2).
        attention_weights: Shape (N, queries, heads, levels, points).
        im2col_step: Images that a kernel takes at once; without meaning here.
    """
    given = (value, sampling_locations, attention_weights)
    result = _attention([at_least_float32(tensor) for tensor in given], value_spatial_shapes)
    return result.to(value.dtype)


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Fills the three gradients, each of the shape of what it is by."""
    given = (value, sampling_locations, attention_weights)
    leaves = [at_least_float32(tensor).detach().requires_grad_() for tensor in given]
    with torch.enable_grad():
        result = _attention(leaves, value_spatial_shapes)
    gradients = torch.autograd.grad(result, leaves, grad_output.to(result.dtype))
    for filled, gradient in zip(
        (grad_value, grad_sampling_loc, grad_attn_weight), gradients, strict=True
    ):
        filled.copy_(gradient)


def _attention(given: list[Tensor], shapes: Tensor) -> Tensor:
    """Attention of values, locations and weights."""
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    value, locations, weights = given
    # It takes each height and width out of the tensor: on a GPU every one would wait for it.
    result: Tensor = multi_scale_deformable_attn_pytorch(value, shapes.cpu(), locations, weights)

    return result
