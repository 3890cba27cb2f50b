"""Optimizers whose step is one kernel: the same update in one pass over the weights, in place of one an operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from benchmark.config.vocabulary.words import class_of

if TYPE_CHECKING:
    import torch

FUSED = frozenset({"SGD", "Adam", "AdamW"})
"""Those of torch's that have such a kernel on CPUs and on GPUs, from torch 2.6 on."""

_KIND = (
    "fused",
    "foreach",
    "capturable",
    "differentiable",
)  # torch's arguments that choose how a step is computed


def with_fused_step(wrapper: object) -> object:
    """What a config says of the optimizer's wrapper, with a fused step unless it chooses one.

    It is not in ``config.py``, where it would count into the run id.
    """
    optimizer = wrapper.get("optimizer") if isinstance(wrapper, Mapping) else None
    if not isinstance(optimizer, Mapping) or class_of(optimizer) not in FUSED:
        return wrapper
    if any(name in optimizer for name in _KIND):
        return wrapper
    return {**wrapper, "optimizer": {**optimizer, "fused": True}}  # type: ignore[dict-item]


def stays_fused(optimizer: torch.optim.Optimizer) -> None:
    """Has an optimizer whose step is fused keep to it when it goes on from a checkpoint of one whose step was not.

    A checkpoint says how its step was computed, and torch would take that on but for what AMP's scaler is told.
    """
    if not optimizer.defaults.get("fused"):
        return

    def of_this_one(_: torch.optim.Optimizer, state: dict[str, object]) -> dict[str, object]:
        groups = state["param_groups"]
        assert isinstance(groups, list)
        return {**state, "param_groups": [{**group, "fused": True} for group in groups]}

    optimizer.register_load_state_dict_pre_hook(of_this_one)
