"""Hooks: those that every run has, the ones that a config adds, and what they watch."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.tree import Config, is_list
from benchmark.config.vocabulary.signatures import HOOKS
from benchmark.config.vocabulary.words import (
    Kind,
    class_of,
    each,
    imports_own,
    mapping_of,
    named_hooks,
    not_a_number,
    one_of,
)
from benchmark.errors import allowed, few, shown
from benchmark.statistics.scores import SCORES

_UNNAMED = (None, "auto", ["auto"])
_PRIORITIES = frozenset({"priority"})  # any hook may have one: mmengine takes it away
_LEVELS = [
    "HIGHEST",
    "VERY_HIGH",
    "HIGH",
    "ABOVE_NORMAL",
    "NORMAL",
    "BELOW_NORMAL",
    "LOW",
    "VERY_LOW",
    "LOWEST",
]
# Averages by name, with what each takes beside the arguments that all of them take.
_AVERAGES = {
    "ExpMomentumEMA": ("gamma", "momentum"),
    "ExponentialMovingAverage": ("momentum",),
    "MomentumAnnealingEMA": ("gamma", "momentum"),
    "StochasticWeightAverage": (),
}
_OF_AVERAGES = ("device", "interval", "update_buffers")
_OF_EMA = {*HOOKS["EMAHook"].arguments, *_OF_AVERAGES, "priority", "type", "_scope_"}
_RULES = ("greater", "less")
_DRAWING = (
    "DetVisualizationHook",
    "TrainAugmentDetVisualizationHook",
    "GroundingVisualizationHook",
)


def _kind(config: Config) -> Kind:
    return Kind("hook", HOOKS, _PRIORITIES, imports_own(config))


def default_hooks(config: Config) -> Iterator[str]:
    """Each is a hook, or null to be left out; without ``runtime_info`` no loss would be recorded."""
    hooks, kind = mapping_of(config.get("default_hooks")), _kind(config)
    for name, hook in hooks.items():
        if hook is not None:
            yield from kind.misfits(f"default_hooks.{name}", hook)
    if "runtime_info" in hooks and hooks["runtime_info"] is None:
        yield "default_hooks.runtime_info: null: losses are recorded from what it keeps; leave it out"


def custom_hooks(config: Config) -> Iterator[str]:
    """A list of hooks, none of which does the work of a default one."""
    hooks, kind = config.get("custom_hooks"), _kind(config)
    if hooks is None:
        return
    if not is_list(hooks):
        yield f"custom_hooks: {shown(hooks)} is no list; write a list of hooks: [{{type: EMAHook}}]"
        return
    for key, hook in each(hooks, "custom_hooks"):
        yield from kind.misfits(key, hook)
        if class_of(hook) == "CheckpointHook":
            yield f"{key}: checkpoints are made by default_hooks.checkpoint; set that one"
        if class_of(hook) == "ParamSchedulerHook" and _steps_already(config):
            yield f"{key}: default_hooks.param_scheduler is one, and rates would change twice as fast; leave it out"


def _steps_already(config: Config) -> bool:
    """Whether mmengine's own hook for schedules is there; null leaves it out."""
    hooks = mapping_of(config.get("default_hooks"))
    return hooks.get("param_scheduler", True) is not None


_NOT_KEPT = {
    "out_dir": "checkpoints are in the run's folder, where a resume finds them; leave it out",
    "published_keys": "what is kept of a run is checkpoints/final.pth; leave it out",
    "file_client_args": "checkpoints are in the run's folder; leave it out",
    "backend_args": "checkpoints are in the run's folder; leave it out",
}


def checkpoints(config: Config) -> Iterator[str]:
    """What a run that was killed is continued from: under the names, and with the state, that a resume needs."""
    key = "default_hooks.checkpoint"
    hook = mapping_of(mapping_of(config.get("default_hooks")).get("checkpoint"))
    for name, reason in _NOT_KEPT.items():
        if hook.get(name) is not None:
            yield f"{key}.{name}: {reason}"
    yield from _names(key, hook)
    for name in ("save_optimizer", "save_param_scheduler"):
        if not hook.get(name, True):
            yield f"{key}.{name}: a resume needs it, and final.pth is saved without it; leave it out"
    yield from not_a_number(key, hook, "save_begin", 0, whole=True)
    yield from not_a_number(key, hook, "max_keep_ckpts", -1, whole=True)
    if "max_epochs" in mapping_of(config.get("train_cfg")) and not hook.get("by_epoch", True):
        yield f"{key}.by_epoch: a training counted in epochs is continued from the end of one; leave it out"


def _names(key: str, hook: Config) -> Iterator[str]:
    usual = "epoch_{}.pth" if hook.get("by_epoch", True) else "iter_{}.pth"
    if hook.get("filename_tmpl") not in (None, usual):
        yield f"{key}.filename_tmpl: a resume looks for {usual.format('N')}; leave it out"


def logger(config: Config) -> Iterator[str]:
    """What a run prints is in its log."""
    hook = mapping_of(mapping_of(config.get("default_hooks")).get("logger"))
    if hook.get("out_dir") is not None:
        yield "default_hooks.logger.out_dir: the log is the run's log.txt; leave it out"


def drawing(config: Config) -> Iterator[str]:
    """A job has no screen, and its visualizer no folder."""
    for key, hook in named_hooks(config):
        if class_of(hook) in _DRAWING and (hook.get("draw") or hook.get("show")):
            yield (
                f"{key}: nothing is drawn while a run trains; leave out 'draw' and 'show' (samples.json and "
                "the tracked images have the boxes, and mmdet's tools/test.py draws with a run's config.py)"
            )


def monitors(config: Config) -> Iterator[str]:
    """What a hook or a scheduler waits for is one of the scores of a validation."""
    known = _results(config)
    for key, name, value in _watched(config):
        wrong = [score for _, score in each(value, name) if score not in known]
        if wrong:
            yield f"{key}.{name}: no score {few(map(repr, wrong))}; {allowed(str(wrong[0]), known)}"


def _results(config: Config) -> set[str]:
    prefix = "coco"
    for _, evaluator in each(config.get("val_evaluator"), ""):
        prefix = mapping_of(evaluator).get("prefix") or prefix
    return {f"{prefix}/{score.metric}" for score in SCORES.values()}


def _watched(config: Config) -> Iterator[tuple[str, str, object]]:
    """Key, name and value of what names a score; the default of a plateau's is a loss, which no validation gives."""
    for key, hook in named_hooks(config):
        if class_of(hook) == "CheckpointHook" and hook.get("save_best") not in _UNNAMED:
            yield key, "save_best", hook["save_best"]
        if class_of(hook) == "EarlyStoppingHook" and "monitor" in hook:
            yield key, "monitor", hook["monitor"]
    for key, scheduler in each(config.get("param_scheduler"), "param_scheduler"):
        if class_of(scheduler).startswith("ReduceOnPlateau"):
            yield key, "monitor", mapping_of(scheduler).get("monitor", "val/loss")


def values(config: Config) -> Iterator[str]:
    """Words and numbers that hooks take; a rule of several scores is a list."""
    for key, hook in named_hooks(config):
        name = class_of(hook)
        yield from _priority(key, hook)
        if name not in HOOKS:
            continue  # its own arguments may mean anything
        for _, rule in each(hook.get("rule"), ""):
            yield from one_of(key, {"rule": rule}, "rule", _RULES)
        least = -1 if name == "CheckpointHook" else 1
        yield from not_a_number(key, hook, "interval", least, whole=True)
        if name == "EMAHook":
            yield from _average(key, hook, imports_own(config))
            yield from _begins(key, hook, mapping_of(config.get("train_cfg")))


def _priority(key: str, hook: Config) -> Iterator[str]:
    value = hook.get("priority")
    if isinstance(value, str):
        yield from one_of(key, {"priority": value.upper()}, "priority", _LEVELS)
    elif value is not None and not (isinstance(value, int) and 0 <= value <= 100):
        yield f"{key}.priority: {shown(value)} is no number from 0 to 100, and no level: {', '.join(_LEVELS)}"


def _average(key: str, hook: Config, own: bool) -> Iterator[str]:
    if not own:
        yield from one_of(key, hook, "ema_type", _AVERAGES)
    kind = str(hook.get("ema_type", "ExponentialMovingAverage"))
    if kind in _AVERAGES:
        for name in sorted(map(str, hook.keys() - _OF_EMA - {*_AVERAGES[kind]})):
            takes = allowed(name, [*_OF_AVERAGES, *_AVERAGES[kind]])
            yield f"{key}.{name}: {kind} takes no {name!r}; {takes}"
    yield from not_a_number(key, hook, "gamma", 1)
    for name in ("begin_iter", "begin_epoch"):
        yield from not_a_number(key, hook, name, 0, whole=True)
    if hook.get("begin_iter") and hook.get("begin_epoch"):
        yield f"{key}: begins at an iteration or at an epoch; leave out begin_iter or begin_epoch"
    momentum = hook.get("momentum", 0.5)
    if not isinstance(momentum, float) or not 0 < momentum < 1:
        yield f"{key}.momentum: {shown(momentum)} is not between 0 and 1"


def _begins(key: str, hook: Config, train: Config) -> Iterator[str]:
    """Whether the average begins before the training ends."""
    for name, most in (("begin_epoch", "max_epochs"), ("begin_iter", "max_iters")):
        begin, end = hook.get(name), train.get(most)
        if isinstance(begin, int) and isinstance(end, int) and begin > end:
            yield f"{key}.{name}: {begin} is past the training's end, {end}"


def particulars(config: Config) -> Iterator[str]:
    """Arguments of single hooks that would end a job at the end of its first epoch, or later."""
    for key, hook in named_hooks(config):
        name = class_of(hook)
        if name == "EarlyStoppingHook":
            yield from not_a_number(key, hook, "patience", 0, whole=True)
            for number in ("min_delta", "stopping_threshold"):
                yield from not_a_number(key, hook, number, 0)
        if name == "PipelineSwitchHook":
            yield from not_a_number(key, hook, "switch_epoch", 0, whole=True)
        if name == "ProfilerHook":
            yield from _profiled(key, hook, mapping_of(config.get("train_cfg")))
        if name == "CheckpointHook":
            yield from _rules(key, hook)


def _profiled(key: str, hook: Config, train: Config) -> Iterator[str]:
    yield from not_a_number(key, hook, "profile_times", 1, whole=True)
    ready = mapping_of(hook.get("on_trace_ready"))
    yield from one_of(f"{key}.on_trace_ready", ready, "type", ("log_trace", "tb_trace"))
    times, epochs = hook.get("profile_times", 1), train.get("max_epochs")
    counted = isinstance(times, int) and isinstance(epochs, int) and hook.get("by_epoch", True)
    if counted and times > epochs:
        yield f"{key}.profile_times: {times} epochs are more than the training's {epochs}"


def _rules(key: str, hook: Config) -> Iterator[str]:
    best, rules = hook.get("save_best"), hook.get("rule")
    if is_list(best) and not best:
        yield f"{key}.save_best: names no score; leave it out"
    if is_list(best) and is_list(rules) and len(rules) not in (1, len(best)):
        yield f"{key}.rule: has {len(rules)} rules for {len(best)} scores"
