"""How a sweep closes: the table, the count, and a line for every run that is not complete."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmark.experiment.experiment import Tracking
from benchmark.run.plan import Plan, Request
from benchmark.run.record import State
from benchmark.run.runs import Runs
from benchmark.run.state import Planned

_WELL = (State.COMPLETE, State.PRUNED)


def close(
    asked: Plan,
    whole: Plan,
    request: Request,
    tracking: Tracking,
    ran: bool,
    on_disk: Runs | None = None,
) -> bool:
    """Writes the leaderboard and says how the runs ended.

    Args:
        asked: The runs that were asked for, as they are now.
        whole: All runs of the table, as they were planned.
        request: Of the command.
        tracking: Where the leaderboard goes beside the disk.
        ran: Whether anything was run; if not, a table that is newer than the records is left alone.
        on_disk: The runs of the results folder, with those that have just ended; read anew if None.

    Returns:
        Whether every run that was asked for is done.
    """
    well = True
    if ran or _outdated(request.results, whole):
        known = on_disk or Runs(request.results)
        well = _write_report(whole, request, known, tracking if ran else None)
    counts = ", ".join(f"{number} {state.value}" for state, number in asked.counts().items())
    print(f"{'done' if ran else 'nothing to do'}: {counts}")
    unwell = [run for run in asked.runs if run.state not in _WELL]
    for run in unwell:
        print(_failure_line(run), file=sys.stderr)
    return well and not unwell


def _outdated(results: Path, plan: Plan) -> bool:
    """Whether a file of the leaderboard is missing or older than a record."""
    from benchmark.leaderboard.outputs import OUTPUTS

    endings = [ending for output in OUTPUTS.values() for ending in output.endings]
    files = [results / f"{plan.experiment.name}{ending}" for ending in endings]
    if not all(file.exists() for file in files):
        return True
    written = files[0].stat().st_mtime
    return any(run.folder.record_file.stat().st_mtime > written for run in plan.runs if run.record)


def _write_report(plan: Plan, request: Request, on_disk: Runs, tracking: Tracking | None) -> bool:
    """Shows the leaderboard and writes its files; returns whether all of them could be written."""
    from rich.console import Console

    from benchmark.leaderboard.outputs.terminal import rich_table
    from benchmark.leaderboard.select import report_of_sweep
    from benchmark.leaderboard.track_leaderboard import track_leaderboard
    from benchmark.leaderboard.write import publish

    report = report_of_sweep(plan, request, on_disk)
    Console().print(rich_table(report.leaderboard))
    if request.overrides:
        # A trial is not the experiment's leaderboard.
        print("with --set no file is written; detboard report writes them, given the same options")
        return True
    written = publish(report)
    if tracking is not None:
        track_leaderboard(report.leaderboard, request.results, tracking)
    for problem in written.wrong:
        print(f"error: {problem}", file=sys.stderr)
    return not (written.problems or written.wrong)


def _failure_line(run: Planned) -> str:
    failure = run.record.failure if run.record else None
    why = f"{run.state.value}: no record; the next sweep continues it"
    if failure is not None:
        why = f"failed ({failure.kind.value}): {failure.cause}"
    return f"{run.spec.run_id}: {why}; see {run.folder.log_file}"
