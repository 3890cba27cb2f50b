"""The trials in work under one driver, by what they wait for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from optuna.trial import FrozenTrial

from benchmark.run.record import State
from benchmark.tuning.jobs import Jobs
from benchmark.tuning.open_trial import OpenTrial
from benchmark.tuning.storage import Store


@dataclass
class Work:
    """The trials in work under one driver.

    Attributes:
        store: The study in its storage.
        jobs: The jobs of the trials.
        active: Trials whose job runs, by run id.
        twins: Trials that wait for the end of a run that is active: they have the same parameters.
        lost: Trials whose job was killed, to be continued.
        untold: Trials that have ended, which the storage does not know yet.
        kept: Trials whose run a user has stopped, for the next driver to go on with, and those with the same run.
    """

    store: Store
    jobs: Jobs
    active: dict[str, OpenTrial] = field(default_factory=dict)
    twins: list[OpenTrial] = field(default_factory=list)
    lost: list[OpenTrial] = field(default_factory=list)
    untold: list[OpenTrial] = field(default_factory=list)
    kept: list[OpenTrial] = field(default_factory=list)

    @property
    def left(self) -> bool:
        """Whether anything is in work."""
        return bool(self.active or self.twins or self.lost or self.untold)

    def trials(self) -> list[OpenTrial]:
        """Every trial in work."""
        return [*self.active.values(), *self.twins, *self.lost, *self.untold, *self.kept]

    def end(self, opened: OpenTrial) -> None:
        """The trial has ended, and with it those that wait for its run; the storage is to be told."""
        self.untold.append(opened)
        self.answer_twins(opened)

    def keep(self, opened: OpenTrial) -> None:
        """The trial stays this driver's, which does not go on with it: its run was stopped, to be continued later."""
        twins = [twin for twin in self.twins if twin.run_id == opened.run_id]
        self.twins = [twin for twin in self.twins if twin not in twins]
        self.kept += [opened, *twins]

    def answer_twins(self, opened: OpenTrial) -> None:
        """Trials with the same parameters have the same run, and so the same end."""
        for twin in [twin for twin in self.twins if twin.run_id == opened.run_id]:
            self.twins.remove(twin)
            assert twin.run is not None
            assert opened.run is not None
            twin.run = replace(twin.run, state=opened.run.state, record=opened.run.record)
            twin.trained = opened.trained
            (self.lost if twin.run.record is None else self.untold).append(twin)

    def mine(self, opened: OpenTrial) -> FrozenTrial | None:
        """The trial as the storage has it; None, and it is given up, if it is no longer this driver's."""
        frozen = self.store.mine(opened.number)
        if frozen is None:
            self.give_up(opened.number)
        return frozen

    def give_up(self, number: int) -> None:
        """Another driver has taken the trial over, because this one gave no sign of life."""
        self.store.let_go(number)
        for waiting in (self.twins, self.lost, self.untold, self.kept):
            waiting[:] = [opened for opened in waiting if opened.number != number]
        if self.store.outlives:
            return  # the other goes on with that very job
        for opened in self.active.values():
            if opened.number == number and opened.run is not None:
                self.jobs.end(opened.run, State.INTERRUPTED)
