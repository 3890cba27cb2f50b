"""A study in a tracker: the table of its trials, its plots, and what it found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.trial import TrialState

from benchmark.experiment.experiment import Tracking
from benchmark.tracking.base import Table
from benchmark.tracking.summaries import Summary, track_summary
from benchmark.tuning.findings.findings import Findings
from benchmark.tuning.findings.summary import trials_frame
from benchmark.tuning.storage import Store
from benchmark.tuning.study import Study, made_for

if TYPE_CHECKING:
    import pandas as pd


def track_study(
    study: Study, store: Store, tracking: Tracking, findings: Findings, written: Sequence[Path]
) -> None:
    """Tracks what a study has found, in the group of its trials; never raises or prompts.

    Args:
        study: The study.
        store: Its storage.
        tracking: Which tracker, and how.
        findings: What it has found.
        written: The files that were written of that, all in the study's folder; those that are PNG are shown.
    """
    name = study.file.name
    made = Summary(
        kind="study",
        id=f"study-{name}-{store.study_id[:8]}",
        group=name,
        folder=study.request.results / "studies" / name,
        config=made_for(study),
        tables=lambda: {"trials": trials_table(trials_frame(findings))},
        plots=[path for path in written if path.suffix == ".png"],
        summary=_summary(store.study),
    )
    track_summary(made, tracking)


def trials_table(trials: pd.DataFrame) -> Table:
    """A row a trial. All is text: a tracker wants one type a column, and a parameter may have several."""
    plain = trials.astype(object).where(trials.notna(), None).map(str)
    columns = [str(column) for column in plain.columns]
    return Table(columns, [False] * len(columns), plain.to_numpy().tolist())


def _summary(found: optuna.Study) -> dict[str, object]:
    complete = found.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    counts: dict[str, object] = {
        f"trials_{state.name.lower()}": len(found.get_trials(False, (state,)))
        for state in TrialState
    }
    if not complete or len(found.directions) > 1:
        return counts
    best = found.best_trial
    params = {f"best_{name}": value for name, value in best.params.items()}
    return {**counts, "best": best.value, "best_trial": best.number, **params}
