"""A sampler that has another one draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import optuna

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState


class WrappedSampler(optuna.samplers.BaseSampler):
    """Has another sampler draw, of the study as `_shown` shows it.

    Args:
        sampler: What draws.
    """

    def __init__(self, sampler: optuna.samplers.BaseSampler) -> None:
        self._current = sampler

    def _shown(self, study: Study) -> Study:
        """What is drawn from."""
        return study

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """See `optuna.samplers.BaseSampler`: of the study as it is."""
        self._current.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See `optuna.samplers.BaseSampler`."""
        return self._current.infer_relative_search_space(self._shown(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See `optuna.samplers.BaseSampler`."""
        return self._current.sample_relative(self._shown(study), trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See `optuna.samplers.BaseSampler`."""
        shown = self._shown(study)
        return self._current.sample_independent(shown, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """See `optuna.samplers.BaseSampler`: of the study as it is."""
        self._current.after_trial(study, trial, state, values)
