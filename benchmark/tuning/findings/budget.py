"""What a study's trials cost, and what pruning saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.tuning.findings.findings import Group, Trial

_GROUPS: tuple[Group, ...] = ("complete", "pruned", "failed", "running", "reused")


@dataclass(frozen=True)
class Spent:
    """What some trials cost.

    Attributes:
        trials: How many they are.
        epochs: Passes over the training data.
        device_seconds: Seconds of training times devices.
    """

    trials: int
    epochs: float
    device_seconds: float


@dataclass(frozen=True)
class Budget:
    """What a study cost, and what it would have cost without pruning.

    Attributes:
        spent: By group of trials; groups without a trial are left out.
        total: All of them.
        saved_epochs: Epochs that pruned trials would have gone on for.
        saved_seconds: Device seconds that those would have taken, each trial at its own pace.
        no_plan: Numbers of pruned trials whose planned epochs are not known; they count as nothing saved.
        no_pace: Numbers of pruned trials that trained nothing, so that their seconds cannot be estimated.
    """

    spent: Mapping[Group, Spent]
    total: Spent
    saved_epochs: float
    saved_seconds: float
    no_plan: tuple[int, ...]
    no_pace: tuple[int, ...]

    @property
    def epochs_in_full(self) -> float:
        """Epochs of the same trials, had none been pruned."""
        return self.total.epochs + self.saved_epochs

    @property
    def seconds_in_full(self) -> float:
        """Device seconds of the same trials, had none been pruned."""
        return self.total.device_seconds + self.saved_seconds


def budget(trials: Sequence[Trial]) -> Budget:
    """Adds up what trials cost and what pruning saved.

    A trial that reused the run of an earlier one saved its epochs too, but not by pruning, so they do not count.
    """
    groups = {group: [t for t in trials if t.group == group] for group in _GROUPS}
    pruned = [trial for trial in groups["pruned"] if trial.planned_epochs is not None]
    return Budget(
        spent={group: _spent(members) for group, members in groups.items() if members},
        total=_spent([trial for members in groups.values() for trial in members]),
        saved_epochs=sum(map(_left, pruned)),
        saved_seconds=sum(_left(t) / t.epochs * t.device_seconds for t in pruned if t.epochs),
        no_plan=tuple(t.number for t in groups["pruned"] if t.planned_epochs is None),
        no_pace=tuple(t.number for t in pruned if not t.epochs),
    )


def _left(trial: Trial) -> float:
    return max(0.0, (trial.planned_epochs or 0.0) - trial.epochs)


def _spent(trials: Sequence[Trial]) -> Spent:
    return Spent(
        trials=len(trials),
        epochs=sum(trial.epochs for trial in trials),
        device_seconds=sum(trial.device_seconds for trial in trials),
    )
