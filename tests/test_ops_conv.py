"""Deformable and masked convolution and CARAFE, against loops over single cells in float64."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from test_ops import bilinear
from torch import Tensor
from torch.autograd import gradcheck

from benchmark import ops

ops.install()

import mmcv.ops  # noqa: E402
from mmcv.ops.deform_conv import deform_conv2d  # noqa: E402
from mmcv.ops.modulated_deform_conv import modulated_deform_conv2d  # noqa: E402

from benchmark.ops.torch_ops import deform_conv  # noqa: E402

pytestmark = pytest.mark.skipif(
    ops.origin() == "compiled", reason="mmcv's own operators are compiled here"
)
# Atomic additions on CUDA make the order of a sum, and its last bits, vary.
SUMS = 1e-9


def drawn(seed: int, device: str, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(device) for shape in shapes
    ]


def naive_deform_conv(
    images: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, moves: dict[str, int]
) -> Tensor:
    """https://arxiv.org/abs/1811.11168, equation 1; ``moves``: stride, padding, dilation, groups."""
    image, moved, kernel = (tensor.cpu().numpy() for tensor in (images, offset, weight))
    shares = np.ones(moved.shape) if mask is None else mask.cpu().numpy()
    count, channels = image.shape[:2]
    kernel_h, kernel_w = kernel.shape[2:]
    height, width = moved.shape[2:]
    offset_groups = moved.shape[1] // (2 * kernel_h * kernel_w)
    out = np.zeros((count, len(kernel), height, width))
    for n, o, y, x in product(*map(range, out.shape)):
        group = o // (len(kernel) // moves["groups"])
        for c, i, j in product(*map(range, kernel.shape[1:])):
            channel = group * kernel.shape[1] + c
            cell = (channel // (channels // offset_groups)) * kernel_h * kernel_w + i * kernel_w + j
            dy, dx = moved[n, 2 * cell, y, x], moved[n, 2 * cell + 1, y, x]
            at_y = y * moves["stride"] - moves["padding"] + i * moves["dilation"] + dy
            at_x = x * moves["stride"] - moves["padding"] + j * moves["dilation"] + dx
            value = zero_outside(image[n, channel], at_y, at_x)
            out[n, o, y, x] += kernel[o, c, i, j] * shares[n, cell, y, x] * value
    return torch.from_numpy(out)


def zero_outside(image: np.ndarray, y: float, x: float) -> float:
    """Bilinear, with zeros around the image: convolution's border, unlike RoI align's."""
    padded = np.pad(image, 2)[None]
    return bilinear(padded, y + 2, x + 2)[0] if y > -2 and x > -2 else 0.0


MOVES = [
    {"stride": 1, "padding": 1, "dilation": 1, "groups": 1},
    {"stride": 2, "padding": 2, "dilation": 2, "groups": 2},
]


@pytest.mark.parametrize("moves", MOVES, ids=["plain", "strided, dilated, grouped"])
def test_deformable_convolution_values_and_gradients(device: str, moves: dict[str, int]) -> None:
    size = (6 + 2 * moves["padding"] - 2 * moves["dilation"] - 1) // moves["stride"] + 1
    groups = moves["groups"]
    images, offset, weight = drawn(
        1, device, (2, 4, 6, 6), (2, groups * 18, size, size), (4, 4 // groups, 3, 3)
    )

    def convolved(images: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
        return deform_conv2d(images, offset, weight, *list(moves.values()), groups)

    expected = naive_deform_conv(images, offset, None, weight, moves)
    torch.testing.assert_close(convolved(images, offset, weight).cpu(), expected)
    leaves = [tensor.requires_grad_() for tensor in (images, offset, weight)]
    assert gradcheck(convolved, leaves, nondet_tol=SUMS, fast_mode=True)


@pytest.mark.parametrize("moves", MOVES, ids=["plain", "strided, dilated, grouped"])
def test_modulated_deformable_convolution_values_and_gradients(
    device: str, moves: dict[str, int]
) -> None:
    size = (5 + 2 * moves["padding"] - 2 * moves["dilation"] - 1) // moves["stride"] + 1
    groups = moves["groups"]
    cells = groups * 9
    images, offset, mask, weight, bias = drawn(
        2, device, (2, 4, 5, 5), (2, cells * 2, size, size), (2, cells, size, size),
        (4, 4 // groups, 3, 3), (4,),
    )  # fmt: skip

    def convolved(
        images: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        return modulated_deform_conv2d(
            images, offset, mask, weight, bias, *list(moves.values()), groups
        )

    expected = naive_deform_conv(images, offset, mask, weight, moves) + bias.cpu()[:, None, None]
    torch.testing.assert_close(convolved(images, offset, mask, weight, bias).cpu(), expected)
    leaves = [tensor.requires_grad_() for tensor in (images, offset, mask, weight, bias)]
    assert gradcheck(convolved, leaves, nondet_tol=SUMS, fast_mode=True)


def test_offsets_larger_than_the_output_are_read_in_its_strides(device: str) -> None:
    """DyHead's: mmcv's kernels go through an image's numbers as if they had the output's size."""
    images, offset, mask, weight = drawn(
        3, device, (2, 2, 8, 8), (2, 18, 8, 8), (2, 9, 8, 8), (3, 2, 3, 3)
    )
    read = [
        tensor.flatten(1)[:, : 16 * k].reshape(2, k, 4, 4)
        for tensor, k in ((offset, 18), (mask, 9))
    ]

    def convolved(images: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        return modulated_deform_conv2d(images, offset, mask, weight, None, 2, 1)

    whole, part = (
        [tensor.detach().requires_grad_() for tensor in given] for given in ((offset, mask), read)
    )
    ours, expected = convolved(images, *whole), convolved(images, *part)
    torch.testing.assert_close(ours, expected)
    (ours.square().sum() + expected.square().sum()).backward()
    for given, taken in zip(whole, part, strict=True):
        assert given.grad is not None
        assert taken.grad is not None
        count = taken[0].numel()
        torch.testing.assert_close(given.grad.flatten(1)[:, :count], taken.grad.flatten(1))
        assert taken.grad.any()
        assert not given.grad.flatten(1)[:, count:].any()
    with pytest.raises(ValueError, match=r"\(3, 3\) are smaller than the output, \(4, 4\)"):
        convolved(images, offset[..., :3, :3], mask)


def test_dyhead_runs_with_its_larger_offsets(device: str) -> None:
    from mmdet.models.necks.dyhead import DyHead

    neck = DyHead(16, 16, num_blocks=1, zero_init_offset=False).to(device)
    levels = [torch.randn(1, 16, side, side, device=device) for side in (8, 4, 2)]
    sum(level.square().sum() for level in neck(levels)).backward()
    gradient = neck.dyhead_blocks[0].spatial_conv_offset.weight.grad
    assert gradient.isfinite().all()
    assert gradient.any()


def test_a_gradient_is_taken_from_torchvision_once(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    whole = deform_conv._gradients

    def counted(*given: object) -> list[Tensor]:
        asked.append(1)
        return whole(*given)

    monkeypatch.setattr(deform_conv, "_gradients", counted)
    images, offset, weight = (
        tensor.requires_grad_()
        for tensor in drawn(4, device, (1, 2, 5, 5), (1, 18, 5, 5), (2, 2, 3, 3))
    )
    out = deform_conv2d(images, offset, weight, 1, 1)
    (by_weight,) = torch.autograd.grad(out.sum(), weight, retain_graph=True)
    together = torch.autograd.grad(out.sum(), (images, offset, weight), retain_graph=True)
    assert len(asked) == 2
    torch.testing.assert_close(together[2], by_weight)
    # Weights of one gradient are never given out for another.
    torch.autograd.grad(out.sum(), images, retain_graph=True)
    (twice,) = torch.autograd.grad(2 * out.sum(), weight)
    torch.testing.assert_close(twice, 2 * by_weight)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize(
    "layer", [mmcv.ops.DeformConv2dPack, mmcv.ops.ModulatedDeformConv2dPack, mmcv.ops.CARAFEPack],
    ids=["DCN", "DCNv2", "CARAFE"],
)  # fmt: skip
def test_layers_train_under_autocast_and_on_strange_layouts(
    device: str, layer: type[torch.nn.Module], dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    built = layer(8, 2) if layer is mmcv.ops.CARAFEPack else layer(8, 8, 3, padding=1)
    built = built.to(device)
    images = torch.randn(3, 5, 6, 8, device=device).permute(0, 3, 1, 2).requires_grad_()
    exact = built(images.contiguous())
    with torch.autocast(device, dtype=dtype):
        out = built(images)
    torch.testing.assert_close(out.float(), exact, rtol=0.05, atol=0.05)
    # As a permuted gradient: what a head that flattens its input hands back.
    out.permute(0, 2, 3, 1).float().square().mean().backward()
    assert images.grad is not None
    for gradient in (images.grad, *(weight.grad for weight in built.parameters())):
        assert gradient is not None
        assert gradient.isfinite().all()
    assert images.grad.any()


@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (1, 0), (3, 0)], ids=str)
def test_masked_convolution_is_convolution_where_the_mask_is(
    device: str, kernel: int, padding: int
) -> None:
    torch.manual_seed(1)
    layer = mmcv.ops.MaskedConv2d(3, 5, kernel, padding=padding).to(device)
    images = torch.randn(1, 7, 6, 3, device=device).permute(0, 3, 1, 2)
    everywhere = layer(images)
    mask = torch.rand(1, 7, 6, device=device) > 0.6
    # Where there is no padding, the last cells have no output.
    mask[:, everywhere.shape[2] :], mask[:, :, everywhere.shape[3] :] = False, False
    with torch.no_grad():
        masked = layer(images, mask)
        seen = mask[:, None, : everywhere.shape[2], : everywhere.shape[3]]
        torch.testing.assert_close(masked, everywhere * seen)
        assert masked.any()
        assert not layer(images, torch.zeros_like(mask)).any()
        with torch.autocast(device, dtype=torch.bfloat16):
            torch.testing.assert_close(layer(images, mask), masked, rtol=0.05, atol=0.05)


def naive_carafe(features: Tensor, masks: Tensor, kernel: int, groups: int, factor: int) -> Tensor:
    """mmcv's loop: each cell of the output is a sum over the cells around where it came from."""
    count, channels, height, width = features.shape
    given, shares = features.cpu().numpy(), masks.cpu().numpy()
    out = np.zeros((count, channels, height * factor, width * factor))
    for n, c, y, x in product(*map(range, out.shape)):
        first = (c // (channels // groups)) * kernel**2
        for i, j in product(range(kernel), repeat=2):
            at_y, at_x = y // factor + i - kernel // 2, x // factor + j - kernel // 2
            if 0 <= at_y < height and 0 <= at_x < width:
                out[n, c, y, x] += given[n, c, at_y, at_x] * shares[n, first + i * kernel + j, y, x]
    return torch.from_numpy(out)


@pytest.mark.parametrize(("groups", "factor"), [(1, 2), (2, 3)], ids=str)
def test_carafe_values_and_gradients(device: str, groups: int, factor: int) -> None:
    height, width = 3, 2
    features, masks = drawn(
        5, device, (2, 4, height, width), (2, groups * 9, height * factor, width * factor)
    )

    def enlarged(features: Tensor, masks: Tensor) -> Tensor:
        return mmcv.ops.carafe(features, masks, 3, groups, factor)

    expected = naive_carafe(features, masks, 3, groups, factor)
    torch.testing.assert_close(enlarged(features, masks).cpu(), expected)
    leaves = [features.requires_grad_(), masks.requires_grad_()]
    assert gradcheck(enlarged, leaves, fast_mode=True)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e30], ids=str)
def test_offsets_that_lead_nowhere_read_nothing(device: str, wrong: float) -> None:
    """As those of a network that has diverged: as in mmcv they are beyond the border; torchvision crashes at a NaN."""
    images, weight, mask = drawn(6, device, (1, 2, 4, 4), (2, 2, 3, 3), (1, 9, 4, 4))
    leaves = [images.requires_grad_(), images.new_full((1, 18, 4, 4), wrong).requires_grad_()]
    plain = deform_conv2d(*leaves, weight, 1, 1)
    modulated = modulated_deform_conv2d(*leaves, mask, weight, None, 1, 1)
    (plain + modulated).sum().backward()
    assert not plain.any() and not modulated.any() and not images.grad.any()
