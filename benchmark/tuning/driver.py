"""The driver of a study: asks for a trial, runs it, reports its validations, tells how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmark.errors import UserError
from benchmark.run.folder import RunFolder
from benchmark.run.record import State
from benchmark.run.state import Planned, look_again
from benchmark.sweep.base import Watcher
from benchmark.tuning.again import LOST
from benchmark.tuning.database import OUTAGES
from benchmark.tuning.jobs import FolderJobs, Jobs
from benchmark.tuning.open_trial import OpenTrial, worth_another_try
from benchmark.tuning.outages import Outages
from benchmark.tuning.storage import PLACE, Store
from benchmark.tuning.telling import Teller
from benchmark.tuning.validations import Validations
from benchmark.tuning.work import Work

# A job that was killed is continued, but one that is killed each time (by the out-of-memory killer, say) is not.
MAX_LOSSES = 3
_LOOK_AGAIN_S = 1.0

_T = TypeVar("_T")


@dataclass
class Asked:
    """What the trials of a study are.

    Attributes:
        suggest: Draws a trial's parameters.
        plan: Makes a trial's run from its number and its parameters: composed, with its state on disk.
        objectives: Names of the objectives.
        target: Number of trials up to which new ones are asked for.
        gpus: Number of GPUs that a run trains on.
        row: Name of the row that trials are made of.
    """

    suggest: Callable[[optuna.Trial], dict[str, Any]]
    plan: Callable[[int, Mapping[str, Any]], Planned]
    objectives: Sequence[str]
    target: int
    gpus: int
    row: str = ""


class Tuner:
    """Source and watcher of a sweep over trials: see `benchmark.sweep`.

    Args:
        store: The study in its storage.
        asked: What its trials are.
        watcher: Shows what happens.
        jobs: The jobs of the trials; those of run folders if None.

    Attributes:
        ran: Numbers of the trials whose jobs were started, in order.
    """

    takes_early = False  # what a trial came to decides on the next

    def __init__(
        self, store: Store, asked: Asked, watcher: Watcher, jobs: Jobs | None = None
    ) -> None:
        self.store = store
        self.asked = asked
        self.ran: list[int] = []
        self._watcher = watcher
        self._jobs = jobs or FolderJobs()
        self._work = Work(store, self._jobs)
        self._validations = Validations(self._work, asked.objectives)
        self._teller = Teller(self._work, self._validations, asked.objectives)
        self._outages = Outages(watcher.say)
        self._next_look = 0.0
        self._complete = False

    # Where a sweep's runs come from

    def gpus(self) -> int | None:
        """See `benchmark.sweep.base.Source`."""
        work, gpus = self._work, self.asked.gpus
        if work.lost:
            return gpus
        waits = time.monotonic() < max(self._next_look, self._outages.not_before)
        full = len(work.twins) >= self.store.strategies.most_twins
        return None if waits or full or self._complete or work.untold else gpus

    def row(self) -> str:
        """See `benchmark.sweep.base.Source`."""
        return self.asked.row

    def take(self) -> Planned | None:
        """See `benchmark.sweep.base.Source`: a run that was lost, a trial that was left behind, or a new one."""
        if self._work.lost:
            return self._begun(self._work.lost.pop(0))
        trial = self._despite_outages(lambda: self.store.next_trial(self.asked.target))
        if trial is None:
            self._next_look = time.monotonic() + _LOOK_AGAIN_S
            self._complete = self._nothing_left()
            return None
        return self._despite_outages(lambda: self._prepared(trial))

    def take_living(self, _lives: Callable[[Planned], bool]) -> None:
        """See `benchmark.sweep.base.Source`: trials that were left behind are asked for one by one."""

    def over(self, run: Planned) -> None:
        """See `benchmark.sweep.base.Source`: as a watcher it hears more of it."""

    def done(self) -> bool:
        """See `benchmark.sweep.base.Source`."""
        return self._complete

    def _nothing_left(self) -> bool:
        if self._outages.lasts or self._work.left:
            return False
        done = self._despite_outages(self.store.others_work) is False  # None: it does not answer
        if done:
            self._despite_outages(self._tell_out_of_reach)
        return done

    def _tell_out_of_reach(self) -> None:
        for trial in self.store.out_of_reach():
            results = trial.user_attrs[PLACE]["results"]
            self.say(
                f"trial {trial.number} is left alone: its job may go on without its driver in {results}, which cannot "
                "be seen from here; the same command with that folder goes on with it"
            )

    def _prepared(self, trial: optuna.Trial) -> Planned | None:
        """The trial's run; None if it needs none, because it cannot be composed or has been run."""
        try:
            opened = self._composed(trial)
            opened.elsewhere = self._finished_elsewhere(opened)
        except OUTAGES:
            self.store.let_go(trial.number)  # taken up again, as one that was left behind
            raise
        if opened.run is None or opened.elsewhere is not None or opened.cause:
            self._end(opened)
        elif opened.run_id in self._work.active:
            self._work.twins.append(opened)
        elif opened.run.record is not None and not worth_another_try(opened):
            self._end(opened)
        else:
            return self._begun(opened)
        return None

    def _composed(self, trial: optuna.Trial) -> OpenTrial:
        try:
            run = self.asked.plan(trial.number, self.asked.suggest(trial))
        except UserError as error:
            return OpenTrial(trial, None, cause="; ".join(error.problems))
        trial.set_user_attr("run_id", run.spec.run_id)
        where = self.store.where(trial)
        if where is not None and where != self.store.own:
            run = look_again(replace(run, folder=RunFolder(where / "runs" / run.spec.run_id)))
        return OpenTrial(trial, run, cause=run.problem, news=self._jobs.news(run))

    def _finished_elsewhere(self, opened: OpenTrial) -> FrozenTrial | None:
        """A complete trial with the same run, whose folder is not here."""
        if opened.run is None or opened.run.record is not None:
            return None
        complete = self.store.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        same = (trial for trial in complete if trial.user_attrs.get("run_id") == opened.run_id)
        return next(same, None)

    def _begun(self, opened: OpenTrial) -> Planned:
        assert opened.run is not None
        self._jobs.begin(opened.run)
        opened.trained = opened.number
        opened.pruned = False
        self._work.active[opened.run_id] = opened
        self.ran.append(opened.number)
        return opened.run

    # What happens to them

    def started(self, run: Planned) -> None:
        """See `benchmark.sweep.base.Watcher`."""
        self._watcher.started(run)

    def stands(self, run: Planned) -> None:
        """See `benchmark.sweep.base.Watcher`."""
        self._watcher.stands(run)

    def put_back(self, run: Planned, cause: str) -> None:
        """See `benchmark.sweep.base.Watcher`: the trial stays this driver's, and is no loss."""
        self._watcher.put_back(run, cause)

    def say(self, text: str) -> None:
        """See `benchmark.sweep.base.Watcher`."""
        self._watcher.say(text)

    def tick(self) -> None:
        """Reports what was validated meanwhile, and asks those to stop that the pruner gives up."""
        self._despite_outages(self._look)
        self._watcher.tick()

    def _look(self) -> bool:
        """Does what is due; returns whether the storage was asked for anything."""
        gone = self.store.beat()
        for number in gone or ():
            self._work.give_up(number)
        told = self._teller.tell_all()
        new = [self._validations.report(opened) for opened in list(self._work.active.values())]
        return gone is not None or told or any(new)

    def ended(self, run: Planned, cause: str) -> None:
        """Tells the storage, or puts a run that was killed back.

        Raises:
            UserError: What the run read is not what the study was planned with, and no other trial would fare better.
        """
        opened = self._work.active.pop(run.spec.run_id)
        opened.run = run
        self._jobs.over(run)
        if run.record is not None and run.record.asks_for_another_try:
            self.store.let_go(opened.number)  # the same command takes it up again
            raise UserError(f"trial {opened.number}: {run.record.cause}")
        if run.record is not None:
            self._end(opened)
        elif opened.number not in self.store.active:
            self._work.answer_twins(opened)
        elif run.state is State.INTERRUPTED:
            self._work.keep(opened)
        else:
            self._lose(opened, cause)
        self._watcher.ended(run, cause)

    def _lose(self, opened: OpenTrial, cause: str) -> None:
        opened.losses += 1
        if opened.losses < MAX_LOSSES:
            self._work.lost.append(opened)
        else:
            opened.cause = f"{LOST} {opened.losses} times: {cause}"
            self._end(opened)

    def _end(self, opened: OpenTrial) -> None:
        self._work.end(opened)
        self._despite_outages(self._teller.tell_all)

    def _despite_outages(self, action: Callable[[], _T]) -> _T | None:
        return self._outages.despite(action, jobs_run=bool(self._work.active))
