"""Fewer epochs: milestones, warm-up, phases and what hooks do at an epoch move along."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from benchmark.config.shrink.data import batch_size, images_per_epoch
from benchmark.config.tree import Config, dicts, is_list
from benchmark.config.vocabulary.words import class_of

# Part of a shrunk training spent on warming up the rate. Longer than published, since random
# weights need it.
_WARM_UP = 0.25

# A warm-up of one step begins low and never comes up.
_WARM_UPS = ("LinearLR", "ConstantLR")
_SHORTEST_WARM_UP = 2

_SPANS = frozenset({"T_max", "step_size", "total_iters", "total_steps"})
_EPOCHS_OF_HOOKS = frozenset({"switch_epoch", "num_last_epochs", "begin_epoch"})


def shrink_schedule(config: Config, epochs: int, changes: list[str]) -> None:
    """Shortens a training that is longer than so many epochs, in place.

    Args:
        config: A merged config whose data sets have their number of images.
        epochs: Passes over these images.
        changes: Takes a line for each thing that is more than a smaller number of epochs.
    """
    _mend_scaling(config, changes)
    loop = config.get("train_cfg") or {}
    batch = batch_size(config.get("train_dataloader") or {})
    iterations = epochs * max(math.ceil(images_per_epoch(config) / batch), 1)
    by_epoch = "max_epochs" in loop
    unit, budget = ("max_epochs", epochs) if by_epoch else ("max_iters", iterations)
    before = loop.get(unit, 0)
    if before <= budget:
        return
    loop[unit] = budget
    _evaluate_halfway(config, loop, budget)
    schedulers = config.get("param_scheduler") or []
    schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
    in_iterations = _IterationMap.of(schedulers, None if by_epoch else before, iterations)
    in_epochs = _EpochMap.of(schedulers, before, budget)
    for scheduler in schedulers:
        _reschedule(scheduler, in_epochs if scheduler.get("by_epoch", True) else in_iterations)
    if by_epoch:
        _move_hooks(config, before, budget, changes)


def _mend_scaling(config: Config, changes: list[str]) -> None:
    """A rate that is to be scaled from a batch size that nobody said ends the run."""
    scaling = config.get("auto_scale_lr") or {}
    if scaling.get("enable") and not scaling.get("base_batch_size"):
        scaling["enable"] = False
        changes.append(
            "auto_scale_lr.enable: False, since no base_batch_size is given: the rate stays as published"
        )


def _evaluate_halfway(config: Config, loop: Config, budget: int) -> None:
    """Validates and saves once on the way, so that a smoke run exercises both, and at the end."""
    halfway = math.ceil(budget / 2)
    loop["val_interval"] = halfway
    if loop.get("val_begin", 0) > halfway:
        loop["val_begin"] = halfway
    loop.pop("dynamic_intervals", None)
    saving = (config.get("default_hooks") or {}).get("checkpoint") or {}
    if saving.get("by_epoch", True) == ("max_epochs" in loop):
        saving["interval"] = halfway


def _move_hooks(config: Config, before: int, budget: int, changes: list[str]) -> None:
    """What a hook does at an epoch, or for the last of them, it does within the shorter training, too."""
    for hook in dicts(config.get("custom_hooks")):
        for key in _EPOCHS_OF_HOOKS & hook.keys():
            published = hook[key]
            if isinstance(published, int) and not isinstance(published, bool) and published > 0:
                hook[key] = min(max(round(published * budget / before), 1), budget - 1)
                changes.append(
                    f"{hook.get('type')}.{key}: {published} -> {hook[key]}, of {budget} epochs"
                )


@dataclass(frozen=True)
class _EpochMap:
    """Where an epoch of the published schedule comes to lie; phases of a schedule keep an epoch each where they can.

    Attributes:
        share: Of the published epochs.
        phases: Where schedulers begin and end, and where that comes to lie.
    """

    share: float
    phases: dict[int, int]

    @classmethod
    def of(cls, schedulers: list[Config], before: int, budget: int) -> _EpochMap:
        """Takes the phases from the schedulers that count epochs."""
        counted = [s for s in schedulers if s.get("by_epoch", True)]
        ends = {s.get(key, 0) for s in counted for key in ("begin", "end")}
        found = sorted(end for end in ends if isinstance(end, int))
        share = budget / before
        return cls(share, dict(zip(found, _phases(found, before, budget), strict=True)))

    def __call__(self, epoch: int) -> float:
        return self.phases.get(epoch, epoch * self.share)

    def span(self, begin: int, end: object, length: int) -> float:
        """How long something is that begins at an epoch, within a phase that may have an end."""
        if isinstance(end, int) and end > begin:
            return length * (self(end) - self(begin)) / (end - begin)
        return length * self.share


def _phases(found: list[int], before: int, budget: int) -> list[int]:
    moved: list[int] = []
    for epoch in found:
        moved.append(max(round(epoch * budget / before), moved[-1] + 1 if moved else 0))
    following = math.inf
    for i, epoch in reversed([*enumerate(found)]):
        most = min(budget if epoch <= before else math.inf, following - 1)
        moved[i] = following = max(int(min(moved[i], most)), 0)
    return moved


@dataclass(frozen=True)
class _IterationMap:
    """Where an iteration of the published schedule comes to lie: linear in warm-up and after."""

    warm_up: int
    total: int
    new_warm_up: float
    new_total: int

    @classmethod
    def of(cls, schedulers: list[Config], total: int | None, new_total: int) -> _IterationMap:
        """Takes the warm-up to be what starts at 0 and ends within the first tenth.

        A training counted in epochs does not tell its iterations: there the last end of a scheduler
        counts.
        """
        by_iteration = [s for s in schedulers if not s.get("by_epoch", True)]
        ends = [s["end"] for s in by_iteration if isinstance(s.get("end"), int)]
        early = [
            s["end"]
            for s in by_iteration
            if s.get("begin", 0) == 0
            and isinstance(s.get("end"), int)
            and (total is None or s["end"] <= total / 10)
        ]
        warm_up = min(early, default=0)
        return cls(warm_up, total or max(ends, default=0), new_total * _WARM_UP, new_total)

    def __call__(self, iteration: int) -> float:
        if iteration <= self.warm_up:
            return iteration * self.new_warm_up / self.warm_up if self.warm_up else 0.0
        if iteration >= self.total:
            return self.new_total
        start = self.new_warm_up if self.warm_up else 0.0
        share = (iteration - self.warm_up) / (self.total - self.warm_up)
        return start + share * (self.new_total - start)

    def span(self, begin: int, _end: object, length: int) -> float:
        """How long something is that begins at an iteration."""
        return self(begin + length) - self(begin)


def _reschedule(scheduler: Config, move: _EpochMap | _IterationMap) -> None:
    begin, end = scheduler.get("begin", 0), scheduler.get("end")
    begin = begin if isinstance(begin, int) else 0
    if begin:
        scheduler["begin"] = round(move(begin))
    if isinstance(end, int):
        warms_up = begin == 0 and end > 1 and class_of(scheduler) in _WARM_UPS
        shortest = _SHORTEST_WARM_UP if warms_up and not scheduler.get("by_epoch", True) else 1
        scheduler["end"] = max(round(move(end)), scheduler.get("begin", 0) + shortest)
    for key in _SPANS & scheduler.keys():
        if isinstance(scheduler[key], int):
            scheduler[key] = max(round(move.span(begin, end, scheduler[key])), 1)
    if is_list(scheduler.get("periods")):
        ends = _apart(move.span(begin, end, n) for n in accumulate(scheduler["periods"]))
        scheduler["periods"] = [after - before for before, after in pairwise([0, *ends])]
    if is_list(scheduler.get("milestones")):
        scheduler["milestones"] = _apart(move(n) for n in scheduler["milestones"])


def _apart(milestones: Iterable[float]) -> list[int]:
    """Whole milestones that stay distinct."""
    result: list[int] = []
    for milestone in milestones:
        result.append(max(round(milestone), result[-1] + 1 if result else 1))
    return result
