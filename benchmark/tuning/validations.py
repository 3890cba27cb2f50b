"""Reports the validations of trials to Optuna, and asks those to end that the pruner gives up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import TrialState

from benchmark.errors import UserError
from benchmark.run.record import State
from benchmark.tuning.open_trial import OpenTrial, facts_of
from benchmark.tuning.work import Work


class Validations:
    """Reports validations, each once.

    Args:
        work: The trials in work.
        objectives: Names of the objectives; the first is a score of a validation.
    """

    def __init__(self, work: Work, objectives: Sequence[str]) -> None:
        self._work = work
        self._objective = objectives[0]
        # Optuna takes no intermediate values of two objectives, and prunes none.
        self._reports = len(objectives) == 1

    def report(self, opened: OpenTrial, prune: bool = True) -> bool:
        """Reports what is new in a trial's journal; returns whether anything is.

        A validation stays to be reported until the storage has taken it.
        """
        opened.read_journal()
        new = bool(opened.unreported)
        while opened.unreported:
            self._one(opened, opened.unreported[0], prune)
            opened.unreported.pop(0)
        return new

    def report_value(self, opened: OpenTrial, step: int, value: float) -> bool:
        """Reports a value where the storage has none; returns whether the trial is still this driver's."""
        frozen = self._work.mine(opened)
        if frozen is None:
            return False
        if step not in frozen.intermediate_values:
            opened.trial.report(value, step)
        return True

    def _one(self, opened: OpenTrial, point: Mapping[str, Any], prune: bool) -> None:
        value, iteration = point.get(self._objective), point["iter"]
        if value is None and not opened.values:
            self._complain(opened)
        opened.values[iteration] = float(value or 0.0)
        # A validation that a kill undid is made again, at the same iteration.
        step = sum(earlier <= iteration for earlier in opened.values)
        if self._reports and self.report_value(opened, step, opened.values[iteration]) and prune:
            self._judge(opened)

    def _judge(self, opened: OpenTrial) -> None:
        # The row's own setting is what all others are held against: it is trained to its end.
        published = opened.trial.user_attrs.get("published")
        if not opened.pruned and not published and opened.trial.should_prune():
            assert opened.run is not None
            opened.pruned = True
            self._work.jobs.end(opened.run, State.PRUNED)

    def _complain(self, opened: OpenTrial) -> None:
        """Ends the study: every trial would go the same way."""
        assert opened.run is not None
        words = (
            f"objective '{self._objective}': the first validation of trial {opened.number} has no such value "
            f"(see {opened.run.folder.metrics_file}): the validation images hold nothing to compute it from, "
            "or nothing computes it"
        )
        for other in {one.number: one for one in (opened, *self._work.trials())}.values():
            facts = facts_of(other, words)
            self._work.store.tell(other.trial, TrialState.FAIL, None, facts)
        raise UserError(words)
