"""What the trials of a study that are still to come would cost: the study is simulated a few times, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from optuna.trial import FrozenTrial, TrialState

from benchmark.errors import UserError
from benchmark.tuning.again import begun, replaced
from benchmark.tuning.guesses import Guess
from benchmark.tuning.opening import as_left
from benchmark.tuning.simulated import Simulation
from benchmark.tuning.storage import Store, Strategies
from benchmark.tuning.strategies import VISIT_ALL, pruner_of, sampler_of
from benchmark.tuning.study import Study
from benchmark.tuning.study_file import Strategy

_STUDIES = 20
_FEWEST = 20
# What a simulation takes, as measured: for each trial, each of its validations, each earlier trial that it meets, and
# each earlier trial that is copied; samplers that visit all points look at each earlier trial more closely.
_TRIAL_MS, _VALIDATION_MS, _PAIR_MS, _COPY_MS = 0.6, 0.05, 0.0016, 0.1
_PAIR_OF_VALUE_MS, _PAIR_OF_PARAMETER_MS = 0.0015, 0.0035
# What one may take, and all together.
_ONE_MS, _ALL_MS = 1000.0, 3000.0
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_AT_RANDOM = Strategy(type="RandomSampler")


@dataclass(frozen=True)
class Standing:
    """How far a study is.

    Attributes:
        store: The study as it is, in memory: see `benchmark.tuning.opening.preview`.
        target: Number of trials that it is to have.
    """

    store: Store
    target: int

    @property
    def trials(self) -> list[FrozenTrial]:
        """Its trials, without those that are made again."""
        every = self.store.study.get_trials(deepcopy=False)
        again = replaced(every)
        return [trial for trial in every if trial.number not in again]

    def count(self, *states: TrialState) -> int:
        """How many of its trials are in one of these states."""
        return sum(trial.state in states for trial in self.trials)

    @property
    def begun(self) -> int:
        """How many of its trials have begun, those in work included."""
        return begun(self.store.study.get_trials(deepcopy=False))

    @property
    def drawn(self) -> int:
        """How many trials have begun with what the sampler has drawn."""
        every = self.store.study.get_trials(deepcopy=False)
        states = (trial.state for trial in every if "fixed_params" not in trial.system_attrs)
        return sum(state is not TrialState.WAITING for state in states)

    @property
    def to_come(self) -> int:
        """How many trials are still to be trained, those in work included."""
        new = max(self.target - self.begun, 0)
        if self.store.exhausted:  # nothing is asked for beyond what waits
            new = min(new, self.count(TrialState.WAITING))
        return new + self.count(TrialState.RUNNING)


@dataclass(frozen=True)
class Forecast:
    """What is to come of one simulated study.

    Attributes:
        complete: Number of trials that were trained to their end.
        given_up: Number of trials that were given up.
        after: Validations after which trials that were simulated were given up.
        reused: Number of trials that took the result of an earlier one with the same parameters.
        trained: What was trained, in full trainings.
        seconds: Simulated time until the last one ended.
    """

    complete: float
    given_up: float
    after: Sequence[int]
    reused: float
    trained: float
    seconds: float

    @property
    def trials(self) -> float:
        """Number of trials."""
        return self.complete + self.given_up + self.reused

    def times(self, factor: float) -> Forecast:
        """What so many times as many trials come to."""
        names = ("complete", "given_up", "reused", "trained", "seconds")
        return replace(self, **{name: getattr(self, name) * factor for name in names})


@dataclass(frozen=True)
class Forecasts:
    """What is to come of a study, simulated several times.

    Attributes:
        each: One for each time.
        simulated: How many trials at most were simulated each time.
        to_come: How many there are to come.
    """

    each: Sequence[Forecast]
    simulated: int
    to_come: int


def simulate(study: Study, standing: Standing, guess: Guess, slots: int) -> Forecasts:
    """Simulates what is to come of a study, as often as some seconds allow.

    Of very many trials only the first ones are simulated, and all numbers are those of all: as many times as large.

    Args:
        study: The study, with the sampler and the pruner that it goes on with.
        standing: How far it is.
        guess: What trainings come to.
        slots: Number of trials side by side.
    """
    before, to_come = standing.count(*_ENDED), _most(study, standing)
    trials = to_come
    while trials > _FEWEST and _cost_ms(study, before, trials, len(guess.shares)) > _ONE_MS:
        trials //= 2
    cost_ms = _cost_ms(study, before, trials, len(guess.shares))
    count = max(1, min(_STUDIES, int(_ALL_MS / max(cost_ms, 1.0))))
    target = standing.begun - standing.count(TrialState.RUNNING) + trials
    factor = to_come / max(1, trials)
    each = [_forecast(study, standing, guess, slots, target, seed) for seed in range(count)]
    return Forecasts([one.times(factor) for one in each], trials, to_come)


def _most(study: Study, standing: Standing) -> int:
    """How many trials are to come at most: a sampler that visits all points ends with the last."""
    drawn = study.file.sampler
    if drawn is None or drawn.type not in VISIT_ALL:
        return standing.to_come
    try:
        points = prod(map(len, study.space.grid().values()))
    except UserError:  # conditional parameters
        return standing.to_come
    # What was asked for by name, as the row's own setting, is visited again where it is a point.
    asked = standing.count(TrialState.WAITING, TrialState.RUNNING)
    # One is drawn in any case: only then the sampler says that it has been everywhere.
    return min(standing.to_come, max(points - standing.drawn, 1) + asked)


def _cost_ms(study: Study, before: int, trials: int, validations: int) -> float:
    """About how long a simulation takes, on a core of a machine of today."""
    pair, drawn = _PAIR_MS, study.file.sampler
    if drawn is not None and drawn.type == "GridSampler":  # it compares its grid with each trial's
        pair += _PAIR_OF_VALUE_MS * sum(map(len, study.space.grid().values()))
    elif drawn is not None and drawn.type == "BruteForceSampler":
        pair += _PAIR_OF_PARAMETER_MS * len(study.space.names)
    each = _TRIAL_MS + _VALIDATION_MS * validations + pair * (before + trials / 2)
    return trials * each + before * _COPY_MS


def _forecast(
    study: Study, standing: Standing, guess: Guess, slots: int, target: int, seed: int
) -> Forecast:
    """Simulates the study once."""
    # What trainings come to is drawn by lot, so nothing can be learnt: only one that visits all points is another.
    store = as_left(standing.store, _strategies(study, len(guess.shares), seed))
    simulation = Simulation(store, study.space.suggest, guess.answers(seed), slots, target)
    simulation.run()
    ended = simulation.ended
    trained = sum(guess.shares[len(trial.values) - 1] for trial in ended)
    given_up = [len(trial.values) for trial in ended if trial.pruned]
    there = [trial.state in _ENDED for trial in store.study.get_trials(deepcopy=False)]
    before = [trial.state in _ENDED for trial in standing.store.study.get_trials(deepcopy=False)]
    reused = sum(there) - sum(before) - len(ended)
    whole = len(ended) - len(given_up)
    return Forecast(whole, len(given_up), given_up, reused, trained, simulation.seconds)


def _strategies(study: Study, validations: int, seed: int) -> Strategies:
    given = study.file.sampler
    # What a grid's sampler has visited it knows by its seed.
    visits = given is not None and given.type in VISIT_ALL
    other = {} if visits else {"sampler": _AT_RANDOM, "seed": seed}
    file = study.file.model_copy(update=other)
    sampler, _ = sampler_of(file, study.space)
    pruner, _ = pruner_of(file, validations)
    return replace(study.strategies, sampler=sampler, pruner=pruner)
