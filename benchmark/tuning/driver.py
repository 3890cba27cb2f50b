"""The driver of a study: ask for a trial, run it, report its validations, tell what came of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmark.errors import UserError
from benchmark.run.record import State
from benchmark.run.state import Planned, look_again
from benchmark.sweep.base import Watcher
from benchmark.sweep.holders import end_orphans
from benchmark.sweep.loop import ask_to_stop
from benchmark.tuning.database import OUTAGES
from benchmark.tuning.open_trial import (
    FREE,
    SHARED,
    OpenTrial,
    Verdict,
    facts_of,
    outcome,
    worth_another_try,
)
from benchmark.tuning.storage import Store

# A job that was killed is continued, but one that is killed each time (by the out-of-memory killer, say) is not.
MAX_LOSSES = 3
OUTAGE_PATIENCE_S = 900.0
_LOOK_AGAIN_S = 1.0
_AFTER_OUTAGE_S = 5.0

_T = TypeVar("_T")

# From the values of the parameters and the trial's number to the run: composed, with its state on disk.
PlanTrial = Callable[[int, Mapping[str, Any]], Planned]


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
        self._active: dict[str, OpenTrial] = {}  # a job runs, by run id
        self._twins: list[OpenTrial] = []  # wait for the end of a run that is active
        self._lost: list[OpenTrial] = []  # to be continued
        self._untold: list[OpenTrial] = []  # ended; the storage does not know yet
        self._next_look = 0.0
        self._outage_since: float | None = None
        self._complete = False

    # Where a sweep's runs come from

    def gpus(self) -> int | None:
        """See `benchmark.sweep.base.Source`."""
        if self._lost:
            return self._gpus
        busy = (
            self._complete or self._untold or len(self._twins) >= self.store.strategies.most_twins
        )
        return None if busy or time.monotonic() < self._next_look else self._gpus

    def take(self) -> Planned | None:
        """See `benchmark.sweep.base.Source`: a run that was lost, a trial that was left behind, or a new one."""
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
        """See `benchmark.sweep.base.Source`."""
        return self._complete

    def _prepared(self, trial: optuna.Trial) -> Planned | None:
        """The trial's run; None if it needs none, because it cannot be composed or has been run."""
        try:
            opened = self._composed(trial)
            opened.elsewhere = self._finished_elsewhere(opened)
        except OUTAGES:
            self.store.let_go(trial.number)  # taken up again, as one that was left behind
            raise
        if opened.run is None or opened.elsewhere is not None:
            self._end(opened)
        elif opened.run_id in self._active:
            self._twins.append(opened)
        elif opened.run.record is not None and not worth_another_try(opened):
            self._end(opened)
        else:
            return self._begun(opened)
        return None

    def _composed(self, trial: optuna.Trial) -> OpenTrial:
        try:
            run = self.plan(trial.number, self.suggest(trial))
        except UserError as error:
            return OpenTrial(trial, None, cause="; ".join(error.problems))
        trial.set_user_attr("run_id", run.spec.run_id)
        return OpenTrial(trial, run)

    def _begun(self, opened: OpenTrial) -> Planned:
        assert opened.run is not None
        end_orphans([opened.run])
        opened.start_reading()
        opened.pruned = False
        self._active[opened.run_id] = opened
        self.ran.append(opened.number)
        return opened.run

    # What happens to them

    def started(self, run: Planned) -> None:
        """See `benchmark.sweep.base.Watcher`."""
        self.watcher.started(run)

    def tick(self) -> None:
        """Reports what was validated meanwhile, and asks those to stop that the pruner gives up."""
        self._despite_outages(self._look)
        self.watcher.tick()

    def _look(self) -> bool:
        """Does what is due; returns whether the storage was asked for anything."""
        gone = self.store.beat()
        for number in gone or ():
            self._give_up(number)
        told = bool(self._untold)
        self._tell_untold()
        new = [self._report(opened) for opened in list(self._active.values())]
        return gone is not None or told or any(new)

    def _give_up(self, number: int) -> None:
        """Another driver has taken the trial over, because this one gave no sign of life."""
        self.store.let_go(number)
        for waiting in (self._twins, self._lost, self._untold):
            waiting[:] = [opened for opened in waiting if opened.number != number]
        for opened in self._active.values():
            if opened.number == number and opened.run is not None:
                ask_to_stop(opened.run.folder, "interrupted")

    def ended(self, run: Planned, cause: str) -> None:
        """Tells the storage, or puts a run that was killed back."""
        opened = self._active.pop(run.spec.run_id)
        opened.run = run
        run.folder.stop_file.unlink(missing_ok=True)
        if run.record is not None:
            self._end(opened)
        elif opened.number in self.store.active:
            self._lose(opened, cause)
        else:
            self._answer_twins(opened)
        self.watcher.ended(run, cause)

    def _lose(self, opened: OpenTrial, cause: str) -> None:
        opened.losses += 1
        if opened.losses < MAX_LOSSES:
            self._lost.append(opened)
        else:
            opened.cause = f"lost {opened.losses} times: {cause}"
            self._end(opened)

    def _end(self, opened: OpenTrial) -> None:
        self._untold.append(opened)
        self._answer_twins(opened)
        self._despite_outages(self._tell_untold)

    def _answer_twins(self, opened: OpenTrial) -> None:
        """Trials with the same parameters have the same run, and so the same end."""
        for twin in [twin for twin in self._twins if twin.run_id == opened.run_id]:
            self._twins.remove(twin)
            assert twin.run is not None
            twin.run = look_again(twin.run)
            (self._lost if twin.run.record is None else self._untold).append(twin)

    def _tell_untold(self) -> None:
        while self._untold:
            told = self._untold[0]
            self._tell(told)
            self._untold = [opened for opened in self._untold if opened is not told]

    def _tell(self, opened: OpenTrial) -> None:
        if self._found(opened) is None:
            return  # another driver's by now
        if opened.elsewhere is not None:
            self._tell_as(opened, opened.elsewhere)
            return
        opened.start_reading()
        self._report(opened, prune=False)
        record = opened.run.record if opened.run else None
        if record is None or opened.cause:
            verdict: Verdict = (TrialState.FAIL, None, opened.cause)
        else:
            verdict = outcome(record, self.objectives)
        self.store.tell(opened.trial, verdict[0], verdict[1], facts_of(opened, verdict[2]))

    def _tell_as(self, opened: OpenTrial, twin: FrozenTrial) -> None:
        """Ends a trial as the one with the same parameters that another driver has run."""
        for step, value in twin.intermediate_values.items():
            self._report_value(opened, step, value)
        kept = {name: twin.user_attrs[name] for name in SHARED if name in twin.user_attrs}
        facts = {**kept, "same_as": twin.number, **FREE, "host": socket.gethostname()}
        self.store.tell(opened.trial, TrialState.COMPLETE, twin.values, facts)

    def _finished_elsewhere(self, opened: OpenTrial) -> FrozenTrial | None:
        """A complete trial with the same run, whose folder is not here."""
        if opened.run is None or opened.run.record is not None:
            return None
        complete = self.store.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        same = (trial for trial in complete if trial.user_attrs.get("run_id") == opened.run_id)
        return next(same, None)

    def _found(self, opened: OpenTrial) -> FrozenTrial | None:
        """The trial as the storage has it; None, and it is given up, if it is no longer this driver's."""
        found = self.store.mine(opened.number)
        if found is None:
            self._give_up(opened.number)
        return found

    # Validations

    def _report(self, opened: OpenTrial, prune: bool = True) -> bool:
        """Reports what is new; returns whether anything is."""
        points = opened.new_validations()
        try:
            for point in points:
                self._validated(opened, point, prune)
        except OUTAGES:
            opened.start_reading()  # all of it again, once the storage answers
            raise
        return bool(points)

    def _validated(self, opened: OpenTrial, point: Mapping[str, Any], prune: bool) -> None:
        name = self.objectives[0]
        value = point.get(name)
        if value is None and not opened.values:
            self._complain(opened, name)
        opened.values[point["iter"]] = float(value or 0.0)
        if len(self.objectives) > 1:
            return  # Optuna takes no intermediate values of two objectives, and prunes none
        # A validation that a kill undid is made again, at the same iteration.
        step = sum(iteration <= point["iter"] for iteration in opened.values)
        if not self._report_value(opened, step, opened.values[point["iter"]]):
            return
        # The row's own setting is what all others are held against: it is trained to its end.
        published = opened.trial.user_attrs.get("published")
        if prune and not opened.pruned and not published and opened.trial.should_prune():
            assert opened.run is not None
            opened.pruned = True
            ask_to_stop(opened.run.folder, State.PRUNED.value)

    def _report_value(self, opened: OpenTrial, step: int, value: float) -> bool:
        """Reports a value where the storage has none; returns whether the trial is still this driver's."""
        found = self._found(opened)
        if found is None:
            return False
        if step not in found.intermediate_values:
            opened.trial.report(value, step)
        return True

    def _complain(self, opened: OpenTrial, name: str) -> None:
        """Ends the study: every trial would go the same way."""
        assert opened.run is not None
        words = (
            f"objective '{name}': the first validation of trial {opened.number} has no such value "
            f"(see {opened.run.folder.metrics_file}): the validation images hold nothing to compute it from, "
            "or nothing computes it"
        )
        open_ones = [opened, *self._active.values(), *self._twins, *self._lost, *self._untold]
        for other in {one.number: one for one in open_ones}.values():
            facts = facts_of(other, words)
            self.store.tell(other.trial, TrialState.FAIL, None, facts)
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
        if result is not False:  # a look that asked for nothing says nothing
            self._outage_since = None
        return result
