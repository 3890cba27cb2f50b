"""``detboard sweep``: runs what is missing, and writes the table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from benchmark.cli.app import (
    CONTINUES,
    FAILED,
    DataRoot,
    Experiment,
    LauncherName,
    Overrides,
    Preflight,
    Profile,
    Results,
    Retry,
    Rows,
    Seeds,
    Slots,
    Trust,
    Wandb,
    tell,
    warn,
)
from benchmark.process import OutputLost, say_ended

if TYPE_CHECKING:
    from benchmark.experiment.experiment import Tracking
    from benchmark.launchers import Launcher
    from benchmark.run.plan import Plan, Request
    from benchmark.run.record import State
    from benchmark.run.state import Planned


@dataclass(frozen=True)
class _How:
    """How runs are started.

    Attributes:
        launcher: Name of what starts them.
        slots: Runs side by side; None for as many as the launcher thinks right.
        tracking: Where they are tracked.
        trust: Whether checkpoints that hold code are loaded, too.
        preflight: Whether their rows are tried out first.
    """

    launcher: str
    slots: int | None
    tracking: Tracking
    trust: bool
    preflight: bool


def sweep(
    experiment: Experiment,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    rows: Rows = None,
    seeds: Seeds = None,
    set_: Overrides = None,
    slots: Slots = None,
    launcher: LauncherName = "local",
    wandb: Wandb = None,
    retry: Retry = None,
    trust: Trust = False,
    preflight: Preflight = False,
) -> None:
    """Run what is missing, and write the table."""
    from benchmark.cli.options import request_of, states_of

    request = request_of(experiment, profile, data_root, results, rows, seeds, set_)
    if not run_sweep(request, slots, launcher, wandb, states_of(retry), trust, preflight):
        raise typer.Exit(FAILED)


def run_sweep(
    request: Request,
    slots: int | None,
    launcher: str,
    wandb: str | None,
    again: set[State],
    trust: bool = False,
    preflight: bool = False,
) -> bool:
    """Runs what is missing and writes the table; returns whether all that was asked for is done.

    With ``preflight`` every row is tried out first.
    """
    from benchmark.cli.options import look_at, tracking_of
    from benchmark.launchers import check_launcher
    from benchmark.launchers.living import standing
    from benchmark.run.plan import make_plan, refreshed, with_all_rows
    from benchmark.run.runs import Runs
    from benchmark.sweep.askers import note_askers
    from benchmark.sweep.closing import close
    from benchmark.sweep.holders import only_driver
    from benchmark.sweep.missing import to_do
    from benchmark.tracking.door import told_after

    check_launcher(launcher)
    on_disk = Runs(request.results, standing)
    made = make_plan(request, on_disk)
    look_at(made, request, on_disk)
    # Planned now: an edit of the experiment or of a part while jobs run belongs to the next sweep.
    whole = with_all_rows(made, request, on_disk)
    made = _for_now(made)
    tracking = tracking_of(made, wandb)
    with only_driver(request.results):
        runs = to_do(made, again)
        note_askers(made, runs, on_disk)
        ended = _run(made, runs, _How(launcher, slots, tracking, trust, preflight)) if runs else []
        on_disk.keep(ended)
        # What was read a moment ago still holds where nothing ran.
        well = close(
            refreshed(made, on_disk) if runs else made,
            whole,
            request,
            tracking,
            ran=bool(runs),
            on_disk=on_disk,
        )
        warn(told_after(tracking, (run.record for run in ended)))
        return well


def _for_now(made: Plan) -> Plan:
    """The plan without what is left for later, which is said."""
    from benchmark.sweep.missing import for_now

    kept, left = for_now(made)
    warn(left)
    return kept


def tell_obstacles(made: Plan, launcher: Launcher, trust: bool) -> None:
    """Shows what stands in the way of runs, before any of them starts.

    Raises:
        UserError: Something does.
    """
    from benchmark.cli.decoding import decoding_shown
    from benchmark.sweep.missing import obstacles

    with decoding_shown() as told:
        found = obstacles(made, launcher, trust, told)
    tell(found)


def _make_sure(made: Plan, wanted: list[Planned], launcher: Launcher, how: _How) -> None:
    """Sees to it that nothing stands in the way of runs, and that the weights are there that they need.

    Raises:
        UserError: Something does.
    """
    from benchmark.cli.weights import fetch_shown
    from benchmark.run.fetched.needs import needs_of

    tell_obstacles(made, launcher, how.trust)
    runs = [run for run in wanted if not run.tests]
    if how.preflight and runs:  # before what may be large is fetched
        _try_out(made, runs, launcher, how.trust)
    fetch_shown(needs_of(runs), runs, how.trust)


def _try_out(made: Plan, runs: list[Planned], launcher: Launcher, trust: bool) -> None:
    """Tries out the row of every run; the launcher stays open for the runs.

    Raises:
        UserError: A row fails.
    """
    from benchmark.cli.tryouts import try_rows

    try:
        try_rows(made, runs, launcher, trust)
    except BaseException:
        launcher.close()
        raise


def _counted(made: Plan, wanted: list[Planned]) -> str:
    """How many runs there are to do, and how many to be evaluated on the test split alone."""
    tests = sum(run.tests for run in wanted)
    words = f"{len(wanted) - tests} of {len(made.runs)} runs to do"
    return f"{words}, {tests} to be evaluated on test" if tests else words


def _run(made: Plan, runs: list[Planned], how: _How) -> list[Planned]:
    """Runs what is missing; returns the runs as they ended."""
    from functools import partial

    from benchmark.launchers import make_launcher
    from benchmark.run.checkout import checkout_of
    from benchmark.run.options import JobOptions
    from benchmark.sweep.base import Listed
    from benchmark.sweep.holders import end_orphans
    from benchmark.sweep.loop import Sweep
    from benchmark.sweep.progress import SweepProgress, name_of
    from benchmark.sweep.watchers import make_watcher
    from benchmark.writing.console import PlainConsole

    launcher = make_launcher(how.launcher, how.slots, made.experiment.cluster)
    _make_sure(made, runs, launcher, how)
    typer.echo(f"{_counted(made, runs)}, {launcher.pool.slots} at a time.")
    names, progress = [name_of(run) for run in runs], SweepProgress(len(runs))
    options = partial(
        JobOptions,
        how.tracking,
        cost=True,
        checkout=checkout_of(runs),
        trust_checkpoints=how.trust,
    )
    try:
        end_orphans(runs)
        with make_watcher(PlainConsole(), progress, names, launcher.shares_terminal) as watcher:
            sweep = Sweep(launcher, options, watcher, made.experiment.patience_min * 60)
            return sweep.run(Listed(runs))
    except (KeyboardInterrupt, OutputLost):
        raise typer.Exit(say_ended(CONTINUES)) from None
