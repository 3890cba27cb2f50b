"""What values optimizers and schedulers take: torch and mmengine refuse others, or take them for something else."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmark.config.tree import Config, is_list
from benchmark.config.vocabulary.words import class_of, each, imports_own, mapping_of, one_of
from benchmark.errors import allowed, few, shown


@dataclass(frozen=True)
class _Limit:
    """Numbers from ``least`` to ``most``; ``open`` leaves out both ends."""

    least: float = -math.inf
    most: float = math.inf
    open: bool = False
    whole: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if math.isinf(self.least):
            return kind
        if math.isinf(self.most):
            return f"{kind} {'above' if self.open else 'from'} {self.least:g}{'' if self.open else ' on'}"
        ends = f"{self.least:g} {'and' if self.open else 'to'} {self.most:g}"
        return f"{kind} {'between' if self.open else 'from'} {ends}"

    def takes(self, value: object) -> bool:
        kinds = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
            return False
        inside = self.least < value < self.most
        return inside or (not self.open and value in (self.least, self.most))


_ANY, _SHARE = _Limit(), _Limit(0, 1)
_POSITIVE, _COUNT = _Limit(0, open=True), _Limit(1, whole=True)
_FROM_0 = _Limit(0)

# mmengine.optim.scheduler.param_scheduler; the names without LR, Momentum or ParamScheduler.
_SCHEDULERS: Mapping[str, Mapping[str, _Limit]] = {
    "Constant": {"factor": _SHARE},
    "CosineAnnealing": {"T_max": _FROM_0, "eta_min": _ANY, "eta_min_ratio": _ANY},
    "CosineRestart": {"eta_min": _ANY, "eta_min_ratio": _ANY},
    "Exponential": {"gamma": _FROM_0},
    "Linear": {"start_factor": _SHARE, "end_factor": _SHARE},
    "MultiStep": {"gamma": _FROM_0},
    "OneCycle": {"total_steps": _COUNT, "pct_start": _SHARE, "div_factor": _POSITIVE},
    "Poly": {"power": _ANY, "eta_min": _ANY},
    "ReduceOnPlateau": {
        "factor": _Limit(0, 1, open=True),
        "patience": _FROM_0,
        "threshold": _FROM_0,
    },
    "Step": {"step_size": _COUNT, "gamma": _FROM_0},
}
_WORDS = {
    "anneal_strategy": ("cos", "linear"),
    "rule": ("greater", "less"),
    "threshold_rule": ("abs", "rel"),
}
# torch.optim; ``lr`` and others that all have are looked at elsewhere.
_OPTIMIZERS: Mapping[str, _Limit] = {
    "alpha": _FROM_0,
    "dampening": _FROM_0,
    "initial_accumulator_value": _FROM_0,
    "lr_decay": _FROM_0,
    "momentum_decay": _FROM_0,
    "rho": _SHARE,
}
_UNUSABLE = {
    "LBFGS": "asks for the loss again and again, which mmengine does not give it",
    "Muon": "takes matrices alone, and convolutions are none",
    "Optimizer": "is what the others are made of",
    "SparseAdam": "takes sparse gradients, which no model of mmdet has",
    "ZeroRedundancyOptimizer": "belongs to processes that train together",
}
_MULTIPLIERS = ("lr_mult", "decay_mult")


def optimizer_values(config: Config) -> Iterator[str]:
    """Optimizers that train a detector, with values that torch takes, and multipliers that are numbers."""
    wrapper = mapping_of(config.get("optim_wrapper"))
    key, node = "optim_wrapper.optimizer", mapping_of(wrapper.get("optimizer"))
    name = class_of(node)
    if name in _UNUSABLE and not imports_own(config):
        yield f"{key}.type: {name} {_UNUSABLE[name]}; write SGD or AdamW"
    yield from _outside(key, node, _OPTIMIZERS)
    for pair in ("betas", "etas"):
        if is_list(node.get(pair)) and len(node[pair]) != 2:
            yield f"{key}.{pair}: {shown(node[pair])} are no two numbers"
    if node.get("fused") and node.get("foreach"):
        yield f"{key}: has 'fused' and 'foreach', of which torch takes one"
    if node.get("differentiable"):
        yield f"{key}.differentiable: no gradient goes through a step of mmengine's; leave it out"
    if not wrapper.get("constructor") and not imports_own(config):
        yield from _multipliers(mapping_of(wrapper.get("paramwise_cfg")))
    norm = mapping_of(wrapper.get("clip_grad")).get("norm_type", 2)
    if norm != "inf" and not _POSITIVE.takes(norm) and norm != math.inf:
        yield f"optim_wrapper.clip_grad.norm_type: {shown(norm)} is no norm; write 2, or inf"


def _multipliers(given: Config) -> Iterator[str]:
    key = "optim_wrapper.paramwise_cfg"
    yield from _outside(key, given, {n: _FROM_0 for n in given if str(n).endswith("_mult")})
    custom = given.get("custom_keys")
    if custom is not None and not isinstance(custom, dict):
        yield f"{key}.custom_keys: {shown(custom)} is no mapping; write {{backbone: {{lr_mult: 0.1}}}}"
    for name, node in mapping_of(custom).items():
        place = f"{key}.custom_keys.{name}"
        if not isinstance(node, dict):
            yield f"{place}: {shown(node)} is no mapping; write {{lr_mult: 0.1}}"
            continue
        yield from _outside(place, node, dict.fromkeys(_MULTIPLIERS, _FROM_0))
        if not node.keys() & {*_MULTIPLIERS}:
            named = few(list(map(str, node))) or "nothing"
            yield f"{place}: has {named}, and changes nothing; {allowed('', _MULTIPLIERS)}"


def scheduler_values(config: Config) -> Iterator[str]:
    """Schedulers that mmengine builds, and that give a rate until the end."""
    for key, node in each(config.get("param_scheduler"), "param_scheduler"):
        if isinstance(node, dict):
            stem = re.sub("(LR|Momentum|ParamScheduler)$", "", class_of(node))
            yield from _outside(key, node, _SCHEDULERS.get(stem, {}))
            if stem in _SCHEDULERS:
                for word, choices in _WORDS.items():
                    yield from one_of(key, node, word, choices)
            yield from _of_class(key, stem, node)
            yield from _counted(key, stem, node, mapping_of(config.get("train_cfg")))
            yield from _momentum(key, node, config)


def _of_class(key: str, stem: str, node: Config) -> Iterator[str]:
    if stem == "Linear" and node.get("start_factor") == 0:
        yield f"{key}.start_factor: 0 grows by no factor; write a small one, as 0.001"
    ends = [n for n in ("eta_min", "eta_min_ratio") if node.get(n) is not None]
    if stem in ("CosineAnnealing", "CosineRestart") and len(ends) > 1:
        yield f"{key}: has eta_min and eta_min_ratio; leave one out"
    if stem == "CosineRestart":
        if not ends:
            yield f"{key}: needs 'eta_min' or 'eta_min_ratio'"
        periods, weights = node.get("periods"), node.get("restart_weights", [1])
        if not is_list(periods) or not all(_COUNT.takes(period) for period in periods):
            yield f"{key}.periods: {shown(periods)} is no list of whole numbers; write [8, 4]"
        elif not is_list(weights) or len(weights) != len(periods):
            yield f"{key}.restart_weights: {shown(weights)} has not one weight for each of {len(periods)} periods"
    if node.get("last_step", -1) != -1:
        yield f"{key}.last_step: a resume takes it from the checkpoint; leave it out"


def _counted(key: str, stem: str, node: Config, train: Config) -> Iterator[str]:
    """Whether it counts what the training counts, up to its end."""
    by_epoch, converts = node.get("by_epoch", True), node.get("convert_to_iter_based")
    if stem == "ReduceOnPlateau" and not by_epoch:
        yield f"{key}.by_epoch: {class_of(node)} follows the validations; leave it out"
    if converts and not by_epoch:
        yield f"{key}.convert_to_iter_based: it already counts iterations; leave it out, or by_epoch"
    if by_epoch and not converts:
        for name in ("begin", "end"):
            value = node.get(name)
            if isinstance(value, float) and not value.is_integer():
                yield (
                    f"{key}.{name}: {value} is no whole number of epochs; write by_epoch: false and a number of "
                    "iterations, or convert_to_iter_based: true"
                )
    total, epochs = node.get("total_steps"), train.get("max_epochs")
    known = stem == "OneCycle" and by_epoch and isinstance(total, int)
    if known and isinstance(epochs, int) and int(total or 0) < epochs:
        yield f"{key}.total_steps: {total} epochs are over before the training's {epochs}"


def _momentum(key: str, node: Config, config: Config) -> Iterator[str]:
    optimizer = mapping_of(mapping_of(config.get("optim_wrapper")).get("optimizer"))
    without = ("ASGD", "Adadelta", "Adagrad", "Rprop", "TorchAdafactor")
    if class_of(node).endswith("Momentum") and class_of(optimizer) in without:
        yield f"{key}: {class_of(optimizer)} has no momentum that {class_of(node)} could change; leave it out"


def _outside(key: str, node: Mapping[str, object], limits: Mapping[str, _Limit]) -> Iterator[str]:
    for name, limit in limits.items():
        value = node.get(name)
        if value is not None and not limit.takes(value):
            yield f"{key}.{name}: {shown(value)} is not {limit}"
