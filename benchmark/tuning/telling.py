"""Tells the storage how trials ended."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from benchmark.tuning.open_trial import FREE, SHARED, OpenTrial, facts_of, outcome
from benchmark.tuning.validations import Validations
from benchmark.tuning.work import Work


class Teller:
    """Tells the storage how trials ended, each once.

    Args:
        work: The trials in work.
        validations: Reports what a trial's journal has gained until its end.
        objectives: Names of the objectives.
    """

    def __init__(self, work: Work, validations: Validations, objectives: Sequence[str]) -> None:
        self._work = work
        self._validations = validations
        self._objectives = tuple(objectives)

    def tell_all(self) -> bool:
        """Tells of every trial that has ended; returns whether there was one. It stays until the storage knows."""
        untold = bool(self._work.untold)
        while self._work.untold:
            opened = self._work.untold[0]
            self._tell(opened)
            self._work.untold[:] = [other for other in self._work.untold if other is not opened]
        return untold

    def _tell(self, opened: OpenTrial) -> None:
        if self._work.mine(opened) is None:
            return  # another driver's by now
        if opened.elsewhere is not None:
            self._tell_as(opened, opened.elsewhere)
            return
        self._validations.report(opened, prune=False)
        record = opened.run.record if opened.run else None
        state, values, cause = TrialState.FAIL, None, opened.cause
        if record is not None and not opened.cause:
            state, values, cause = outcome(record, self._objectives)
        self._work.store.tell(opened.trial, state, values, facts_of(opened, cause))

    def _tell_as(self, opened: OpenTrial, twin: FrozenTrial) -> None:
        """Ends a trial as the one with the same parameters that another driver has run."""
        for step, value in twin.intermediate_values.items():
            self._validations.report_value(opened, step, value)
        shared = {name: twin.user_attrs[name] for name in SHARED if name in twin.user_attrs}
        facts = {**shared, "same_as": twin.number, **FREE, "host": socket.gethostname()}
        self._work.store.tell(opened.trial, TrialState.COMPLETE, twin.values, facts)
