"""A study in a tracker: the table of its trials, its plots, and its best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.experiment.experiment import Tracking
from benchmark.tracking.base import Table
from benchmark.tracking.summaries import Summary, track_summary
from benchmark.tuning.findings.findings import STATES, Findings
from benchmark.tuning.findings.summary import trials_frame
from benchmark.tuning.storage import Store
from benchmark.tuning.study import Study, made_for

if TYPE_CHECKING:
    import pandas as pd


def track_study(
    study: Study, store: Store, tracking: Tracking, findings: Findings, written: Sequence[Path]
) -> None:
    """Tracks the results of a study, in the group of its trials; never raises or prompts.

    Args:
        study: The study.
        store: Its storage.
        tracking: Which tracker, and how.
        findings: Its results.
        written: The files that were written of them, all in the study's folder; those that are PNG are shown.
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
        summary=_summary(findings),
    )
    track_summary(made, tracking)


def trials_table(trials: pd.DataFrame) -> Table:
    """A row a trial. All is text: a tracker wants one type a column, and a parameter may have several."""
    plain = trials.astype(object).where(trials.notna(), None).map(str)
    columns = [str(column) for column in plain.columns]
    return Table(columns, [False] * len(columns), plain.to_numpy().tolist())


def _summary(findings: Findings) -> dict[str, object]:
    numbers: dict[str, object] = {
        f"trials_{name.lower()}": findings.count(group) for name, group in STATES.items()
    }
    best = findings.best
    if best is None or findings.two:
        return numbers
    params = {f"best_{name}": value for name, value in best.params.items()}
    return {**numbers, "best": best.values[0], "best_trial": best.number, **params}
