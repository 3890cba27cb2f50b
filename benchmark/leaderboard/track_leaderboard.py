"""A leaderboard in a tracker: its table and its plots."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.experiment.experiment import Tracking
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.outputs.plots.plots import NAMES, plot_file
from benchmark.tracking.base import Table
from benchmark.tracking.summaries import Summary, track_summary


def track_leaderboard(leaderboard: Leaderboard, results: Path, tracking: Tracking) -> None:
    """Tracks a leaderboard, in the group of its runs; never raises or prompts.

    There is one for each board and profile: written anew, it is the same one. Its table
    ``leaderboard/table`` has every column of the leaderboard by key, numbers as numbers.

    Args:
        leaderboard: The table.
        results: The results folder, which holds the plots; the tracker's files go into it.
        tracking: Which tracker, and how.
    """
    board, profile = leaderboard.stem, leaderboard.profile
    files = [plot_file(results, board, plot, "png") for plot in NAMES]
    made = Summary(
        kind="leaderboard",
        id=re.sub(r"[^A-Za-z0-9_.-]+", "_", f"leaderboard-{board}-{profile}")[:120],
        group=leaderboard.experiment,
        folder=results,
        config=_config(leaderboard),
        tables=lambda: {"table": _table(leaderboard)},
        plots=[path for path in files if path.exists()],
        summary=_summary(leaderboard),
    )
    track_summary(made, tracking)


def _config(leaderboard: Leaderboard) -> dict[str, object]:
    asked = leaderboard.model_dump(mode="json", exclude={"rows", "columns"})
    return {**asked, "rows": [line.row for line in leaderboard.rows]}


def _table(leaderboard: Leaderboard) -> Table:
    columns = leaderboard.columns
    return Table(
        columns=[column.key for column in columns],
        numeric=[column.numeric for column in columns],
        rows=[[values.get(column.key) for column in columns] for values in leaderboard.values],
    )


def _summary(leaderboard: Leaderboard) -> dict[str, object]:
    complete = [line for line in leaderboard.rows if line.all_complete]
    key = leaderboard.judged_key
    best = next((line for line in leaderboard.ranked if line.values[key] is not None), None)
    return {
        "rows": len(leaderboard.rows),
        "rows_complete": len(complete),
        "best_row": best.row if best else None,
        "best_mAP50": best.values[key] if best else None,
    }
