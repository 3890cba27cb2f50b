"""The results of a study in numbers: read once from Optuna, then worded (`summary`) and drawn (`figures`)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from benchmark.experiment.experiment import Select
from benchmark.tuning.findings.importance import Importances, importances

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from benchmark.statistics.intervals import Difference

Group = Literal["complete", "pruned", "failed", "running", "waiting", "reused"]

# Optuna's states by name.
STATES: dict[str, Group] = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


@dataclass(frozen=True)
class About:
    """What a study is about, in names and words.

    Attributes:
        name: The study.
        row: The row that is tuned.
        experiment: The experiment that the row is from.
        profile: How much of the schedule each trial trains.
        dataset: The data.
        objectives: What is judged, the first a metric of a validation (a fraction, better when higher), a second
            one ``latency`` (ms) or ``params`` (a count), better when lower.
        n_trials: Number of trials asked for.
        sampler: How parameters are chosen, in words.
        pruner: Which trials end early, in words.
        paths: What each parameter sets, by its name.
        device: What the trials ran on, empty if it is not known.
        select: Which validation of a trial judges it: its last, or its best by mAP50.
        fitted_on: On which boxes of other rows a fused row is tuned, and what that means; empty of a row that trains.
        warm_start: Which trials of an earlier study were known before the first, in words; empty if none were.
    """

    name: str
    row: str
    experiment: str
    profile: str
    dataset: str
    objectives: tuple[str, ...]
    n_trials: int
    sampler: str
    pruner: str
    paths: Mapping[str, str]
    device: str = ""
    select: Select = "last"
    fitted_on: str = ""
    warm_start: str = ""


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        number: Its number in the study, from 0.
        state: What became of it.
        values: One value an objective; of a pruned trial the last validation; empty where there is none.
        params: Its parameters by name; a conditional one only where its condition held.
        published: Whether it is the row's own setting.
        best: Best validation of the first objective, None if there was none.
        epochs: Passes over the training data that it trained.
        planned_epochs: Passes that it would have trained in full, None if not known.
        device_seconds: Seconds of training times devices.
        metrics: Every metric of its last validation by name.
        run_id: Its run, empty before there is one.
        host: Where it ran.
        cause: Why it failed, in one line.
        no_predictions: Whether its model predicted nothing.
        at_once: How many images of a batch went through the model at once, for want of memory; None of whole batches.
        same_as: The earlier trial whose run was reused, None if it trained itself.
        started: When it was asked for, in local time.
        finished: When it was told, in local time.
        warm: The earlier study's trial whose setting it tries, by number; None of one that the sampler has drawn.
    """

    number: int
    state: Group
    values: tuple[float, ...]
    params: Mapping[str, Any]
    published: bool
    best: float | None
    epochs: float
    planned_epochs: float | None
    device_seconds: float
    metrics: Mapping[str, float | None]
    run_id: str
    host: str
    cause: str
    no_predictions: bool
    at_once: int | None
    same_as: int | None
    started: datetime | None
    finished: datetime | None
    warm: int | None = None

    @property
    def group(self) -> Group:
        """Its state; ``reused`` if nothing was trained for it."""
        return "reused" if self.same_as is not None else self.state


@dataclass(frozen=True)
class Scale:
    """How a parameter is searched.

    Attributes:
        log: On a logarithmic scale.
        choices: The values of a categorical parameter, None of a number.
    """

    log: bool
    choices: tuple[Any, ...] | None


@dataclass(frozen=True)
class Worth:
    """What a difference in mAP50 between a trial and the row's own setting is worth.

    Attributes:
        difference: With its interval over the validation images; None if that is not known.
        chosen_from: Number of trials that the trial is the best of: the level of the interval is raised for them.
        why: Why it is not known, else empty.
    """

    difference: Difference | None = None
    chosen_from: int = 1
    why: str = ""

    @property
    def separated(self) -> bool:
        """Whether the interval leaves out 0."""
        found = self.difference
        return found is not None and not found.low <= 0 <= found.high

    @property
    def word(self) -> str:
        """``better``, ``worse``, ``not separated`` or ``unknown (why)``."""
        if self.difference is None:
            return f"unknown ({self.why})"
        if not self.separated:
            return "not separated"
        return "better" if self.difference.value > 0 else "worse"


@dataclass(frozen=True)
class Findings:
    """The results of a study.

    Attributes:
        about: What it is about.
        trials: Its trials in order of their numbers.
        higher_better: Of each objective, whether more is better.
        scales: How each parameter was searched, by name.
        importances: Of the parameters, for the first objective.
        worth: What the lead of the best trial, or of each on the front, over the row's own setting is worth, by number.
    """

    about: About
    trials: tuple[Trial, ...]
    higher_better: tuple[bool, ...]
    scales: Mapping[str, Scale]
    importances: Importances
    worth: Mapping[int, Worth] = field(default_factory=dict)

    @property
    def two(self) -> bool:
        """Whether there are two objectives."""
        return len(self.about.objectives) == 2

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters: those of the search, then any others that a trial has."""
        return tuple(dict.fromkeys([*self.about.paths, *self.scales]))

    @property
    def ranked(self) -> list[Trial]:
        """Complete trials, the best by the first objective first; of equals the lowest number."""
        complete = [trial for trial in self.trials if _is_complete(trial)]
        return sorted(complete, key=lambda trial: (-self.goodness(trial)[0], trial.number))

    @property
    def best(self) -> Trial | None:
        """The complete trial that is best by the first objective; of equals the lowest number."""
        return next(iter(self.ranked), None)

    @property
    def published(self) -> Trial | None:
        """The trial of the row's own setting; one that is complete, if any is."""
        tried = [trial for trial in self.trials if trial.published]
        return next((t for t in tried if _is_complete(t)), tried[-1] if tried else None)

    @property
    def front(self) -> list[Trial]:
        """The Pareto front, best first objective first; of trials with equal values the lowest number."""
        ranked = self.ranked
        first = {trial.values: trial for trial in reversed(ranked)}
        return [
            trial
            for trial in ranked
            if first[trial.values] is trial
            and not any(self.dominates(other, trial) for other in ranked)
        ]

    def goodness(self, trial: Trial) -> tuple[float, ...]:
        """A trial's values, signed so that more is better."""
        signed = zip(trial.values, self.higher_better, strict=True)
        return tuple(value if higher else -value for value, higher in signed)

    def dominates(self, one: Trial, other: Trial) -> bool:
        """Whether ``one`` is nowhere worse than ``other`` and somewhere better."""
        ours, theirs = self.goodness(one), self.goodness(other)
        return ours != theirs and all(a >= b for a, b in zip(ours, theirs, strict=True))

    @property
    def well(self) -> bool:
        """Whether a trial is complete, or none has ended yet."""
        ended = self.count("pruned") + self.count("failed")
        return self.count("complete") > 0 or not ended

    def count(self, state: Group) -> int:
        """Number of trials in a state."""
        return sum(trial.state == state for trial in self.trials)


def _is_complete(trial: Trial) -> bool:
    return trial.state == "complete" and all(map(math.isfinite, trial.values))


def read_findings(study: optuna.Study, about: About) -> Findings:
    """Reads a study; it may go on meanwhile.

    Args:
        study: The study, whose trials carry the driver's user attributes.
        about: What it is about.
    """
    from optuna.study import StudyDirection

    with _quiet():
        copy = _copy(study, about)
        frozen = copy.get_trials(deepcopy=False)
        trials = tuple(_trial(trial) for trial in frozen)
        higher = tuple(way == StudyDirection.MAXIMIZE for way in study.directions)
        return Findings(
            about, trials, higher, _scales(frozen), importances(copy, about.objectives[0])
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Optuna's notes on empty studies and experimental functions from the terminal."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _copy(study: optuna.Study, about: About) -> optuna.Study:
    """The study as it stands, in memory, where no other process changes it.

    Trials go into the storage, not through ``Study.add_trial``, which refuses a setting outside of the search's range,
    as the published one may be.
    """
    import optuna

    storage = optuna.storages.InMemoryStorage()
    made = storage.create_new_study(study.directions, about.name)
    for trial in study.get_trials(deepcopy=False):
        storage.create_new_trial(made, template_trial=trial)
    return optuna.load_study(study_name=about.name, storage=storage)


def _trial(trial: FrozenTrial) -> Trial:
    attrs = trial.user_attrs
    return Trial(
        number=trial.number,
        state=STATES[trial.state.name],
        values=tuple(trial.values or ()),
        params=trial.params,
        published=attrs.get("published") is True,
        best=attrs.get("best"),
        epochs=attrs.get("epochs") or 0.0,
        planned_epochs=attrs.get("planned_epochs"),
        device_seconds=attrs.get("device_seconds") or 0.0,
        metrics=_scalars(attrs.get("metrics") or {}),
        run_id=attrs.get("run_id") or "",
        host=attrs.get("host") or "",
        cause=attrs.get("cause") or "",
        no_predictions=attrs.get("no_predictions") is True,
        at_once=attrs.get("at_once"),
        same_as=attrs.get("same_as"),
        started=trial.datetime_start,
        finished=trial.datetime_complete,
        warm=attrs.get("warm"),
    )


def _scalars(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    return {k: v for k, v in metrics.items() if v is None or isinstance(v, int | float)}


def _scales(trials: list[FrozenTrial]) -> dict[str, Scale]:
    scales: dict[str, Scale] = {}
    for trial in trials:
        for name, searched in trial.distributions.items():
            choices = getattr(searched, "choices", None)
            scales.setdefault(name, Scale(bool(getattr(searched, "log", False)), choices))
    return scales
