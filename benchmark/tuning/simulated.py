"""A study whose jobs train in simulated time: the driver asks, hears validations, prunes and tells as it always does.

What a training would come to, its curve, somebody has to say: a recording of trainings (``perf/tuning.py``), or a guess
(`benchmark.tuning.guesses`). All else is the real driver over a study in memory.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmark.data.dataset import Dataset, Split
from benchmark.run.folder import RunFolder
from benchmark.run.journal import Point
from benchmark.run.record import Metrics, Provenance, RunRecord, State
from benchmark.run.spec import RunSpec
from benchmark.run.state import Planned
from benchmark.statistics.scores import MAIN
from benchmark.tuning.driver import Asked, Tuner
from benchmark.tuning.storage import Store

_NOWHERE = Split(Path("simulated.json"), Path("simulated"), "")
_DATA = Dataset("simulated", (), _NOWHERE, _NOWHERE)
# Nothing is ever written there, or found.
_FOLDER = Path("/dev/null/simulated")
# Of how trials end, what leaves a run that another with the same parameters takes over.
_ENDS = {TrialState.COMPLETE: State.COMPLETE, TrialState.PRUNED: State.PRUNED}
_BEGAN = "1970-01-01T00:00:00+00:00"


@dataclass(frozen=True)
class Curve:
    """What a training comes to, and what that takes.

    Attributes:
        values: The objective at each validation, the last one's being the training's own; at least one.
        seconds: Time from one validation to the next, the first one's from the start; as many.
    """

    values: Sequence[float]
    seconds: Sequence[float]


@dataclass(frozen=True)
class Ended:
    """A trial that was trained here, as it ended.

    Attributes:
        number: Its number.
        params: Its parameters, as Optuna holds them.
        values: The objective at each of its validations.
        pruned: Whether it was given up.
        spent: Validations of all trials until then, those included that were still in training.
    """

    number: int
    params: Mapping[str, Any]
    values: Sequence[float]
    pruned: bool
    spent: int


@dataclass
class _Job:
    run: Planned
    params: Mapping[str, Any]
    curve: Curve
    number: int = 0
    points: list[Point] = field(default_factory=list)
    asked: bool = False


class _News:
    """What a simulated job has validated, heard as `benchmark.run.journal.Tail` hears a real one."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points
        self._heard = 0

    def new_points(self) -> list[Point]:
        new = list(self._points[self._heard :])
        self._heard += len(new)
        return new


class _Jobs:
    """The jobs of a simulation, by run id; see `benchmark.tuning.jobs.Jobs`."""

    def __init__(self) -> None:
        self.by_id: dict[str, _Job] = {}

    def news(self, run: Planned) -> _News:
        return _News(self.by_id[run.spec.run_id].points)

    def begin(self, run: Planned) -> None:
        """Nothing was left behind."""

    def end(self, run: Planned, _state: State) -> None:
        self.by_id[run.spec.run_id].asked = True

    def over(self, run: Planned) -> None:
        """Nothing is left to clear away."""


class _Unseen:
    """Nobody watches; see `benchmark.sweep.base.Watcher`."""

    def started(self, run: Planned) -> None: ...
    def stands(self, run: Planned) -> None: ...
    def ended(self, run: Planned, cause: str) -> None: ...
    def put_back(self, run: Planned, cause: str) -> None: ...
    def say(self, text: str) -> None: ...
    def tick(self) -> None: ...


class Simulation:
    """A study that is run in simulated time, a validation at a time on each slot.

    Args:
        store: The study in memory, see `benchmark.tuning.opening`; what it has of ended trials is known.
        suggest: Draws a trial's parameters.
        answer: What a training with these parameters comes to; the same for the same.
        slots: Number of trials side by side.
        target: Number of trials up to which new ones are asked for; None for no end.

    Attributes:
        ended: The trials that were trained, in the order in which they ended. One whose parameters an earlier one had
            takes that one's end and costs nothing: it is not among them.
        spent: Validations of all trials so far.
        seconds: Simulated time so far.
    """

    def __init__(
        self,
        store: Store,
        suggest: Callable[[optuna.Trial], dict[str, Any]],
        answer: Callable[[Mapping[str, Any]], Curve],
        slots: int,
        target: int | None = None,
    ) -> None:
        self.ended: list[Ended] = []
        self.spent = 0
        self.seconds = 0.0
        self._answer = answer
        self._slots = slots
        self._jobs = _Jobs()
        self._next: list[
            tuple[float, int, str]
        ] = []  # when a job validates next; the earlier started first
        for trial in store.study.get_trials(deepcopy=False):
            self._knows(trial)
        asked = Asked(suggest, self._plan, [MAIN], sys.maxsize if target is None else target, 1)
        self._tuner = Tuner(store, asked, _Unseen(), self._jobs)

    def _knows(self, trial: FrozenTrial) -> None:
        """A run with its parameters is there, as it would be on disk."""
        state = _ENDS.get(trial.state)
        run_id = _run_id(trial.params)
        if state is None or run_id in self._jobs.by_id:
            return
        values = [*trial.intermediate_values.values(), *(trial.values or ())]
        spec = _spec(run_id)
        record = _record(spec, state, values[-1] if values else 0.0)
        run = Planned(spec, {}, RunFolder(_FOLDER / run_id), state, record)
        self._jobs.by_id[run_id] = _Job(run, trial.params, Curve([], []))

    def run(self, budget: int | None = None) -> None:
        """Runs until no trial is left, or until so many validations are spent: what trains then is left as it is."""
        while True:
            self._start()
            if not self._next or (budget is not None and self.spent >= budget):
                return
            self.seconds, _, run_id = heapq.heappop(self._next)
            self._validate(self._jobs.by_id[run_id])

    def _start(self) -> None:
        """Fills the slots that are free, as `benchmark.sweep.loop.Sweep` does."""
        while len(self._next) < self._slots and self._tuner.gpus() is not None:
            run = self._tuner.take()
            if run is not None:
                job = self._jobs.by_id[run.spec.run_id]
                job.number = self._tuner.ran[-1]
                self._later(job)

    def _later(self, job: _Job) -> None:
        at = self.seconds + job.curve.seconds[len(job.points)]
        heapq.heappush(self._next, (at, job.number, job.run.spec.run_id))

    def _validate(self, job: _Job) -> None:
        done, count = len(job.points) + 1, len(job.curve.values)
        point = {"kind": "val", "iter": done, "epoch": float(done), "max_iters": count}
        job.points.append({**point, MAIN: job.curve.values[done - 1]})
        self.spent += 1
        if done == count:
            self._end(job, State.COMPLETE)
            return
        self._tuner.tick()
        if job.asked:
            self._end(job, State.PRUNED)
        else:
            self._later(job)

    def _end(self, job: _Job, state: State) -> None:
        values = [point[MAIN] for point in job.points]
        job.run = replace(job.run, state=state, record=_record(job.run.spec, state, values[-1]))
        pruned = state is State.PRUNED
        self.ended.append(Ended(job.number, job.params, values, pruned, self.spent))
        self._tuner.ended(job.run, "")

    def _plan(self, _number: int, params: Mapping[str, Any]) -> Planned:
        """The run with these parameters, as far as it has come."""
        run_id = _run_id(params)
        known = self._jobs.by_id.get(run_id)
        if known is None:
            run = Planned(_spec(run_id), {}, RunFolder(_FOLDER / run_id), State.WAITING)
            known = self._jobs.by_id[run_id] = _Job(run, dict(params), self._answer(params))
        return known.run


def _run_id(params: Mapping[str, Any]) -> str:
    text = json.dumps(params, sort_keys=True)
    return f"trial-s0-simulated-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _spec(run_id: str) -> RunSpec:
    return RunSpec(run_id, "simulated", "trial", {}, "parts", {}, 0, _DATA, "simulated")


def _record(spec: RunSpec, state: State, value: float) -> RunRecord:
    return RunRecord(
        run_id=spec.run_id,
        row=spec.row,
        seed=spec.seed,
        profile=spec.profile,
        state=state,
        metrics=Metrics({MAIN: value}),
        no_predictions=False,
        params=None,
        train_seconds=None,
        peak_memory_gib=None,
        started_at=_BEGAN,
        finished_at=_BEGAN,
        provenance=Provenance(),
    )
