"""Keeps the weights of a training's best validation: whole at any time, and through kills and resumes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from mmengine import dist
from mmengine.hooks import Hook
from torch import Tensor

from benchmark.job.metric import HotCocoMetric
from benchmark.job.resuming import iteration_of, why_not
from benchmark.job.weights import load_checkpoint
from benchmark.run import checkpoints
from benchmark.run.journal import Point, now
from benchmark.run.validations import best_of
from benchmark.statistics.scores import MAIN

if TYPE_CHECKING:
    from benchmark.job.training import JobRunner

Better = Callable[[float, float], bool]
"""Whether the first value is better than the second."""


@dataclass(frozen=True)
class _Kept:
    """A checkpoint of what was the best validation when it was made."""

    path: Path
    value: float
    epoch: int
    iteration: int

    def done(self, unit: str) -> int:
        """How many epochs or iterations were trained, whichever the name of a checkpoint counts."""
        return self.epoch if unit == "epoch" else self.iteration


class BestCheckpoint:
    """The checkpoint of the best validation by one score, without the optimizer's state.

    Its files are all that it remembers: each holds the value that its weights had, so that a job that goes on after
    a kill knows as much as the one before. What a validation beyond the point of resuming left is forgotten, since
    that validation is made again. The best one before stays until no checkpoint is left from which a resume
    would need it. Only the first process of a distributed training saves.

    Args:
        folder: The run's ``checkpoints/``.
        name: Files are called ``NAME_epoch_N.pth``; ``NAME_iter_N.pth`` where the loop counts iterations.
        better: Tells which of two values is better; of equals the earlier is kept.
    """

    def __init__(self, folder: Path, name: str, better: Better) -> None:
        self._folder = folder
        self._name = name
        self._better = better
        self._known: list[_Kept] | None = None

    def offer(self, runner: JobRunner, value: float | None) -> None:
        """Saves the validated weights if no validation before had as good a value; None or NaN is never the best."""
        if not dist.is_main_process():
            return
        before = [kept for kept in self._all(runner) if kept.iteration < runner.iter]
        if value is not None and math.isfinite(value) and self._is_best(value, before):
            before.append(self._save(runner, value))
        self._known = self._needed(before)
        for path in {*checkpoints.bests(self._folder, self._name)} - {k.path for k in self._known}:
            path.unlink(missing_ok=True)

    def _all(self, runner: JobRunner) -> list[_Kept]:
        if self._known is None:
            paths = reversed(checkpoints.bests(self._folder, self._name))
            own = [path for path in paths if self._is_own(path, runner)]
            self._known = [kept for kept in map(_read, own) if kept is not None]
        return self._known

    @staticmethod
    def _is_own(path: Path, runner: JobRunner) -> bool:
        reason = why_not(path, runner.ids, runner.bare_model.state_dict())
        if reason is not None:
            print(f"{now()} checkpoint {path.name} is not counted: {reason}", flush=True)
        return reason is None

    def _is_best(self, value: float, before: list[_Kept]) -> bool:
        return not before or self._better(value, before[-1].value)

    def _save(self, runner: JobRunner, value: float) -> _Kept:
        unit = "epoch" if hasattr(runner.train_loop, "run_epoch") else "iter"
        path = self._folder / f"{self._name}_{unit}_{getattr(runner, unit)}.pth"
        runner.save_checkpoint(
            str(self._folder),
            path.name,
            save_optimizer=False,
            save_param_scheduler=False,
            meta={"epoch": runner.epoch, "iter": runner.iter, "best": value},
        )
        runner.logger.info(f"The best checkpoint so far, with {value:0.4f}, is {path.name}.")
        return _Kept(path, value, runner.epoch, runner.iter)

    def _needed(self, kept: list[_Kept]) -> list[_Kept]:
        """The newest, and those that are the best where a resume may go on."""
        resumable = [checkpoints.done(path) for path in checkpoints.saved(self._folder)]
        return [
            one
            for one, following in zip_longest(kept, kept[1:])
            if following is None
            or any(
                one.done(unit) <= step <= following.done(unit)
                for unit, step in filter(None, resumable)
            )
        ]


def _read(path: Path) -> _Kept | None:
    """What a checkpoint of an earlier attempt says; None of one that says no value."""
    meta = load_checkpoint(path)["meta"]
    if not {"best", "epoch", "iter"} <= meta.keys():
        return None
    return _Kept(path, float(meta["best"]), int(meta["epoch"]), int(meta["iter"]))


class SelectHook(Hook):  # type: ignore[misc]
    """Keeps the weights of the best validation by mAP50, for a run that records them in place of the last."""

    # After hooks that put averaged weights back (NORMAL), and before the journal says that the validation is done.
    priority = "VERY_LOW"

    def __init__(self, metric: HotCocoMetric, folder: Path) -> None:
        self._metric = metric
        self._best = BestCheckpoint(folder, checkpoints.SELECTED, lambda new, old: new > old)

    def after_val_epoch(self, runner: JobRunner, metrics: dict[str, float] | None = None) -> None:
        """Keeps the weights if they are the best so far."""
        last = self._metric.last
        self._best.offer(runner, last.scores[MAIN] if last is not None else None)


def lost_best(
    folder: Path,
    ids: tuple[str, ...],
    weights: Mapping[str, Tensor],
    points: Sequence[Point],
    path: Path,
) -> str | None:
    """Why a run that records its best validation cannot go on from one of its checkpoints; None if it can.

    The weights of the best validation until there must be known: they are what the run is to end with.

    Args:
        folder: The run's ``checkpoints/``.
        ids: Every id that the run has had.
        weights: What its model holds, by name.
        points: The validations of its journal.
        path: The checkpoint.
    """
    done = iteration_of(path)
    best = best_of([point for point in points if point["iter"] <= done])
    if best is None:
        return None
    for selected in checkpoints.bests(folder, checkpoints.SELECTED):
        if why_not(selected, ids, weights) is None and iteration_of(selected) == best["iter"]:
            return None
    return f"the weights of the best validation until there, at iteration {best['iter']}, are gone"


def selected_weights(runner: JobRunner, folder: Path, iteration: int) -> Path:
    """The checkpoint of a run's best validation, as `SelectHook` has kept it.

    Args:
        runner: Trains the run.
        folder: The run's ``checkpoints/``.
        iteration: Training iterations that were done at that validation.

    Raises:
        FileNotFoundError: It is gone.
    """
    for path in checkpoints.bests(folder, checkpoints.SELECTED):
        own = why_not(path, runner.ids, runner.bare_model.state_dict()) is None
        kept = _read(path) if own else None
        if kept is not None and kept.iteration == iteration:
            return path
    raise FileNotFoundError(
        f"the weights of the best validation, at iteration {iteration}, are no longer in {folder}; "
        "--retry failed goes on from where they are known"
    )
