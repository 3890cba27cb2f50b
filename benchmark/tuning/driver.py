"""The driver of a study: ask for a trial, run it, report its validations, tell what came of it."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import optuna
from optuna.trial import TrialState

from benchmark.errors import UserError
from benchmark.journal import Tail
from benchmark.plan import Planned, look_again
from benchmark.run import RunRecord, State
from benchmark.sweep import Watcher, ask_to_stop, end_orphans
from benchmark.tuning.storage import OUTAGES, Store

# A job that was killed is continued, but one that is killed each time (by the out-of-memory killer, say) is not.
MAX_LOSSES = 3
OUTAGE_PATIENCE_S = 900.0
_LOOK_AGAIN_S = 1.0
_AFTER_OUTAGE_S = 5.0

_T = TypeVar("_T")

# From the values of the parameters and the trial's number to the run: composed, with its state on disk.
PlanTrial = Callable[[int, Mapping[str, Any]], Planned]


@dataclass
class Attempt:
    """A trial in work.

    Attributes:
        trial: Optuna's trial.
        run: Its run.
        tail: The part of the run's journal that was not read yet.
        values: First objective at each validation, by training iteration; the number of them is Optuna's step.
        newest: The journal's newest point with an epoch.
        max_iters: Training iterations in all.
        losses: How often its job was killed under this driver.
        pruned: Whether it was asked to end early.
    """

    trial: optuna.Trial
    run: Planned
    tail: Tail
    values: dict[int, float] = field(default_factory=dict)
    newest: dict[str, Any] = field(default_factory=dict)
    max_iters: int = 0
    losses: int = 0
    pruned: bool = False

    def start_reading(self) -> None:
        """Reads the journal from its beginning."""
        self.tail = Tail(self.run.folder.metrics_file)
        self.values, self.newest = {}, {}


class Tuner:
    """Asks for trials, watches their runs, and tells what came of them: source and watcher of a sweep.

    Args:
        store: The study in its storage.
        suggest: Draws a trial's parameters.
        plan: Makes a trial's run from its parameters.
        objectives: Names of the objectives.
        target: Number of trials up to which new ones are asked for.
        gpus: Number of GPUs that a run trains on.
        watcher: Shows what happens.
    """

    def __init__(
        self,
        store: Store,
        suggest: Callable[[optuna.Trial], dict[str, Any]],
        plan: PlanTrial,
        objectives: Sequence[str],
        target: int,
        gpus: int,
        watcher: Watcher,
    ) -> None:
        self.store = store
        self.suggest = suggest
        self.plan = plan
        self.objectives = tuple(objectives)
        self.target = target
        self.watcher = watcher
        self.ran: list[int] = []
        self._gpus = gpus
        self._active: dict[str, Attempt] = {}
        self._twins: list[Attempt] = []
        self._lost: list[Attempt] = []
        self._untold: list[Attempt] = []
        self._next_look = 0.0
        self._outage_since: float | None = None
        self._complete = False

    # Where a sweep's runs come from

    def gpus(self) -> int | None:
        """See `benchmark.sweep.Source`."""
        if self._lost:
            return self._gpus
        # A trial with the parameters of one that runs waits for that: asking on would only draw more of them.
        busy = self._complete or self._twins or self._untold
        return None if busy or time.monotonic() < self._next_look else self._gpus

    def take(self) -> Planned | None:
        """See `benchmark.sweep.Source`: a run that was lost, a trial that was left behind, or a new one."""
        if self._lost:
            return self._begun(self._lost.pop(0))
        trial = self._despite_outages(lambda: self.store.next_trial(self.target))
        if trial is None:
            self._next_look = time.monotonic() + _LOOK_AGAIN_S
            self._complete = self._nothing_left()
            return None
        return self._despite_outages(lambda: self._prepared(trial))

    def _nothing_left(self) -> bool:
        if self._outage_since is not None or self._active or self._twins or self._untold:
            return False
        return self._despite_outages(self.store.others_work) is False  # None: it does not answer

    def done(self) -> bool:
        """See `benchmark.sweep.Source`."""
        return self._complete

    def _prepared(self, trial: optuna.Trial) -> Planned | None:
        """The trial's run; None if it needs none, because it cannot be composed or has been run."""
        try:
            params = self.suggest(trial)
            run = self.plan(trial.number, params)
            trial.set_user_attr("run_id", run.spec.run_id)
        except UserError as error:
            self.store.tell(trial, TrialState.FAIL, None, {"cause": "; ".join(error.problems)})
            return None
        except OUTAGES:
            self.store.let_go(trial.number)  # taken up again, as one that was left behind
            raise
        attempt = Attempt(trial, run, Tail(run.folder.metrics_file))
        if run.spec.run_id in self._active:
            self._twins.append(attempt)
        elif run.record is not None:
            self._end(attempt)
        else:
            return self._begun(attempt)
        return None

    def _begun(self, attempt: Attempt) -> Planned:
        end_orphans([attempt.run])
        attempt.start_reading()
        attempt.pruned = False
        self._active[attempt.run.spec.run_id] = attempt
        self.ran.append(attempt.trial.number)
        return attempt.run

    # What happens to them

    def started(self, run: Planned) -> None:
        """See `benchmark.sweep.Watcher`."""
        self.watcher.started(run)

    def tick(self) -> None:
        """Reports what was validated meanwhile, and asks those to stop that the pruner gives up."""
        self._despite_outages(self._look)
        self.watcher.tick()

    def _look(self) -> None:
        for number in self.store.beat():
            self._give_up(number)
        self._tell_untold()
        for attempt in list(self._active.values()):
            self._report(attempt)

    def _give_up(self, number: int) -> None:
        """Another driver has taken the trial over, because this one gave no sign of life."""
        self.store.let_go(number)
        for attempt in self._active.values():
            if attempt.trial.number == number:
                ask_to_stop(attempt.run.folder, "interrupted")

    def ended(self, run: Planned, cause: str) -> None:
        """Tells the storage, or puts a run that was killed back."""
        attempt = self._active.pop(run.spec.run_id)
        attempt.run = run
        run.folder.stop_file.unlink(missing_ok=True)
        if attempt.trial.number in self.store.active:
            if run.record is None:
                self._lose(attempt, cause)
            else:
                self._end(attempt)
        self.watcher.ended(run, cause)

    def _lose(self, attempt: Attempt, cause: str) -> None:
        attempt.losses += 1
        if attempt.losses < MAX_LOSSES:
            self._lost.append(attempt)
            return
        words = f"lost {attempt.losses} times: {cause}"
        self._despite_outages(lambda: self._fail(attempt, words))
        self._answer_twins(attempt)

    def _fail(self, attempt: Attempt, cause: str) -> None:
        self.store.tell(attempt.trial, TrialState.FAIL, None, {**_facts(attempt), "cause": cause})

    def _end(self, attempt: Attempt) -> None:
        self._untold.append(attempt)
        self._answer_twins(attempt)
        self._despite_outages(self._tell_untold)

    def _answer_twins(self, attempt: Attempt) -> None:
        """Trials with the same parameters have the same run, and so the same end."""
        for twin in [t for t in self._twins if t.run.spec.run_id == attempt.run.spec.run_id]:
            self._twins.remove(twin)
            twin.run = look_again(twin.run)
            if twin.run.record is None:
                self._lost.append(twin)
            else:
                self._untold.append(twin)

    def _tell_untold(self) -> None:
        while self._untold:
            self._tell(self._untold[0])
            self._untold.pop(0)

    def _tell(self, attempt: Attempt) -> None:
        attempt.start_reading()
        self._report(attempt, prune=False)
        record = attempt.run.record
        assert record is not None
        state, values, cause = outcome(record, self.objectives)
        facts = {**_facts(attempt), **({"cause": cause} if cause else {})}
        earlier = self._earlier_twin(attempt)
        if earlier is not None:
            facts = {**facts, "same_as": earlier, "epochs": 0.0, "device_seconds": 0.0}
        self.store.tell(attempt.trial, state, values, facts)

    def _earlier_twin(self, attempt: Attempt) -> int | None:
        trials = self.store.study.get_trials(deepcopy=False)
        same = [
            t.number
            for t in trials
            if t.user_attrs.get("run_id") == attempt.run.spec.run_id and t.state.is_finished()
        ]
        return same[0] if same else None

    # Validations

    def _report(self, attempt: Attempt, prune: bool = True) -> None:
        for point in attempt.tail.new_points():
            if "epoch" in point:
                attempt.newest = point
            attempt.max_iters = point.get("max_iters", attempt.max_iters)
            if point["kind"] == "val":
                self._validated(attempt, point, prune)

    def _validated(self, attempt: Attempt, point: Mapping[str, Any], prune: bool) -> None:
        name = self.objectives[0]
        value = point.get(name)
        if value is None:
            self._complain(attempt, name)
        attempt.values[point["iter"]] = float(value or 0.0)
        if len(self.objectives) > 1:
            return  # Optuna takes no intermediate values of two objectives, and prunes none
        # A validation that a kill undid is made again, at the same iteration.
        step = sum(iteration <= point["iter"] for iteration in attempt.values)
        if step not in self._reported(attempt):
            attempt.trial.report(attempt.values[point["iter"]], step)
        # The row's own setting is what all others are held against: it is trained to its end.
        published = attempt.trial.user_attrs.get("published")
        if prune and not attempt.pruned and not published and attempt.trial.should_prune():
            attempt.pruned = True
            ask_to_stop(attempt.run.folder, State.PRUNED.value)

    def _reported(self, attempt: Attempt) -> Mapping[int, float]:
        found = self.store.study.get_trials(deepcopy=False)[attempt.trial.number]
        return found.intermediate_values

    def _complain(self, attempt: Attempt, name: str) -> None:
        """Ends the study: every trial would go the same way."""
        words = (
            f"objective '{name}': the first validation of trial {attempt.trial.number} has no such value "
            f"(see {attempt.run.folder.metrics_file}): the validation images hold nothing to compute it from, "
            "or nothing computes it"
        )
        for other in [attempt, *self._active.values()]:
            self._despite_outages(lambda other=other: self._fail(other, words))  # type: ignore[misc]
        raise UserError(words)

    # A storage that does not answer for a while

    def _despite_outages(self, action: Callable[[], _T]) -> _T | None:
        """The action's result; None while the storage does not answer, for which the jobs do not wait."""
        try:
            result = action()
        except OUTAGES as error:
            began = self._outage_since = self._outage_since or time.monotonic()
            self._next_look = time.monotonic() + _AFTER_OUTAGE_S
            if not self._active and time.monotonic() - began > OUTAGE_PATIENCE_S:
                raise UserError(
                    f"the storage has not answered for {OUTAGE_PATIENCE_S / 60:.0f} minutes "
                    f"({type(error).__name__}); nothing is lost: the same command goes on where this one ends"
                ) from None
            return None
        self._outage_since = None
        return result


def outcome(
    record: RunRecord, objectives: Sequence[str]
) -> tuple[TrialState, list[float] | None, str]:
    """How a run's trial ends: its state, its values, and why it failed if it did."""
    if record.state is State.PRUNED:
        return TrialState.PRUNED, None, ""
    if record.state is State.FAILED:
        kind = (record.failure or {}).get("kind", "error")
        return TrialState.FAIL, None, f"{kind}: {record.cause}"
    values = {name: _value(record, name) for name in objectives}
    absent = [name for name, value in values.items() if value is None]
    if absent:
        return TrialState.FAIL, None, f"the run has no value for {', '.join(absent)}"
    return TrialState.COMPLETE, [value for value in values.values() if value is not None], ""


def _value(record: RunRecord, objective: str) -> float | None:
    if objective == "params":
        value: Any = record.params
    elif objective == "latency":
        value = (record.latency_ms or {}).get("median")
    else:
        value = record.metrics.get(objective, 0.0 if record.no_predictions else None)
    return float(value) if value is not None and math.isfinite(value) else None


def _facts(attempt: Attempt) -> dict[str, Any]:
    """What the study's summary says of a trial, for those who have the storage and not the run folder."""
    done, epochs = attempt.newest.get("iter", 0), attempt.newest.get("epoch", 0.0)
    facts: dict[str, Any] = {"epochs": epochs, "host": socket.gethostname()}
    if done and attempt.max_iters:
        facts["planned_epochs"] = round(epochs * attempt.max_iters / done, 2)
    if attempt.values:
        facts["best"] = max(attempt.values.values())
    record = attempt.run.record
    if record is None:
        return facts
    seconds = record.train_seconds * attempt.run.spec.gpus
    metrics = {name: record.metrics.get(name) for name in ("mAP50", "mAP") if record.metrics}
    silent = {"no_predictions": True} if record.no_predictions else {}
    return {**facts, "device_seconds": round(seconds, 3), "metrics": metrics, **silent}


def as_trial(planned: Planned, study: str, number: int, params: Mapping[str, Any]) -> Planned:
    """A run of the row as a trial's: named after the study, and nobody else's."""
    from benchmark.run import RunFolder, run_id

    spec = planned.spec
    digest = spec.run_id.rpartition("-")[2]
    own_id = run_id(study, spec.seed, spec.profile, digest)
    made = replace(spec, run_id=own_id, experiment=study, trial=number, params=dict(params))
    return look_again(
        replace(planned, spec=made, folder=RunFolder(planned.folder.path.parent / own_id))
    )
