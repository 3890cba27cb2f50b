"""A study's own W&B run: the table of its trials, its plots, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.experiment.experiment import Tracking
from benchmark.tracking.wandb.summary import SummaryRun, track_summary

if TYPE_CHECKING:
    import pandas as pd


def track_study(
    name: str,
    run_id: str,
    tracking: Tracking,
    folder: Path,
    config: Mapping[str, Any],
    trials: pd.DataFrame,
    found: Mapping[str, Any],
    plots: Sequence[Path],
) -> None:
    """Logs what a study has found to W&B, in the group of its trials; never raises or prompts.

    Args:
        name: Name of the study.
        run_id: Id of its W&B run: written anew, it is the same one.
        tracking: Project, entity and mode.
        folder: The study's folder; W&B's files go to ``wandb/`` in it.
        config: What the study was asked for.
        trials: A line a trial.
        found: Values for the summary.
        plots: PNG files.
    """
    about = SummaryRun(run_id, name, "study", folder, config)
    track_summary(about, tracking, lambda: {"trials": _table(trials)}, plots, found)


def _table(trials: pd.DataFrame) -> Any:
    import wandb

    # W&B's tables want one type a column; text shows every value as it is.
    return wandb.Table(dataframe=trials.astype(object).where(trials.notna(), None).map(str))
