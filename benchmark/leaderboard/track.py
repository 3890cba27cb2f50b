"""A leaderboard's own W&B run: its table and its plots."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from benchmark.experiment.experiment import Tracking
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.outputs.plots.plots import NAMES, plot_file
from benchmark.tracking.wandb.summary import SummaryRun, track_summary


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
    files = [plot_file(results, name, plot, "png") for plot in NAMES]
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
        [path for path in files if path.exists()],
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
    best = next((line for line in leaderboard.ranked if line.values["map50"] is not None), None)
    return {
        "rows": len(leaderboard.rows),
        "rows_complete": len(complete),
        "best_row": best.row if best else None,
        "best_mAP50": best.values["map50"] if best else None,
    }
