"""What pools regions, against loops over single cells in float64, and attention."""

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
from mmcv.ops.deform_roi_pool import deform_roi_pool  # noqa: E402
from mmcv.ops.multi_scale_deform_attn import (  # noqa: E402
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)

from benchmark.ops.torch_ops import roi_pool, sampling  # noqa: E402

pytestmark = pytest.mark.skipif(
    ops.origin() == "compiled", reason="mmcv's own operators are compiled here"
)
# Atomic additions on CUDA make the order of a sum, and its last bits, vary.
SUMS = 1e-9


@pytest.fixture(params=[1, 1 << 24], ids=["one region at a time", "all at once"])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_CHUNK_ELEMENTS", request.param)
    monkeypatch.setattr(roi_pool, "_CHUNK_ELEMENTS", request.param)


@pytest.fixture
def drawn(device: str, at_once: None) -> tuple[Tensor, Tensor]:
    """Two images and five regions that reach beyond them, one of them empty; float64."""
    random = np.random.default_rng(0)
    corner, sides = random.uniform(-3, 13, (5, 2)), random.uniform(0.5, 14, (5, 2))
    sides[4] = -2
    rois = np.concatenate([random.integers(0, 2, (5, 1)), corner, corner + sides], axis=1)
    images = random.normal(size=(2, 3, 9, 8))
    return torch.from_numpy(images).to(device), torch.from_numpy(rois).to(device)


def naive_samples(
    image: np.ndarray, box: np.ndarray, shift: np.ndarray, place: tuple[int, int], samples: int
) -> list[np.ndarray]:
    """Samples in the bin at ``place`` of 3 x 3 of one region (x1, y1, x2, y2), moved by (x, y)."""
    (x1, y1, x2, y2), (i, j) = box, place
    counts = [samples or int(np.ceil(side / 3)) for side in (y2 - y1, x2 - x1)]
    return [
        bilinear(
            image,
            y1 + shift[1] + (y2 - y1) * (i + (a + 0.5) / counts[0]) / 3,
            x1 + shift[0] + (x2 - x1) * (j + (b + 0.5) / counts[1]) / 3,
        )
        for a, b in product(*(range(max(count, 0)) for count in counts))
    ]


@pytest.mark.parametrize("samples", [0, 2])
def test_roi_align_by_maximum(drawn: tuple[Tensor, Tensor], samples: int) -> None:
    images, rois = drawn
    arrays = images.cpu().numpy(), rois.cpu().numpy()
    expected = np.zeros((5, 3, 3, 3))
    for r, i, j in product(range(5), range(3), range(3)):
        image = arrays[0][int(arrays[1][r, 0])]
        found = naive_samples(image, arrays[1][r, 1:] * 0.5 - 0.5, np.zeros(2), (i, j), samples)
        expected[r, :, i, j] = np.max(found, axis=0) if found else 0

    def pooled(images: Tensor) -> Tensor:
        return mmcv.ops.roi_align(images, rois, (3, 3), 0.5, samples, "max", True)

    torch.testing.assert_close(pooled(images).cpu(), torch.from_numpy(expected))
    assert gradcheck(pooled, images.requires_grad_(), nondet_tol=SUMS, fast_mode=True)


@pytest.mark.parametrize("samples", [0, 2])
def test_deformable_roi_pool(drawn: tuple[Tensor, Tensor], device: str, samples: int) -> None:
    images, rois = drawn
    generator = torch.Generator().manual_seed(0)
    offset = torch.randn(5, 2, 3, 3, generator=generator, dtype=torch.float64).to(device)
    arrays = [tensor.cpu().numpy() for tensor in (images, rois, offset)]
    for moved in (True, False):
        expected = np.zeros((5, 3, 3, 3))
        for r, i, j in product(range(5), range(3), range(3)):
            box = arrays[1][r, 1:] * 0.5 - 0.5
            shift = arrays[2][r, :, i, j] * moved * 0.1 * (box[2:] - box[:2])
            found = naive_samples(arrays[0][int(arrays[1][r, 0])], box, shift, (i, j), samples)
            expected[r, :, i, j] = np.mean(found, axis=0) if found else 0
        out = deform_roi_pool(images, rois, offset if moved else None, (3, 3), 0.5, samples, 0.1)
        torch.testing.assert_close(out.cpu(), torch.from_numpy(expected))

    def pooled(images: Tensor, offset: Tensor | None) -> Tensor:
        return deform_roi_pool(images, rois, offset, (3, 3), 0.5, samples, 0.1)

    leaves = [images.requires_grad_(), offset.requires_grad_()]
    assert gradcheck(pooled, leaves, nondet_tol=SUMS, fast_mode=True)
    assert gradcheck(lambda x: pooled(x, None), leaves[:1], nondet_tol=SUMS, fast_mode=True)


def naive_roi_pool(images: np.ndarray, rois: np.ndarray, scale: float) -> np.ndarray:
    """The loop of mmcv's kernel, which rounds bins and not corners as torchvision's does."""
    out = np.zeros((len(rois), images.shape[1], 3, 3))
    for r, i, j in product(range(len(rois)), range(3), range(3)):
        image, *box = rois[r]
        x1, y1, x2, y2 = np.array(box) * scale + [0, 0, scale, scale]
        if x2 <= x1 or y2 <= y1:
            continue
        rows, columns = (
            [
                np.floor(start + place * (end - start) / 3),
                np.ceil(start + (place + 1) * (end - start) / 3),
            ]
            for start, end, place in ((y1, y2, i), (x1, x2, j))
        )
        top, bottom = np.clip(rows, 0, images.shape[2]).astype(int)
        left, right = np.clip(columns, 0, images.shape[3]).astype(int)
        cells = images[int(image), :, top:bottom, left:right].reshape(images.shape[1], -1)
        out[r, :, i, j] = cells.max(axis=1) if cells.size else 0
    return out


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_roi_pool(drawn: tuple[Tensor, Tensor], scale: float) -> None:
    images, rois = drawn

    def pooled(images: Tensor) -> Tensor:
        return mmcv.ops.roi_pool(images, rois, (3, 3), scale)

    expected = naive_roi_pool(images.cpu().numpy(), rois.cpu().numpy(), scale)
    torch.testing.assert_close(pooled(images).cpu(), torch.from_numpy(expected))
    assert not expected[4].any()
    assert gradcheck(pooled, images.requires_grad_(), nondet_tol=SUMS, fast_mode=True)


def test_roi_pool_takes_the_first_of_equal_cells(device: str) -> None:
    images = torch.zeros(1, 1, 4, 4, device=device)
    images[0, 0, 1, 3] = images[0, 0, 2, 1] = 1
    images.requires_grad_()
    rois = torch.tensor([[0.0, 0, 0, 3, 3]], device=device)
    mmcv.ops.roi_pool(images, rois, 1).sum().backward()
    assert images.grad is not None
    assert images.grad[0, 0].nonzero().tolist() == [[1, 3]]


POOLS = {
    "RoI align": lambda images, rois: mmcv.ops.roi_align(images, rois, 3, 0.5, 0, "avg", True),
    "by maximum": lambda images, rois: mmcv.ops.roi_align(images, rois, 3, 0.5, 0, "max", True),
    "RoI pool": lambda images, rois: mmcv.ops.roi_pool(images, rois, 3, 0.5),
    "deformable": lambda images, rois: deform_roi_pool(
        images, rois, images.new_full((len(rois), 2, 3, 3), 0.5), 3, 0.5
    ),
}


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_no_regions_half_precision_and_strange_layouts(drawn: tuple[Tensor, Tensor], pool) -> None:  # type: ignore[no-untyped-def]
    images, rois = drawn
    none = images.clone().requires_grad_()
    empty = pool(none, rois[:0])
    assert empty.shape == (0, 3, 3, 3)
    empty.sum().backward()
    assert none.grad is not None
    assert not none.grad.any()
    # Whole numbers, so that half precision has the same regions.
    rois, exact = rois[:4].round(), images.half().double().requires_grad_()
    expected = pool(exact, rois)
    expected.permute(0, 2, 3, 1).square().sum().backward()
    layout = exact.detach().permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    given = layout.half().requires_grad_()
    out = pool(given, rois.half())
    assert out.dtype == torch.half
    torch.testing.assert_close(out.double(), expected, rtol=0.01, atol=0.01)
    out.permute(0, 2, 3, 1).square().sum().backward()
    assert given.grad is not None
    assert exact.grad is not None
    torch.testing.assert_close(given.grad.double(), exact.grad, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("corner", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("samples", [0, 2])
def test_regions_that_are_no_numbers_read_nothing_of_other_memory(
    device: str, corner: float, samples: int
) -> None:
    """As a network that has diverged asks for: torchvision's kernels died of signal 11."""
    rois = torch.tensor([[0, 1, 1, corner, 5], [0, corner, corner, corner, corner]], device=device)
    images = torch.rand(1, 3, 8, 8, device=device, requires_grad=True)
    offset = torch.full((2, 2, 3, 3), corner, device=device)
    pooled = [
        mmcv.ops.roi_align(images, rois, 3, 1.0, samples, "avg", True),
        mmcv.ops.roi_align(images, rois, 3, 1.0, samples, "max", True),
        mmcv.ops.roi_pool(images, rois, 3, 1.0),
        deform_roi_pool(images, rois, offset, 3, 1.0, samples),
    ]
    sum(out.sum() for out in pooled).backward()
    assert all(out.isfinite().all() and out.max() <= 1 for out in pooled)
    assert images.grad is not None and images.grad.isfinite().all()


def attention_inputs(device: str, queries: int = 5) -> tuple[Tensor, ...]:
    """Values of two images and two levels, their shapes and starts, locations and weights."""
    generator = torch.Generator().manual_seed(0)
    shapes = torch.tensor([[4, 3], [2, 2]])
    value = torch.randn(2, 16, 2, 4, generator=generator, dtype=torch.float64)
    # A few lie beyond the border.
    locations = torch.rand(2, queries, 2, 2, 3, 2, generator=generator, dtype=torch.float64) * 1.2
    weights = torch.rand(2, queries, 2, 2, 3, generator=generator, dtype=torch.float64)
    given = (value, shapes, torch.tensor([0, 12]), locations - 0.1, weights)
    return tuple(tensor.to(device) for tensor in given)


def test_multi_scale_deformable_attention(device: str) -> None:
    """mmcv's layer calls the operator on CUDA only: here it is called on every device."""
    value, shapes, starts, locations, weights = attention_inputs(device)

    def attended(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return MultiScaleDeformableAttnFunction.apply(value, shapes, starts, locations, weights, 64)

    leaves = [tensor.requires_grad_() for tensor in (value, locations, weights)]
    expected = multi_scale_deformable_attn_pytorch(value, shapes.cpu(), locations, weights)
    torch.testing.assert_close(attended(*leaves), expected)
    assert gradcheck(attended, leaves, nondet_tol=SUMS, fast_mode=True)
    value, *_ = attention_inputs(device, 0)
    nothing = MultiScaleDeformableAttnFunction.apply(*attention_inputs(device, 0), 64)
    assert nothing.shape == (2, 0, 8)
    half = MultiScaleDeformableAttnFunction.apply(
        value.half(), shapes, starts, locations, weights, 64
    )
    assert half.dtype == torch.half
    torch.testing.assert_close(half.double(), expected, rtol=0.01, atol=0.02)


def test_the_attention_layer_trains(device: str) -> None:
    """On CUDA, also under autocast, this is the operator; elsewhere mmcv's Python version."""
    torch.manual_seed(0)
    layer = mmcv.ops.MultiScaleDeformableAttention(16, 2, 2, 2, dropout=0.0, batch_first=True)
    layer = layer.to(device)
    torch.nn.init.normal_(layer.sampling_offsets.weight, std=0.1)
    shapes, starts = (t.to(device) for t in (torch.tensor([[4, 3], [2, 2]]), torch.tensor([0, 12])))
    query, value = torch.randn(2, 5, 16, device=device), torch.randn(2, 16, 16, device=device)
    points = torch.rand(2, 5, 2, 2, device=device)
    given = {"spatial_shapes": shapes, "level_start_index": starts, "reference_points": points}
    exact = layer(query, value=value, **given)
    with torch.autocast(device, dtype=torch.float16):
        out = layer(query, value=value, **given)
    torch.testing.assert_close(out.float(), exact, rtol=0.05, atol=0.05)
    out.float().square().mean().backward()
    for gradient in (weight.grad for weight in layer.parameters()):
        assert gradient is not None
        assert gradient.isfinite().all()
        assert gradient.any()
