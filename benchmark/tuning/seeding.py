"""A sampler whose seed is the trial's, so that a resume repeats nothing."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmark.tuning.wrapped import WrappedSampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

MakeSampler = Callable[[int], "BaseSampler"]


class PerTrialSampler(WrappedSampler):
    """A sampler that is made anew for each trial, seeded with the trial's number.

    One seed a process would draw the same points again after every resume, and in every driver of a shared study.
    Optuna's samplers keep what they learn in the storage, so that nothing is lost.

    Args:
        make: Makes Optuna's sampler from a seed.
        seed: The study's seed.
        varies: Whether each trial has a seed of its own.
    """

    def __init__(self, make: MakeSampler, seed: int, varies: bool) -> None:
        super().__init__(make(seed))
        self._make = make
        self._seed = seed
        self._varies = varies

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Makes the trial's sampler."""
        if self._varies:
            self._current = self._make(_mixed(self._seed, trial.number))
        super().before_trial(study, trial)


def _mixed(seed: int, number: int) -> int:
    return zlib.crc32(f"{seed} {number}".encode())
