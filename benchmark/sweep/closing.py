"""How a sweep closes: the table, the count, and a line for every run that is not complete."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmark.experiment.experiment import Tracking
from benchmark.leaderboard.current import forget, is_current, is_of, made_of, note_current
from benchmark.run.plan import Plan, Request, refreshed
from benchmark.run.reached import status_of
from benchmark.run.record import State
from benchmark.run.runs import Runs
from benchmark.run.state import Planned
from benchmark.run.to_test import WEIGHTS, to_test, told_of_test

if TYPE_CHECKING:
    from benchmark.leaderboard.document import Leaderboard
    from benchmark.leaderboard.write import Written

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
        ran: Whether anything was run; if not, a table that is the runs' own already is left alone.
        on_disk: The runs of the results folder, with those that have just ended; read anew if None.

    Returns:
        Whether every run that was asked for is done.
    """
    well = True
    if ran or not (request.overrides or is_current(whole, request.results)):
        known = on_disk or Runs(request.results)
        well = _write_report(whole, request, known, tracking, ran)
    counts = ", ".join(f"{number} {state.value}" for state, number in asked.counts().items())
    print(f"{'done' if ran else 'nothing to do'}: {counts}")
    unwell = [run for run in asked.runs if run.state not in _WELL]
    for run in unwell:
        print(_failure_line(run), file=sys.stderr)
    untested = to_test(asked.runs)
    for run in untested.runs:
        print(f"{run.spec.run_id}: {told_of_test(run)}; see {run.folder.log_file}", file=sys.stderr)
    for run in untested.lost:
        print(f"warning: {run.spec.run_id}: not evaluated on test: no {WEIGHTS}", file=sys.stderr)
    return well and not (unwell or untested.runs)


def _show(leaderboard: Leaderboard) -> None:
    from benchmark.leaderboard.outputs.terminal import notes, rich_table
    from benchmark.leaderboard.short import shortened_board
    from benchmark.writing.console import PlainConsole
    from benchmark.writing.terminal import show

    shown, console = shortened_board(leaderboard), PlainConsole()
    show(console, rich_table(shown, console))
    for note in notes(shown):
        print(note)


def _write_report(
    plan: Plan, request: Request, on_disk: Runs, tracking: Tracking, ran: bool
) -> bool:
    """Shows the leaderboard, writes its files and tracks it; returns whether all of them could be written.

    Where nothing ran it is tracked if it is of other runs than the last sweep's: jobs end that a sweep has left.
    """
    from benchmark.config.faster import option_names
    from benchmark.leaderboard.select import report_of_sweep
    from benchmark.leaderboard.track_leaderboard import track_leaderboard
    from benchmark.leaderboard.write import publish_all

    made = report_of_sweep(plan, request, on_disk)
    (report,) = made.reports
    _show(report.leaderboard)
    if request.overrides:
        # A trial is not the experiment's leaderboard.
        options = option_names(request.overrides)
        print(
            f"with {options} no file is written; detboard report writes them, given the same options"
        )
        return True
    of = made_of(refreshed(plan, on_disk), request.results)
    tracks = ran or not is_of(plan, request.results, of)
    written = publish_all(made, request.results)[0]
    # At once: tracking takes a while, in which files may be edited.
    well = _noted(written, plan, request, of)
    if tracks:
        track_leaderboard(report.leaderboard, request.results, tracking)
    for problem in written.wrong:
        print(f"error: {problem}", file=sys.stderr)
    return well


def _noted(written: Written, plan: Plan, request: Request, of: str) -> bool:
    """Notes what the files were made of, or forgets it where one could not be made; returns whether all were."""
    from benchmark.leaderboard.beside import readme_beside

    well = not (written.problems or written.wrong)
    if well:
        # The README may get its markers later.
        files = {*written.looked_at, readme_beside(request.results)}
        note_current(plan, request.results, of, files)
    else:
        forget(plan, request.results)
    return well


def _failure_line(run: Planned) -> str:
    if run.problem:
        return f"{run.spec.run_id}: {run.problem}"
    failure = run.record.failure if run.record else None
    why = f"{status_of(run)}: no record; the next sweep continues it"
    if failure is not None:
        why = f"failed ({failure.kind.value}): {failure.cause}"
    return f"{run.spec.run_id}: {why}; see {run.folder.log_file}"
