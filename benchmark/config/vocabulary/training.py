"""Loops, optimizer and schedulers."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.tree import Config, is_list
from benchmark.config.vocabulary.signatures import CLIPPING, LOOPS, OPTIMIZERS, SCHEDULERS, WRAPPERS
from benchmark.config.vocabulary.words import (
    Kind,
    each,
    imports_own,
    mapping_of,
    not_a_number,
    one_of,
    unfit_arguments,
)
from benchmark.errors import allowed, few, shown

# Those that mmengine's Runner can drive; the others belong to its FlexibleRunner.
_WRAPPERS = {
    name: WRAPPERS[name] for name in ("OptimWrapper", "AmpOptimWrapper", "ApexOptimWrapper")
}
_CONSTRUCTOR, _BY_LAYER = "DefaultOptimWrapperConstructor", "LearningRateDecayOptimizerConstructor"
_OF_DECAY = ("bias_decay_mult", "norm_decay_mult", "dwconv_decay_mult", "decay_mult")
_PARAMWISE = (
    "bias_decay_mult",
    "bias_lr_mult",
    "bypass_duplicate",
    "custom_keys",
    "dcn_offset_lr_mult",
    "dwconv_decay_mult",
    "flat_decay_mult",
    "norm_decay_mult",
)
_OF_WRAPPER = frozenset({"optimizer", "constructor", "paramwise_cfg"})


def loops(config: Config) -> Iterator[str]:
    """A training of one epoch or iteration at least, that is validated from time to time."""
    train, val = config.get("train_cfg"), config.get("val_cfg")
    if isinstance(train, dict):
        yield from _train_loop(train, imports_own(config))
    if isinstance(val, dict) and val:
        kind = Kind("validation loop", LOOPS, own=imports_own(config))
        yield from kind.misfits("val_cfg", {"type": "ValLoop", **val})


def _train_loop(train: Config, own: bool) -> Iterator[str]:
    key = "train_cfg"
    if "type" in train or "by_epoch" not in train:
        yield from Kind("training loop", LOOPS, own=own).misfits(key, train)
    else:  # mmengine's other way to say it
        name = "EpochBasedTrainLoop" if train["by_epoch"] else "IterBasedTrainLoop"
        yield from unfit_arguments(key, name, train, LOOPS[name], frozenset({"by_epoch"}))
    for name in ("max_epochs", "max_iters", "val_interval"):
        yield from not_a_number(key, train, name, 1, whole=True)
        if name in train and train[name] is None:
            yield f"{key}.{name}: null is no whole number from 1 on"
    yield from not_a_number(key, train, "val_begin", 0, whole=True)
    pairs = train.get("dynamic_intervals")
    if pairs is not None and not (is_list(pairs) and all(_is_pair(pair) for pair in pairs)):
        yield f"{key}.dynamic_intervals: {shown(pairs)} is no list of pairs; write [[8, 1]]"


def _is_pair(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2 or not all(map(_is_whole, value)):
        return False
    return bool(value[0] >= 0 and value[1] >= 1)


def optimizer(config: Config) -> Iterator[str]:
    """Rates that torch takes, under arguments that it knows."""
    key, wrapper = "optim_wrapper", config.get("optim_wrapper")
    if not isinstance(wrapper, dict):
        return
    own = imports_own(config)
    kind = Kind("optimizer wrapper", _WRAPPERS, _OF_WRAPPER, own)
    yield from kind.misfits(key, {"type": "OptimWrapper", **wrapper})
    yield from not_a_number(key, wrapper, "accumulative_counts", 1, whole=True)
    yield from _by_parameter(wrapper, own)
    yield from _clipping(wrapper.get("clip_grad"))
    yield from Kind("optimizer", OPTIMIZERS, own=own).misfits(
        f"{key}.optimizer", wrapper.get("optimizer")
    )
    if isinstance(wrapper.get("optimizer"), dict):
        yield from _rates(f"{key}.optimizer", wrapper["optimizer"])


def _rates(key: str, optimizer: Config) -> Iterator[str]:
    for name in ("lr", "weight_decay", "momentum", "eps"):
        yield from not_a_number(key, optimizer, name, 0)
    betas = optimizer.get("betas")
    if betas is not None and not (is_list(betas) and all(_is_share(beta) for beta in betas)):
        yield f"{key}.betas: {shown(betas)} are no numbers from 0 to below 1; write [0.9, 0.999]"
    if optimizer.get("nesterov") and (not optimizer.get("momentum") or optimizer.get("dampening")):
        yield f"{key}.nesterov: needs a momentum, and no dampening"


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1


def _by_parameter(wrapper: Config, own: bool) -> Iterator[str]:
    """What mmengine's default constructor would pass over without a word, or end with."""
    key, given = "optim_wrapper.paramwise_cfg", wrapper.get("paramwise_cfg")
    if not own:
        yield from one_of("optim_wrapper", wrapper, "constructor", (_CONSTRUCTOR, _BY_LAYER))
    if given is not None and not isinstance(given, dict):
        yield f"{key}: {shown(given)} is no mapping"
    if not isinstance(given, dict) or wrapper.get("constructor", _CONSTRUCTOR) != _CONSTRUCTOR:
        return
    for name in [n for n in given if n not in _PARAMWISE]:
        yield f"{key}.{name}: no such setting; {allowed(str(name), _PARAMWISE)}"
    keys = [given, *mapping_of(given.get("custom_keys")).values()]
    decays = sorted({n for node in keys for n in mapping_of(node) if n in _OF_DECAY})
    if decays and mapping_of(wrapper.get("optimizer")).get("weight_decay") is None:
        yield f"{key}: {few(decays)} need optim_wrapper.optimizer.weight_decay; add it"


def _clipping(node: object) -> Iterator[str]:
    key = "optim_wrapper.clip_grad"
    if node is None:
        return
    if not isinstance(node, dict):
        yield f"{key}: {shown(node)} is no mapping; write {{max_norm: 35, norm_type: 2}}"
        return
    kind = node.get("type", "norm")
    if not isinstance(kind, str) or kind not in CLIPPING:
        yield from one_of(key, node, "type", CLIPPING)
        return
    yield from unfit_arguments(key, f"clip_grad of type {kind}", node, CLIPPING[kind])
    for name in ("max_norm", "clip_value"):
        yield from not_a_number(key, node, name, 0)


def schedulers(config: Config) -> Iterator[str]:
    """Schedulers that end after they begin; milestones are numbers of epochs or iterations."""
    kind = Kind("scheduler", SCHEDULERS, frozenset({"convert_to_iter_based"}), imports_own(config))
    for key, scheduler in each(config.get("param_scheduler"), "param_scheduler"):
        yield from kind.misfits(key, scheduler)
        if isinstance(scheduler, dict):
            yield from _span(key, scheduler)


def _span(key: str, scheduler: Config) -> Iterator[str]:
    found = [*not_a_number(key, scheduler, "begin", 0), *not_a_number(key, scheduler, "end", 0)]
    yield from found
    begin, end = scheduler.get("begin") or 0, scheduler.get("end")
    if not found and end is not None and end <= begin:
        yield f"{key}.end: {shown(end)} is not after its begin, {shown(begin)}"
    milestones = scheduler.get("milestones")
    if "milestones" not in scheduler:
        return
    if not is_list(milestones) or not all(_is_whole(n) for n in milestones):
        yield f"{key}.milestones: {shown(milestones)} is no list of whole numbers; write [8, 11]"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
