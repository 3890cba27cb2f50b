"""Whether a study is long enough for its pruner to give up any trial."""

from __future__ import annotations

import inspect

import optuna

from benchmark.tuning.strategies import default_pruner, pruner_of
from benchmark.tuning.study_file import StudyFile

_LOOK_BEYOND = 20  # trials
_MOST_REPORTS = 3000  # of validations, each of which takes some tenths of a millisecond
# What Optuna's pruners wait for, by the names of their arguments.
_WAITS = (
    "n_startup_trials",
    "n_warmup_steps",
    "n_min_trials",
    "min_resource",
    "min_early_stopping_rate",
    "bootstrap_count",
    "patience",
)


def pruner_hint(file: StudyFile, validations: int, trials: int) -> str:
    """A sentence where the pruner cannot give up any of so many trials, however bad they are; else empty.

    The pruner is asked about a study in memory in which each trial is worse than all before it. Trials side by side
    would only come to know less of each other.

    Args:
        file: The study file.
        validations: Number of validations of a trial.
        trials: Number of trials.
    """
    named = (file.pruner or default_pruner(validations)).type
    # One that looks at a trial alone, whatever the others came to, needs no number of them.
    alone = "ThresholdPruner" in str(file.pruner)
    if len(file.objectives) > 1 or named == "NopPruner" or alone or trials < 2:
        return ""
    if validations < 2:
        return f"hint: trials are validated once, at their end: {named} has nothing to prune"
    seen = min(trials + _LOOK_BEYOND, max(1, _MOST_REPORTS // validations))
    first = _first_pruned(file, validations, seen)
    if seen < trials or (first is not None and first < trials):
        return ""
    known = inspect.signature(getattr(optuna.pruners, named)).parameters
    waits = ", ".join(name for name in _WAITS if name in known)
    more = f"ask for at least {first + 1} trials, or " if first is not None else ""
    return (
        f"hint: {named} can prune none of {trials} trials of {validations} validations each: {more}lower what it "
        f"waits for ({waits})"
    )


def _first_pruned(file: StudyFile, validations: int, trials: int) -> int | None:
    """The number of the first trial that ends before its last validation; the first of all is the row's own setting."""
    pruner, _ = pruner_of(file, validations)
    sampler = optuna.samplers.RandomSampler(0)
    # With the study's name, which Hyperband spreads the trials by.
    study = optuna.create_study(
        sampler=sampler, pruner=pruner, study_name=file.name, directions=file.directions
    )
    sign = 1.0 if file.directions[0] == "maximize" else -1.0
    for number in range(trials):
        trial = study.ask()
        for step in range(1, validations):
            # Falling within a trial, too, but by less than from one trial to the next.
            trial.report(sign * 4.0**-number * (1 - 0.5 * bool(number) * step / validations), step)
            if number and trial.should_prune():
                return number
        study.tell(trial, sign * 4.0**-number * 0.5)
    return None
