"""Latency is that of the whole predict path, and measuring it leaves the model as it was."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel

from benchmark.job.measure import latency
from benchmark.job.measure.latency import measure
from benchmark.run.provenance import device_name

pytestmark = pytest.mark.usefixtures("mmdet_on_one_thread")


class Watched:
    """A dataset that remembers which of its items were loaded."""

    def __init__(self, dataset: Any, length: int) -> None:
        self.dataset = dataset
        self.length = length
        self.loaded: list[int] = []

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        self.loaded.append(index)
        return self.dataset[index]


def test_one_image_at_a_time_from_disk_to_boxes(
    model: BaseModel, dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    predicted: list[Any] = []
    real = model.test_step

    def test_step(batch: Any) -> Any:
        assert not torch.is_grad_enabled()
        assert not any(module.training for module in model.modules())
        predicted.append(real(batch))
        return predicted[-1]

    monkeypatch.setattr(model, "test_step", test_step)
    watched = Watched(dataset, len(dataset))
    found = measure(model, watched, images=6, warm_up=2)

    assert len(dataset) == 12
    assert watched.loaded == [0, 2, 0, 2, 4, 6, 8, 10]
    assert [len(samples) for samples in predicted] == [1] * 8
    assert any(len(sample.pred_instances) for (sample,) in predicted)
    assert list(asdict(found)) == ["median", "p95", "images", "device"]
    assert found.p95 >= found.median > 0
    assert found.images == 6
    assert found.device == device_name()


def test_small_dataset_is_gone_through_again(model: BaseModel, dataset: Any) -> None:
    watched = Watched(dataset, 3)
    assert measure(model, watched, images=7, warm_up=0).images == 7
    assert watched.loaded == [0, 1, 2, 0, 1, 2, 0]


def test_milliseconds_over_the_images_after_the_warm_up(
    model: BaseModel, dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that says: 9 s for the image that warms up, then 1, 2, 3, 4 and 10 ms."""
    ticks = [tick for took in (9, 0.001, 0.002, 0.003, 0.004, 0.010) for tick in (0.0, took)]
    monkeypatch.setattr(latency.time, "perf_counter", iter(ticks).__next__)
    found = measure(model, dataset, images=5, warm_up=1)
    assert found.median == 3
    assert found.p95 == pytest.approx(4 + 0.8 * 6)


def test_every_module_is_in_its_own_mode_again(model: BaseModel, dataset: Any) -> None:
    model.train()
    model.backbone.layer1.eval()  # as frozen stages are while a model trains
    before = [module.training for module in model.modules()]
    assert True in before
    assert False in before
    measure(model, dataset, images=1, warm_up=0)
    assert [module.training for module in model.modules()] == before


def test_mode_is_restored_after_an_error(model: BaseModel, dataset: Any) -> None:
    model.train()
    before = [module.training for module in model.modules()]
    with pytest.raises(IndexError):
        measure(model, Watched([], 5), images=1, warm_up=0)
    assert [module.training for module in model.modules()] == before
    assert torch.is_grad_enabled()


def test_dataset_without_images_is_an_error(model: BaseModel, dataset: Any) -> None:
    with pytest.raises(ValueError, match="no images"):
        measure(model, Watched(dataset, 0))
