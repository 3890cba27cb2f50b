"""How much each parameter of a study mattered, and how little that is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

# With fewer trials the best tenth is one or two of them: importances of 8 trials named other parameters with each
# sampler's seed, see docs/tuning.md.
LEAST_TRIALS = 25

RESAMPLES = 40
_TAIL = 0.1  # left out at either end of the shares that resampled trials give
_SEED = 0


@dataclass(frozen=True)
class Importances:
    """How much each parameter told the best complete trials from all, by Optuna's PED-ANOVA.

    Attributes:
        shares: By parameter name, largest first, adding up to 1; empty where they cannot be computed.
        missing: Why they cannot be computed, else empty.
        n_trials: Number of complete trials that they rest on; one that took over another's run is not counted.
        ranges: By parameter name, where 80 % of the shares lie that resampled trials give.
    """

    shares: Mapping[str, float]
    missing: str
    n_trials: int
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def importances(study: optuna.Study, objective: str) -> Importances:
    """PED-ANOVA of the complete trials by the first objective (Watanabe et al. 2023), which draws nothing by chance.

    Args:
        study: The study, in memory.
        objective: Name of the first objective.
    """
    trials = _judged(study)
    if reason := _too_few([trial.values[0] for trial in trials], objective):
        return Importances({}, reason, len(trials))
    # Sorted: Optuna lists parameters of equal importance in the order of a set.
    names = sorted({name for trial in trials for name in trial.params})
    try:
        shares = _shares(study, trials, names)
    except Exception as error:  # a plot less, not a summary less
        return Importances({}, f"Optuna: {type(error).__name__}: {error}", len(trials))
    if not shares:  # Optuna's normalising would call all equal
        return Importances({}, "no parameter told the best trials from the others", len(trials))
    order = sorted(shares, key=lambda name: (shares[name], name), reverse=True)
    ranges = _ranges(study, trials, names)
    return Importances({name: shares[name] for name in order}, "", len(trials), ranges)


def _judged(study: optuna.Study) -> list[FrozenTrial]:
    """Complete trials with finite values; one that took over another's run says nothing more."""
    from optuna.trial import TrialState

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    own = (trial for trial in complete if trial.user_attrs.get("same_as") is None)
    return [trial for trial in own if all(map(math.isfinite, trial.values))]


def _too_few(values: Sequence[float], objective: str) -> str:
    if len(values) < LEAST_TRIALS:
        there = f"there {'is' if len(values) == 1 else 'are'} {len(values) or 'none'}"
        return f"{LEAST_TRIALS} complete trials are needed, and {there}"
    if len(set(values)) < 2:
        return f"all {len(values)} complete trials have the same {objective}"
    return ""


def _shares(
    study: optuna.Study, trials: Sequence[FrozenTrial], names: list[str]
) -> dict[str, float]:
    """Each parameter's part of all importance; empty where there is none at all."""
    from optuna.importance import get_param_importances

    of_trials = _holding(study, trials)
    raw = get_param_importances(of_trials, params=names, target=_goal(study), normalize=False)
    total = sum(raw.values())
    if not (math.isfinite(total) and total > 0):
        return {}
    return {name: value / total for name, value in raw.items()}


def _ranges(
    study: optuna.Study, trials: Sequence[FrozenTrial], names: list[str]
) -> Mapping[str, tuple[float, float]]:
    """Where the shares lie if as many trials are drawn from these, with replacement, again and again."""
    import numpy as np

    random = np.random.default_rng(_SEED)
    drawn = (random.integers(0, len(trials), len(trials)) for _ in range(RESAMPLES))
    found = [_attempt(study, [trials[i] for i in positions], names) for positions in drawn]
    whole = [shares for shares in found if shares]
    if not whole:
        return {}
    ends = {n: np.quantile([shares[n] for shares in whole], [_TAIL, 1 - _TAIL]) for n in names}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def _attempt(
    study: optuna.Study, trials: Sequence[FrozenTrial], names: list[str]
) -> dict[str, float]:
    try:
        return _shares(study, trials, names)
    except Exception:  # a resample without a parameter, or of equal trials
        return {}


def _holding(study: optuna.Study, trials: Sequence[FrozenTrial]) -> optuna.Study:
    """A study in memory that holds just these trials, some perhaps several times."""
    import optuna

    storage = optuna.storages.InMemoryStorage()
    made = storage.create_new_study(study.directions, study.study_name)
    for trial in trials:
        storage.create_new_trial(made, template_trial=trial)
    return optuna.load_study(study_name=study.study_name, storage=storage)


def _goal(study: optuna.Study) -> Callable[[FrozenTrial], float] | None:
    """What Optuna's importances must aim at: None, or with two objectives the first, signed.

    PED-ANOVA takes less of a target as better, whatever the study's direction says; it heeds the direction only
    without a target, which it allows for one objective.
    """
    from optuna.study import StudyDirection

    if len(study.directions) == 1:
        return None
    sign = -1.0 if study.directions[0] == StudyDirection.MAXIMIZE else 1.0
    return lambda trial: sign * trial.values[0]
