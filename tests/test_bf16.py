"""What a step in bfloat16 computes in float32: boxes, losses and regions of a detector, and small maps on a CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

import benchmark.ops  # noqa: F401  # stands in for mmcv's compiled operators
from benchmark.job.amp import on_this_device
from benchmark.job.float32 import predictions_in_float32

# In bfloat16 this is 516 or 520: numbers are 4 apart from 512 on.
FAR = 517.0


def _wrapper(model: nn.Module) -> Any:
    asked = {"type": "AmpOptimWrapper", "dtype": "bfloat16", "loss_scale": 1.0}
    optimizer = {"type": "SGD", "lr": 0.1}
    built: Any = on_this_device({**asked, "optimizer": optimizer})
    return build_optim_wrapper(model, built)


def _step(model: nn.Module) -> Any:
    """What a step of a training in bfloat16 is computed in."""
    return _wrapper(model).optim_context(model)


def _with_layer(**parts: nn.Module) -> nn.ModuleDict:
    """Parts that have no weights, beside a layer for the optimizer."""
    return nn.ModuleDict({"layer": nn.Linear(1, 1), **parts})


class _Head(nn.Module):
    """A head that predicts where an object ends, and takes it for a coordinate, as those without anchors do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, feature: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.layer(feature),)

    def predict_by_feat(
        self, predicted: tuple[torch.Tensor], *, more: dict[str, list[torch.Tensor]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        points = torch.tensor([[FAR]], dtype=predicted[0].dtype)
        return points + predicted[0], points @ more["project"][0]


def test_boxes_of_a_step_in_bfloat16_are_float32_and_its_layers_are_not() -> None:
    head = _Head()
    nn.init.zeros_(head.layer.weight)
    nn.init.zeros_(head.layer.bias)
    with _step(head):
        predicted = head(torch.zeros(1, 1))
        assert predicted[0].dtype == torch.bfloat16
        boxes, summed = head.predict_by_feat(predicted, more={"project": [torch.ones(1, 1)]})
    assert boxes.item() == summed.item() == FAR
    assert boxes.dtype == summed.dtype == torch.float32


def test_a_model_is_as_it_was_after_a_step_that_failed() -> None:
    head = _Head()
    before = dict(vars(head))
    with pytest.raises(ZeroDivisionError), predictions_in_float32(head):
        raise ZeroDivisionError
    assert vars(head) == before


def test_regions_keep_their_coordinates_in_bfloat16() -> None:
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    layer = {"type": "RoIAlign", "output_size": 1, "sampling_ratio": 1}
    model = _with_layer(regions=SingleRoIExtractor(layer, 1, [1]))
    feature = torch.zeros(1, 1, 1, 640)
    feature[..., int(FAR)] = 1.0
    region = torch.tensor([[0, FAR, 0, FAR + 1, 1]])
    plain = model["regions"]((feature,), region)
    assert plain.item() > 0
    with _step(model):
        found = model["regions"]((feature.bfloat16(),), region)
    assert torch.equal(found, plain)


@pytest.mark.parametrize("kind", ["GHMC", "GHMR"])
def test_a_loss_that_counts_is_computed_in_float32(kind: str) -> None:
    """Of what is the same number in both, the loss is the same; in bfloat16 sums and weights are 0.4 % off."""
    from mmdet.registry import MODELS

    torch.manual_seed(0)
    model = _with_layer(loss=MODELS.build({"type": kind}))
    predicted = (0.1 * torch.randn(200, 4)).bfloat16()
    target, weight = (torch.rand(200, 4) > 0.5).bfloat16(), torch.ones(200, 4)
    plain = model["loss"](predicted.float(), target.float(), weight)
    with _step(model):
        found = model["loss"](predicted, target, weight)
    assert found.dtype == torch.float32
    assert torch.equal(found, plain)


def _has_amx() -> bool:
    return torch.cpu._is_amx_tile_supported()


@pytest.mark.skipif(torch.cuda.is_available(), reason="of CPUs")
def test_convolutions_of_small_maps_are_float32() -> None:
    """Weights' gradients of a map below its stride are those of float32 to the bit, on any CPU."""
    torch.manual_seed(0)
    layer, image = nn.Conv2d(8, 8, 3, stride=2, padding=1), torch.randn(2, 8, 1, 1)
    layer(image).sum().backward()
    weight = layer.weight.grad
    assert weight is not None
    layer.zero_grad()
    with _step(layer):
        found = layer(image)
    found.sum().backward()
    assert found.dtype == torch.float32
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad, weight)


@pytest.mark.skipif(not _has_amx(), reason="the fault is of CPUs with AMX")
@pytest.mark.skipif(torch.cuda.is_available(), reason="of CPUs")
def test_gradients_of_small_maps_are_right_where_torchs_are_not() -> None:
    def gradients() -> list[torch.Tensor]:
        torch.manual_seed(0)
        layer = nn.Conv2d(32, 32, 3, stride=2, padding=1)
        found = []
        for _ in range(20):
            layer.zero_grad()
            with _step(layer):
                result = layer(torch.ones(2, 32, 1, 1))
            result.float().sum().backward()
            assert layer.weight.grad is not None
            found.append(layer.weight.grad)
        return found

    for found in gradients():
        # Only the kernel's middle lies on the map: twice one, of two images.
        right = torch.zeros(32, 32, 3, 3)
        right[..., 1, 1] = 2.0
        assert torch.equal(found, right)
