"""Deformable convolution, in place of mmcv's compiled operators.

Sources: https://arxiv.org/abs/1703.06211 and, modulated, https://arxiv.org/abs/1811.11168.
Images are (N, C, H, W), weights (O, C / groups, kernel height, kernel width), offsets
(N, deformable groups * kernel cells * 2, output height, output width) as y, x in cells, masks the
same with one number a cell, outputs (N, O, output height, output width). mmcv's scratch tensors
(``columns``, ``ones``) are not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
import torchvision.ops
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from benchmark.ops.torch_ops.precision import at_least_float32

# mmcv asks for the gradients of images and offsets, and then for that of the weights.
# torchvision computes all in one go, which is most of the time of such a layer: the last is kept
# for the second question, which comes with the very same gradient of the output.
_weight_gradients = WeakTensorKeyDictionary()


@dataclass(frozen=True)
class _Geometry:
    """How the kernel moves, each as (y, x), and into how many groups channels are divided."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    offset_groups: int


def _plain(settings: Mapping[str, int]) -> _Geometry:
    stride, padding = (settings["dH"], settings["dW"]), (settings["padH"], settings["padW"])
    dilation = (settings["dilationH"], settings["dilationW"])
    return _Geometry(stride, padding, dilation, settings["group"], settings["deformable_group"])


def _modulated(settings: Mapping[str, int]) -> _Geometry:
    stride, padding, dilation = (
        (settings[f"{name}_h"], settings[f"{name}_w"]) for name in ("stride", "pad", "dilation")
    )
    return _Geometry(stride, padding, dilation, settings["group"], settings["deformable_group"])


def deform_conv_forward(
    images: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **settings: int,
) -> None:
    """Fills ``output``. ``settings`` are ``dH``, ``dW`` (strides), ``padH``, ``dilationH``, ...

    Raises:
        RuntimeError: The offsets are not of the output's size.
    """
    output.copy_(_convolved(_Inputs.of(images, weight, offset), _plain(settings)))


def deform_conv_backward_input(
    images: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **settings: int,
) -> None:
    """Fills ``grad_input`` and ``grad_offset`` from the gradient of the output."""
    inputs = _Inputs.of(images, weight, offset)
    by_images, by_weight, by_offset, *_ = _gradients(grad_output, inputs, _plain(settings))
    grad_input.copy_(by_images)
    grad_offset.copy_(by_offset)
    _weight_gradients[grad_output] = by_weight


def deform_conv_backward_parameters(
    images: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **settings: int,
) -> None:
    """Adds ``scale`` times the gradient by the weights to ``grad_weight``."""
    gradient = _weight_gradients.pop(grad_output, None)  # type: ignore[no-untyped-call]
    if gradient is None:
        # The gradient by the weights does not depend on them.
        inputs = _Inputs.of(images, torch.zeros_like(grad_weight), offset)
        gradient = _gradients(grad_output, inputs, _plain(settings))[1]
    grad_weight.add_(gradient.to(grad_weight.dtype), alpha=scale)


def modulated_deform_conv_forward(
    images: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    **settings: int,
) -> None:
    """Fills ``output``. ``settings`` are ``stride_h``, ``pad_h``, ``dilation_h``, ``group``, ...

    Offsets and masks larger than the output are read as mmcv's kernels do, see `_as_read`.

    Raises:
        ValueError: Offsets or masks are smaller than the output.
    """
    offset, mask = (_as_read(tensor, output) for tensor in (offset, mask))
    inputs = _Inputs.of(images, weight, offset, mask)
    convolved = _convolved(inputs, _modulated(settings))
    if settings["with_bias"]:
        convolved = convolved + at_least_float32(bias)[:, None, None]
    output.copy_(convolved)


def modulated_deform_conv_backward(
    images: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    **settings: int,
) -> None:
    """Fills the five gradients; those by offsets and masks that were not read stay as they are."""
    read = [_as_read(tensor, grad_output) for tensor in (offset, mask)]
    inputs = _Inputs.of(images, weight, *read)
    gradients = _gradients(grad_output, inputs, _modulated(settings))
    grad_input.copy_(gradients[0])
    grad_weight.copy_(gradients[1])
    for whole, part in ((grad_offset, gradients[2]), (grad_mask, gradients[3])):
        whole.flatten(1)[:, : part[:1].numel()].copy_(part.flatten(1))
    if settings["with_bias"]:
        grad_bias.copy_(at_least_float32(grad_output).sum((0, 2, 3)))


@dataclass(frozen=True)
class _Inputs:
    images: Tensor
    weight: Tensor
    offset: Tensor
    mask: Tensor | None

    @classmethod
    def of(
        cls, images: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None = None
    ) -> _Inputs:
        """In float32 at least, and without gaps; an offset that is no number leads beyond the border, as in mmcv.

        torchvision would read memory that is not the image's there: a training that has diverged would crash.
        """
        given = [at_least_float32(tensor).contiguous() for tensor in (images, weight, offset)]
        given[2] = torch.nan_to_num(given[2], nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
        read = None if mask is None else at_least_float32(mask).contiguous()
        return cls(given[0], given[1], given[2], read)


def _convolved(inputs: _Inputs, geometry: _Geometry) -> Tensor:
    images, weight, offset, mask = inputs.images, inputs.weight, inputs.offset, inputs.mask
    moves = (geometry.stride, geometry.padding, geometry.dilation)
    return cast(Tensor, torchvision.ops.deform_conv2d(images, offset, weight, None, *moves, mask))


def _gradients(grad_output: Tensor, inputs: _Inputs, geometry: _Geometry) -> list[Tensor]:
    """By images, weights, offsets, masks and bias (which has its value of a bias of 0)."""
    images, weight, offset, mask = inputs.images, inputs.weight, inputs.offset, inputs.mask
    moves = (*geometry.stride, *geometry.padding, *geometry.dilation)
    groups = (geometry.groups, geometry.offset_groups)
    gradients = torch.ops.torchvision._deform_conv2d_backward(
        at_least_float32(grad_output).contiguous(),
        images,
        weight,
        offset,
        images.new_zeros(len(images), 1) if mask is None else mask,
        images.new_zeros(len(weight)),
        *moves,
        *groups,
        mask is not None,
    )
    return cast(list[Tensor], list(gradients))


def _as_read(tensor: Tensor, output: Tensor) -> Tensor:
    """Offsets or masks, (N, K, h, w), as mmcv's kernels read them: (N, K, output's h and w).

    The kernels go through an image's numbers with the output's strides, whatever size the tensor
    has. mmdet's DyHead hands over larger ones, of the level below, and its published weights were
    trained with numbers that are read so.
    """
    size, channels = output.shape[2:], tensor.shape[1]
    if tensor.shape[2:] == size:
        return tensor
    read = channels * size.numel()
    if tensor.shape[2:].numel() < size.numel():
        raise ValueError(
            f"modulated deformable convolution: offsets or masks of {tuple(tensor.shape[2:])} are "
            f"smaller than the output, {tuple(size)}"
        )
    return torch.unflatten(tensor.flatten(1)[:, :read], 1, (channels, *size))
