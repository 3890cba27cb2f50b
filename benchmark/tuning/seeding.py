"""A sampler whose seed is the trial's, so that a resume repeats nothing."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import optuna

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState

MakeSampler = Callable[[int], "BaseSampler"]


class PerTrialSampler(optuna.samplers.BaseSampler):
    """A sampler that is made anew for each trial, seeded with the trial's number.

    One seed a process would draw the same points again after every resume, and in every driver of a shared study.
    Optuna's samplers keep what they learn in the storage, so that nothing is lost.

    Args:
        make: Makes Optuna's sampler from a seed.
        seed: The study's seed.
        varies: Whether each trial has a seed of its own.
    """

    def __init__(self, make: MakeSampler, seed: int, varies: bool) -> None:
        self._make = make
        self._seed = seed
        self._varies = varies
        self._current = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Makes the trial's sampler."""
        if self._varies:
            self._current = self._make(_mixed(self._seed, trial.number))
        self._current.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See `optuna.samplers.BaseSampler`."""
        return self._current.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See `optuna.samplers.BaseSampler`."""
        return self._current.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See `optuna.samplers.BaseSampler`."""
        return self._current.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """See `optuna.samplers.BaseSampler`."""
        self._current.after_trial(study, trial, state, values)


def _mixed(seed: int, number: int) -> int:
    return zlib.crc32(f"{seed} {number}".encode())
