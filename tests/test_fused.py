"""Fused optimizer steps: the numbers of the plain ones, from checkpoints of either, and a choice of the config's."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.amp import GradScaler

from benchmark.job.fused import stays_fused, with_fused_step
from benchmark.job.training import JobRunner

OPTIMIZERS = [
    {"type": "SGD", "lr": 0.02, "momentum": 0.9, "weight_decay": 1e-4},
    {"type": "SGD", "lr": 0.02, "momentum": 0.9, "nesterov": True},
    {"type": "Adam", "lr": 1e-3, "weight_decay": 1e-4},
    {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05},
]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _net() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 1))


def _loss(net: torch.nn.Module, step: int) -> torch.Tensor:
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))
    result: torch.Tensor = net(image).square().mean()
    return result


def _trained(net: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> list[float]:
    """The loss of each step."""
    losses = []
    for step in steps:
        loss = _loss(net, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _plain(config: dict[str, Any], net: torch.nn.Module) -> torch.optim.Optimizer:
    arguments = {name: value for name, value in config.items() if name != "type"}
    optimizer: torch.optim.Optimizer = getattr(torch.optim, config["type"])(
        net.parameters(), **arguments
    )
    return optimizer


def _of_a_job(config: dict[str, Any], net: torch.nn.Module, folder: Path) -> torch.optim.Optimizer:
    runner = JobRunner(net, str(folder), default_scope=None)
    wrapper: Any = runner.build_optim_wrapper({"type": "OptimWrapper", "optimizer": config})
    optimizer: torch.optim.Optimizer = wrapper.optimizer
    return optimizer


@pytest.mark.parametrize("config", OPTIMIZERS, ids=str)
def test_a_job_trains_as_the_plain_optimizer_does(config: dict[str, Any], tmp_path: Path) -> None:
    net, fused = _net(), _net()
    optimizer = _of_a_job(config, fused, tmp_path)
    assert optimizer.defaults["fused"] is True
    losses = _trained(net, _plain(config, net), range(50))
    assert _trained(fused, optimizer, range(50)) == pytest.approx(losses, rel=1e-5)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("config", OPTIMIZERS, ids=str)
def test_it_goes_on_from_a_checkpoint_of_either(config: dict[str, Any], tmp_path: Path) -> None:
    net = _net()
    plain = _plain(config, net)
    _trained(net, plain, range(5))
    resumed = copy.deepcopy(net)
    optimizer = _of_a_job(config, resumed, tmp_path)
    optimizer.load_state_dict(copy.deepcopy(plain.state_dict()))
    assert [group["fused"] for group in optimizer.param_groups] == [True]
    stock = copy.deepcopy(net)
    back = _plain(config, stock)
    back.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    losses = _trained(net, plain, range(5, 20))
    assert _trained(resumed, optimizer, range(5, 20)) == pytest.approx(losses, rel=1e-5)
    assert _trained(stock, back, range(5, 20)) == pytest.approx(losses, rel=1e-5)


def test_a_checkpoint_of_a_plain_one_goes_on_with_a_scaler(tmp_path: Path) -> None:
    """Torch hands the scale of AMP's losses to a fused step, and a plain one asserts that there is none."""
    config, net = OPTIMIZERS[0], _net()
    plain = _plain(config, net)
    _trained(net, plain, range(5))
    resumed = copy.deepcopy(net)
    optimizer = _of_a_job(config, resumed, tmp_path)
    optimizer.load_state_dict(copy.deepcopy(plain.state_dict()))
    scaler = GradScaler("cpu")
    scaler.scale(_loss(resumed, 5)).backward()
    scaler.step(optimizer)
    _trained(net, plain, range(5, 6))
    for ours, theirs in zip(resumed.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "optimizer",
    [
        {"type": "SGD", "lr": 0.1, "foreach": True},
        {"type": "AdamW", "lr": 0.1, "fused": False},
        {"type": "AdamW", "lr": 0.1, "capturable": True},
        {"type": "RMSprop", "lr": 0.1},
    ],
    ids=str,
)
def test_what_a_config_chooses_stays(optimizer: dict[str, Any]) -> None:
    wrapper = {"type": "OptimWrapper", "optimizer": optimizer}
    assert with_fused_step(wrapper) == wrapper
    several = {"generator": wrapper, "constructor": "Own"}
    assert with_fused_step(several) == several
    assert with_fused_step(None) is None


def test_a_plain_one_stays_what_its_checkpoint_says() -> None:
    net = _net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    stays_fused(optimizer)
    state = optimizer.state_dict()
    optimizer.load_state_dict(state)
    assert not optimizer.param_groups[0].get("fused")
