"""W&B runs that sum others up: a table and plots under a fixed id; and that of a leaderboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.experiment import Tracking
from benchmark.report.document import Leaderboard
from benchmark.report.plots import NAMES, plot_file
from benchmark.tracking import run_settings, start


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


def track_leaderboard(leaderboard: Leaderboard, results: Path, tracking: Tracking) -> None:
    """Logs a leaderboard to W&B, in the group of its runs; never raises or prompts.

    There is one such W&B run for each experiment and profile: written anew, it is the same one. Its table
    ``leaderboard/table`` has every column of the leaderboard by key, numbers as numbers.

    Args:
        leaderboard: The table.
        results: The results folder, which holds the plots; W&B's files go to ``wandb/`` in it.
        tracking: Project, entity and mode.
    """
    name, profile = leaderboard.experiment, leaderboard.profile
    files = {plot: plot_file(results, name, plot, "png") for plot in NAMES}
    about = SummaryRun(
        id=re.sub(r"[^A-Za-z0-9_.-]+", "_", f"leaderboard-{name}-{profile}")[:120],
        group=name,
        kind="leaderboard",
        folder=results,
        config=_config(leaderboard),
    )
    track_summary(
        about,
        tracking,
        lambda: {"table": _table(leaderboard)},
        [path for path in files.values() if path.exists()],
        _summary(leaderboard),
    )


def _config(leaderboard: Leaderboard) -> dict[str, Any]:
    asked = leaderboard.model_dump(mode="json", exclude={"rows", "columns"})
    return {**asked, "rows": [line.row for line in leaderboard.rows]}


def _table(leaderboard: Leaderboard) -> Any:
    import wandb

    columns = leaderboard.columns
    return wandb.Table(
        columns=[column.key for column in columns],
        data=[[values.get(column.key) for column in columns] for values in leaderboard.values],
        # Declared: a column whose first value is absent would otherwise hold nothing else.
        dtype=[float if column.numeric else str for column in columns],
        optional=True,
    )


def _summary(leaderboard: Leaderboard) -> dict[str, Any]:
    complete = [line for line in leaderboard.rows if line.all_complete]
    measured = [line for line in leaderboard.rows if line.values.get("map50") is not None]
    best = max(measured, key=lambda line: line.values["map50"], default=None)
    return {
        "rows": len(leaderboard.rows),
        "rows_complete": len(complete),
        "best_row": best.row if best else None,
        "best_mAP50": best.values["map50"] if best else None,
    }
