"""A trial in work: its run, what was read of it, and what is told of it at its end."""

from __future__ import annotations

import hashlib
import math
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmark.job.measure import objectives
from benchmark.run.folder import Damaged, RunFolder
from benchmark.run.identity import former_run_id
from benchmark.run.record import FailureKind, RunRecord, State
from benchmark.run.state import Planned, look_again
from benchmark.statistics.scores import SCORES
from benchmark.tuning.jobs import News

# What a trial that did not train itself has of the one that did, and what it costs.
SHARED = ("best", "metrics", "planned_epochs", "no_predictions")
FREE = {"epochs": 0.0, "device_seconds": 0.0}

Verdict = tuple[TrialState, "list[float] | None", str]


@dataclass
class OpenTrial:
    """A trial in work.

    Attributes:
        trial: Optuna's trial.
        run: Its run; None if it cannot be composed.
        cause: Why it has failed, if that is not in a record.
        elsewhere: A complete trial with the same run, which another driver has run in its own folder.
        news: The run's journal; None if it has no run.
        unreported: Validations of the journal that Optuna has not been told of.
        values: First objective at each validation, by training iteration; the number of them is Optuna's step.
        newest: The journal's newest point with an epoch.
        max_iters: Training iterations in all.
        losses: How often its job was killed under this driver.
        pruned: Whether it was asked to end early.
        trained: Number of the trial that the run was trained for, None if that is not known yet.
    """

    trial: optuna.Trial
    run: Planned | None
    cause: str = ""
    elsewhere: FrozenTrial | None = None
    news: News | None = None
    unreported: list[dict[str, Any]] = field(default_factory=list)
    values: dict[int, float] = field(default_factory=dict)
    newest: dict[str, Any] = field(default_factory=dict)
    max_iters: int = 0
    losses: int = 0
    pruned: bool = False
    trained: int | None = None

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.trial.number

    @property
    def run_id(self) -> str:
        """Id of its run; empty if it has none."""
        return self.run.spec.run_id if self.run else ""

    def read_journal(self) -> None:
        """Takes in what was written since the last look; its validations are to be reported."""
        for point in self.news.new_points() if self.news else ():
            self.newest = point if "epoch" in point else self.newest
            self.max_iters = point.get("max_iters", self.max_iters)
            if point["kind"] == "start":
                self._forget_after(point["iter"])
            elif point["kind"] == "val":
                self.unreported.append(point)

    def _forget_after(self, iteration: int) -> None:
        """What an attempt that was killed had validated beyond this iteration is validated again."""
        self.values = {done: value for done, value in self.values.items() if done <= iteration}
        self.unreported = [point for point in self.unreported if point["iter"] <= iteration]

    def trained_for(self) -> int | None:
        """Number of the trial that the run on disk was trained for, from ``spec.json`` unless it is known."""
        if self.trained is None and self.run:
            with suppress(FileNotFoundError, NotADirectoryError, Damaged):
                self.trained = self.run.folder.read_spec().trial
        return self.trained


def worth_another_try(opened: OpenTrial) -> bool:
    """Whether a run that failed under an earlier trial may end otherwise: a loss that is no number will not."""
    record = opened.run.record if opened.run else None
    if (
        record is None
        or record.state is not State.FAILED
        or record.failure_kind is FailureKind.DIVERGED
    ):
        return False
    return record.asks_for_another_try or opened.trained_for() != opened.number


def outcome(record: RunRecord, objectives: Sequence[str]) -> Verdict:
    """How a run's trial ends: its state, its values, and why it failed if it did."""
    if record.state is State.PRUNED:
        return TrialState.PRUNED, None, ""
    if record.state is State.FAILED:
        kind = record.failure_kind or FailureKind.ERROR
        return TrialState.FAIL, None, f"{kind.value}: {record.cause}"
    values = {name: _value(record, name) for name in objectives}
    absent = [name for name, value in values.items() if value is None]
    if absent:
        return TrialState.FAIL, None, f"the run has no value for {', '.join(absent)}"
    return TrialState.COMPLETE, [value for value in values.values() if value is not None], ""


def _value(record: RunRecord, objective: str) -> float | None:
    if objective in SCORES:
        value: float | str | None = record.score(objective)
    else:
        _, reading = objectives()[objective]
        value = reading.read(record)
    return float(value) if value is not None and math.isfinite(float(value)) else None


def facts_of(opened: OpenTrial, cause: str) -> dict[str, Any]:
    """What the study's summary says of a trial, for those who have the storage and not the run folder."""
    done, epochs = opened.newest.get("iter", 0), opened.newest.get("epoch", 0.0)
    facts: dict[str, Any] = {"epochs": epochs, "host": socket.gethostname()}
    facts |= {"cause": cause} if cause else {}
    if done and opened.max_iters:
        facts["planned_epochs"] = round(epochs * opened.max_iters / done, 2)
    if opened.values:
        facts["best"] = max(opened.values.values())
    record = opened.run.record if opened.run else None
    return {**facts, **_recorded(opened, record)} if record else facts


def _recorded(opened: OpenTrial, record: RunRecord) -> dict[str, Any]:
    assert opened.run is not None
    seconds = (record.train_seconds or 0.0) * opened.run.spec.gpus
    scores = record.metrics.scores
    metrics = {name: scores.get(name) for name in ("mAP50", "mAP") if scores}
    facts: dict[str, Any] = {"device_seconds": round(seconds, 3), "metrics": metrics}
    facts |= {"no_predictions": True} if record.no_predictions else {}
    facts |= {"device": record.provenance.device or ""}
    facts |= {"at_once": record.accumulation.images} if record.accumulation else {}
    trained_for = opened.trained_for()
    if trained_for not in (None, opened.number):
        facts |= {"same_as": trained_for, **FREE}
    return facts


def as_trial(
    planned: Planned, study: str, study_id: str, number: int, params: Mapping[str, Any]
) -> Planned:
    """A run of the row as a trial's: named after the study, and nobody else's."""
    spec = planned.spec
    same = spec.run_id.rpartition("-")[2]
    # With the study's own id: a study of this name elsewhere, or one that was deleted, has runs of its own.
    digest = hashlib.sha256(f"{same} {study_id}".encode()).hexdigest()[:8]
    own_id = former_run_id(study, spec.seed, spec.profile, digest, spec.fold)
    made = replace(
        spec,
        run_id=own_id,
        experiment=study,
        dataset=replace(spec.dataset, test=None),  # nothing is ever chosen on it
        study=study_id,
        trial=number,
        params=dict(params),
    )
    return look_again(
        replace(planned, spec=made, folder=RunFolder(planned.folder.path.parent / own_id))
    )
