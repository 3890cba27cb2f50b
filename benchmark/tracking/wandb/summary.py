"""W&B runs that sum others up: tables and plots under a fixed id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.experiment.experiment import Tracking
from benchmark.tracking.wandb.tracker import run_settings, start


@dataclass(frozen=True)
class SummaryRun:
    """A W&B run that sums up those of its group.

    Attributes:
        id: Its id: written anew, it is the same run.
        group: The group of the runs that it sums up.
        kind: What it is: its job type, its tag, the first word of its name, and the prefix of what it logs.
        folder: W&B's files go to ``wandb/`` in it.
        config: What was asked for.
    """

    id: str
    group: str
    kind: str
    folder: Path
    config: Mapping[str, Any]


def track_summary(
    about: SummaryRun,
    tracking: Tracking,
    tables: Callable[[], Mapping[str, Any]],
    plots: Sequence[Path],
    summary: Mapping[str, Any],
) -> None:
    """Logs tables and plots to W&B; never raises or prompts.

    Args:
        about: The W&B run.
        tracking: Project, entity and mode.
        tables: Makes what is logged beside the plots, by name; called only if anything is logged.
        plots: PNG files, each logged under its stem.
        summary: Values for the W&B run's summary.
    """

    def log(run: Any) -> None:
        import wandb

        pictures = {path.stem: wandb.Image(str(path)) for path in plots}
        run.log({f"{about.kind}/{key}": value for key, value in {**tables(), **pictures}.items()})
        run.summary.update(dict(summary))

    tracker = start(tracking, partial(_init, about, tracking))
    tracker.show(log)
    tracker.close()


def _init(about: SummaryRun, tracking: Tracking, mode: Any) -> Any:
    import wandb

    return wandb.init(
        project=tracking.project,
        entity=tracking.entity,
        id=about.id,
        group=about.group,
        resume="allow",
        job_type=about.kind,
        name=f"{about.kind} {about.group}",
        tags=(about.kind,),
        config=dict(about.config),
        dir=str(about.folder),
        mode=mode,
        reinit="create_new",
        settings=run_settings(),
    )
