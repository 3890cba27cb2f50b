"""What is no number after a training step, and where it came from first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from mmengine.structures import BaseDataElement
from torch import nn

from benchmark.config.tree import is_list


def not_numbers(losses: Mapping[str, object]) -> list[str]:
    """The losses that are NaN or infinite, with their values: ``loss_bbox is nan``."""
    values = {name: _value(loss) for name, loss in losses.items()}
    return [
        f"{name} is {v}" for name, v in values.items() if v is not None and not math.isfinite(v)
    ]


def _value(loss: object) -> float | None:
    if isinstance(loss, torch.Tensor):
        return float(loss.detach().float().mean())
    return float(loss) if isinstance(loss, int | float) else None


def weights_that_are_none(model: nn.Module) -> list[str]:
    """Names of the weights that hold a NaN or an infinite value."""
    return [
        name for name, weight in model.named_parameters() if not bool(torch.isfinite(weight).all())
    ]


@contextmanager
def noting_first(model: nn.Module) -> Iterator[list[nn.Module]]:
    """Yields what takes up each module that gives a value which is no number meanwhile, in the order of their calls."""
    found: list[nn.Module] = []

    def look(module: nn.Module, _given: object, gives: object) -> None:
        if any(not bool(torch.isfinite(tensor).all()) for tensor in _tensors(gives)):
            found.append(module)

    handles = [module.register_forward_hook(look) for module in model.modules()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _tensors(node: object) -> Iterator[torch.Tensor]:
    """The tensors of numbers within what a module gives."""
    if isinstance(node, torch.Tensor):
        if node.is_floating_point():
            yield node
    elif isinstance(node, dict):
        for one in node.values():
            yield from _tensors(one)
    elif is_list(node):
        for one in node:
            yield from _tensors(one)
    elif isinstance(node, BaseDataElement):
        yield from _tensors([value for _, value in node.items()])
