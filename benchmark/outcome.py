"""How a sweep closes: the table, the count, and a line for every run that is not complete."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmark.experiment import Tracking
from benchmark.plan import Plan, Planned, Request
from benchmark.run import State

_WELL = (State.COMPLETE, State.PRUNED)


def close(asked: Plan, whole: Plan, request: Request, tracking: Tracking, ran: bool) -> bool:
    """Writes the leaderboard and says how the runs ended.

    Args:
        asked: The runs that were asked for, as they are now.
        whole: All runs of the table.
        request: The options of the command.
        tracking: Where the leaderboard goes beside the disk.
        ran: Whether anything was run; if not, a table that is newer than the records is left alone.

    Returns:
        Whether every run that was asked for is done.
    """
    if ran or _table_is_older(request.results, whole):
        _write_table(whole, request, tracking if ran else None)
    counts = ", ".join(f"{number} {state.value}" for state, number in asked.counts().items())
    print(f"{'done' if ran else 'nothing to do'}: {counts}")
    unwell = [run for run in asked.runs if run.state not in _WELL]
    for run in unwell:
        print(_failure_line(run), file=sys.stderr)
    return not unwell


def _table_is_older(results: Path, plan: Plan) -> bool:
    table = results / f"{plan.experiment.name}.md"
    if not table.exists():
        return True
    written = table.stat().st_mtime
    return any(run.folder.record_file.stat().st_mtime > written for run in plan.runs if run.record)


def _write_table(plan: Plan, request: Request, tracking: Tracking | None) -> None:
    from rich.console import Console

    from benchmark.report.select import board_of, recorded
    from benchmark.report.terminal import rich_table
    from benchmark.report.tracking import track_leaderboard
    from benchmark.report.write import readme_beside, write_report

    board = board_of(plan, request, recorded(request.results, plan.experiment))
    readme = readme_beside(request.results)
    written = write_report(board.leaderboard, request.results, configs=board.configs, readme=readme)
    Console().print(rich_table(board.leaderboard))
    for path in written.changed:
        print(f"wrote {path}")
    if tracking is not None:
        track_leaderboard(board.leaderboard, request.results, tracking)


def _failure_line(run: Planned) -> str:
    failure = run.record.failure if run.record else None
    if run.record is None or failure is None:
        why = "no record; the next sweep continues it"
        return f"{run.spec.run_id}: {run.state.value}: {why}; see {run.folder.log_file}"
    why = f"failed ({failure['kind']}): {run.record.cause}"
    return f"{run.spec.run_id}: {why}; see {run.folder.log_file}"
