"""What a person sees of a study while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmark.run.record import State
from benchmark.sweep.progress import SweepProgress, show_eta, show_value
from benchmark.tuning.database import OUTAGES
from benchmark.tuning.findings.findings import STATES

_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)


@dataclass(kw_only=True)
class StudyProgress(SweepProgress):
    """The trials of this driver, under a line over all trials of the study.

    Attributes:
        study: Optuna's study.
        objective: Name of the first objective.
        slots: Number of trials side by side.
    """

    study: optuna.Study
    objective: str
    slots: int

    def counts(self) -> str:
        """``7 of 16 trials: 4 complete, ...; best mAP50 0.4312 (trial 4), ...; about 0:02:10 left``."""
        try:
            return self._counted(self.study.get_trials(deepcopy=False))
        except OUTAGES:
            return "the storage does not answer: trying again"

    def _counted(self, trials: list[FrozenTrial]) -> str:
        states = [trial.state for trial in trials]
        ended = sum(state.is_finished() for state in states)
        numbers = [f"{states.count(s)} {STATES[s.name]}" for s in _COUNTED if s in states]
        if queued := sum(run.state is State.QUEUED for run in self.runs.values()):
            numbers.append(f"{queued} of these queued")
        total = max(self.total, len(trials))
        return "; ".join(
            part
            for part in (
                f"{ended} of {total} trials: {', '.join(numbers) or 'none yet'}",
                self._best(trials),
                self._left(trials, total - ended),
            )
            if part
        )

    def _best(self, trials: list[FrozenTrial]) -> str:
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        if not complete:
            return ""
        best = max(complete, key=lambda trial: trial.values[0])
        own = [trial for trial in complete if trial.user_attrs.get("published")]
        against = f", the row's own setting {show_value(own[0].values[0])}" if own else ""
        return f"best {self.objective} {show_value(best.values[0])} (trial {best.number}){against}"

    def _left(self, trials: list[FrozenTrial], missing: int) -> str:
        ended = [trial.user_attrs.get("device_seconds") for trial in trials]
        seconds = [float(value) for value in ended if value]
        if not seconds or missing <= 0:
            return ""
        return f"about {show_eta(missing * fmean(seconds) / self.slots)} left"
