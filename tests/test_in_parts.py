"""Batches that go through a model in parts change its weights as whole ones do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from benchmark.job.in_parts import InPartsHook, why_whole
from benchmark.run.accumulation import Accumulation, Begun, told, write_accumulation

SIZES = (8, 8, 8, 5, 8, 3)  # of batches; epochs end with what is left


class Plain(BaseModel):
    """Two layers and a loss that is a mean over the images; notes how many images it is given at once."""

    def __init__(self) -> None:
        super().__init__(BaseDataPreprocessor())
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1))
        self.seen: list[int] = []

    def forward(self, inputs: torch.Tensor, data_samples: Any, mode: str = "loss") -> Any:
        self.seen.append(len(inputs))
        found = self.layers(torch.stack(list(inputs))).squeeze(1)
        wanted = torch.stack(list(data_samples))
        return {"loss_one": ((found - wanted) ** 2).mean(), "acc": found.mean()}


def batches() -> Iterator[dict[str, Any]]:
    drawn = torch.Generator().manual_seed(7)
    for size in SIZES:
        inputs, samples = torch.randn(size, 6, generator=drawn), torch.randn(size, generator=drawn)
        yield {"inputs": list(inputs), "data_samples": list(samples)}


def trained(path: Path, images: int | None, **wrapper: Any) -> tuple[Plain, list[dict[str, float]]]:
    """A model that was trained on all batches, and what each step came to; whole, or so many images at once."""
    model = Plain()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    optim_wrapper = OptimWrapper(optimizer, **wrapper)
    optim_wrapper.initialize_count_status(model, 0, len(SIZES))
    if images is not None:
        write_accumulation(path, Accumulation(8, images))
    runner = SimpleNamespace(model=model, optim_wrapper=optim_wrapper, distributed=False, iter=0)
    InPartsHook(path).before_train(runner)
    steps = [model.train_step(batch, optim_wrapper) for batch in batches()]
    assert optim_wrapper.inner_count == len(SIZES)
    return model, [{key: float(value) for key, value in step.items()} for step in steps]


@pytest.mark.parametrize(
    "wrapper",
    [
        {},
        {"accumulative_counts": 2},
        {
            "accumulative_counts": 4,
            "clip_grad": {"max_norm": 0.05},
        },  # six steps end with half of it
    ],
)
@pytest.mark.parametrize("images", [4, 3, 1])
def test_weights_and_losses_are_those_of_whole_batches(
    tmp_path: Path, wrapper: dict[str, Any], images: int
) -> None:
    whole, steps = trained(tmp_path / "none", None, **wrapper)
    parts, in_parts = trained(tmp_path / "accumulation.json", images, **wrapper)
    assert tuple(whole.seen) == SIZES
    assert max(parts.seen) <= images and sum(parts.seen) == sum(SIZES)
    for ours, theirs in zip(parts.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)
    for found, wanted in zip(in_parts, steps, strict=True):
        assert found == pytest.approx(wanted, rel=1e-5)
        assert list(found) == ["loss", "loss_one", "acc"]


def test_parts_are_even(tmp_path: Path) -> None:
    model, _ = trained(tmp_path / "accumulation.json", 3)
    assert model.seen[:3] == [2, 3, 3]
    assert model.seen[9:11] == [2, 3]  # of five


class OwnSteps(Plain):
    def train_step(self, data: Any, optim_wrapper: Any) -> Any: ...


def _runner(model: BaseModel, **changes: Any) -> Any:
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    return SimpleNamespace(
        **{"model": model, "optim_wrapper": wrapper, "distributed": False} | changes
    )


def test_what_cannot_be_divided_says_why() -> None:
    compiled, counting = Plain(), Plain()
    compiled.train_step = compiled.train_step
    from mmdet.models.losses import GHMC

    counting.loss_cls = GHMC(momentum=0.75)
    several = OptimWrapperDict(a=_runner(Plain()).optim_wrapper)
    found = [
        why_whole(runner)
        for runner in (
            _runner(Plain()),
            _runner(Plain(), distributed=True),
            _runner(OwnSteps()),
            _runner(compiled),
            _runner(Plain(), optim_wrapper=several),
            _runner(counting),
        )
    ]
    assert found == [
        "",
        "several processes train together",
        "OwnSteps takes steps of its own",
        "its step is compiled as a whole",
        "OptimWrapperDict updates in a way of its own",
        "GHMC counts batches",
    ]


def test_memory_that_runs_out_elsewhere_or_on_other_batches_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Plain()
    runner = _runner(model, iter=0)
    hook = InPartsHook(tmp_path / "accumulation.json")
    hook.before_train(runner)
    assert hook.lack("no").whole == "it was at no training step"

    def raises(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model.layers, "forward", raises)
    with pytest.raises(torch.OutOfMemoryError):
        model.train_step(next(batches()), runner.optim_wrapper)
    lack = hook.lack("no")
    assert (lack.batch, lack.images, lack.whole) == (8, 8, "")
    with pytest.raises(torch.OutOfMemoryError):
        model.train_step([torch.zeros(2, 6), torch.zeros(2)], runner.optim_wrapper)
    assert hook.lack("no").whole == "its batches are no plain lists of images"


def test_what_was_trained_again_is_told_once() -> None:
    once = Accumulation(8, 4).begin(0, batch_norm=False)
    assert once == once.begin(300, batch_norm=False)  # a job that goes on
    later = once.halved.begin(800, batch_norm=True)
    assert later.begun == (Begun(0, 4), Begun(800, 2))
    assert later.halved.begin(800, batch_norm=True).begun == (Begun(0, 4), Begun(800, 1))
    assert Accumulation(3, 3).halved.images == 2  # and then one
    sentences = told([("seed 0", None), ("seed 1", once), ("seed 2", once), ("seed 3", later)])
    assert [text.partition(":")[0] for text in sentences] == ["seed 1, seed 2", "seed 3"]
    assert "in parts of at most 4, then 2 from iteration 800 on;" in sentences[1]
