"""A sampler that knows more trials than those of the study: another one's, as observations that are nobody's trials."""

from __future__ import annotations

from collections.abc import Container, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from benchmark.tuning.wrapped import WrappedSampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study

LEARNERS = ("TPESampler", "GPSampler")  # those that learn from any complete trials of a study
# Fewer of the study's own say too little of how its values lie beside the others'.
_ENOUGH = 3


class InformedSampler(WrappedSampler):
    """Shows a sampler the study with other trials before its own; the study itself never has them.

    The other trials' values are of another row, so that only their order counts: the value at a quantile of theirs
    becomes that at the same quantile of the study's own complete trials, once there are some. Until then they stay as
    they are.

    Args:
        sampler: What draws.
        known: Complete trials with the distributions of the study.
    """

    def __init__(self, sampler: BaseSampler, known: Sequence[FrozenTrial]) -> None:
        super().__init__(sampler)
        self._known = known

    def _shown(self, study: Study) -> Study:
        return cast("Study", _Informed(study, self._known))


class _Informed:
    """A study as a sampler sees it: with other trials before its own, whose numbers are below 0."""

    def __init__(self, study: Study, known: Sequence[FrozenTrial]) -> None:
        self._own = study
        self._known = known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return self._with_known(self._own.get_trials(deepcopy, states), states)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        return self._with_known(self._own._get_trials(deepcopy, states, use_cache), states)

    def _with_known(
        self, own: list[FrozenTrial], states: Container[TrialState] | None
    ) -> list[FrozenTrial]:
        if states is not None and TrialState.COMPLETE not in states:
            return own
        complete = [trial for trial in own if trial.state is TrialState.COMPLETE]
        return [*aligned(self._known, complete), *own]


def aligned(known: Sequence[FrozenTrial], own: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Other trials with their values where the study's own lie: quantile for quantile, objective by objective.

    Args:
        known: Complete trials of another study.
        own: Complete trials of this one; below 3 the values stay as they are.

    Returns:
        Copies of the former, numbered below 0.
    """
    values = np.array([trial.values for trial in known], np.float64)
    if len(own) >= _ENOUGH:
        columns = np.array([trial.values for trial in own], np.float64).T
        values = np.stack([_moved(*pair) for pair in zip(values.T, columns, strict=True)], axis=1)
    copies = [copy(trial) for trial in known]
    for number, (trial, row) in enumerate(zip(copies, values.tolist(), strict=True)):
        trial.number = number - len(copies)
        trial.values = row
    return copies


def _moved(values: np.ndarray[Any, Any], own: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Values (N,) at the places of their quantiles among others (M,)."""
    order = np.sort(values)
    places = (np.searchsorted(order, values) + np.searchsorted(order, values, "right")) / 2
    found: np.ndarray[Any, Any] = np.quantile(own, places / len(values))
    return found
