"""FLOPs are those of the forward pass at the test size, and counting them leaves the model as it was."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from command import LEADERBOARD
from mmdet.registry import DATASETS, MODELS
from mmengine import ConfigDict
from mmengine.analysis import get_model_complexity_info
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.runner.amp import autocast

from benchmark.job.measure.flops import flops
from benchmark.run.plan import Request, make_plan
from benchmark.run.record import Flops

pytestmark = pytest.mark.usefixtures("mmdet_on_one_thread")


class Two(BaseModel):
    """Two convolutions whose multiply-adds can be counted by hand."""

    def __init__(self) -> None:
        super().__init__({"type": "DetDataPreprocessor", "pad_size_divisor": 48})
        self.first = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.second = torch.nn.Conv2d(4, 5, 1)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        assert mode == "tensor"
        assert not torch.is_grad_enabled()
        assert not self.training
        return (self.second(torch.relu(self.first(inputs))),)


class Untraceable(Two):
    """Its forward pass fails."""

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        raise TypeError("this cannot be traced")


def test_multiply_adds_counted_by_hand(dataset: Any) -> None:
    """The test pipeline makes the image 64 x 64, and the data preprocessor fills up to 96 x 96."""
    assert dataset[0]["inputs"].shape == (3, 64, 64)
    by_hand = 48 * 48 * (3 * 3 * 3 * 4) + 48 * 48 * (4 * 5)
    assert flops(Two(), dataset) == Flops(by_hand, [3, 96, 96])


def test_same_as_with_mmdets_tool(model: BaseModel, dataset: Any) -> None:
    found = flops(model, dataset)
    model.eval()
    with torch.no_grad():
        data = model.data_preprocessor(pseudo_collate([dataset[0]]))
        traced = copy.copy(model)
        traced.forward = partial(model.forward, data_samples=data["data_samples"])
        theirs = get_model_complexity_info(
            traced, inputs=data["inputs"], show_table=False, show_arch=False
        )
    assert found.value == theirs["flops"] > 0
    assert found.input == list(data["inputs"].shape[1:])


def test_mixed_precision_counts_the_same(model: BaseModel, dataset: Any) -> None:
    alone = flops(model, dataset)
    with autocast(enabled=True):
        assert flops(model, dataset) == alone


def test_model_is_as_it_was(model: BaseModel, dataset: Any) -> None:
    model.train()
    model.backbone.layer1.eval()  # as frozen stages are while a model trains
    modes = [module.training for module in model.modules()]
    weights = copy.deepcopy(model.state_dict())
    flops(model, dataset)
    assert [module.training for module in model.modules()] == modes
    assert "forward" not in vars(model)
    after = model.state_dict()
    assert list(after) == list(weights)
    assert all(torch.equal(value, after[name]) for name, value in weights.items())


def test_distributed_wrapper_counts_as_its_model(tiny_config: ConfigDict, dataset: Any) -> None:
    model = MODELS.build(tiny_config.model)
    alone = flops(model, dataset)
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = MMDistributedDataParallel(module=model, broadcast_buffers=False)
        assert flops(wrapped, dataset) == alone
    finally:
        torch.distributed.destroy_process_group()


def test_model_that_cannot_be_traced_is_an_error(dataset: Any) -> None:
    model = Untraceable()
    with pytest.raises(TypeError, match="cannot be traced"):
        flops(model, dataset)
    assert model.training
    assert torch.is_grad_enabled()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "input_size"),
    [
        ("r50_fpn_freeanchor_1x", [3, 96, 96]),
        ("r50_fpn_pisa_1x", [3, 96, 96]),
        ("r50_fpg_50e", [3, 128, 128]),
        ("convnext_tiny_fpn_3x", [3, 96, 96]),
    ],
)
def test_every_architecture_of_the_leaderboard(
    synthetic_data: Path, tmp_path: Path, row: str, input_size: list[int]
) -> None:
    """On the same image, but each at its own test size."""
    request = Request(LEADERBOARD, tmp_path, data_root=synthetic_data, profile="smoke", rows=(row,))
    (run,) = make_plan(request).runs
    config = ConfigDict(run.config)
    found = flops(MODELS.build(config.model), DATASETS.build(config.val_dataloader.dataset))
    assert found.input == input_size
    assert 1e9 < found.value < 1e10
