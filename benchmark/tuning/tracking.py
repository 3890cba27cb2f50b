"""A study's own W&B run: the table of its trials, its plots, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.experiment import Tracking
from benchmark.tracking import run_settings, start

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

    def log(run: Any) -> None:
        import wandb

        # W&B's tables want one type a column; text shows every value as it is.
        content = trials.astype(object).where(trials.notna(), None).astype(str)
        pictures = {f"study/{path.stem}": wandb.Image(str(path)) for path in plots}
        run.log({"study/trials": wandb.Table(dataframe=content), **pictures})
        run.summary.update(dict(found))

    tracker = start(tracking, partial(_init, name, run_id, tracking, folder, dict(config)))
    tracker.show(log)
    tracker.close()


def _init(
    name: str, run_id: str, tracking: Tracking, folder: Path, config: Mapping[str, Any], mode: Any
) -> Any:
    import wandb

    return wandb.init(
        project=tracking.project,
        entity=tracking.entity,
        id=run_id,
        group=name,
        resume="allow",
        job_type="study",
        name=f"study {name}",
        tags=("study",),
        config=dict(config),
        dir=str(folder),
        mode=mode,
        reinit="create_new",
        settings=run_settings(),
    )
