"""``detboard sweep``: runs what is missing, and writes the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from benchmark.cli.app import (
    CONTINUES,
    FAILED,
    Cache,
    Compile,
    DataRoot,
    Detach,
    Experiment,
    LauncherName,
    Overrides,
    Precision,
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
    from benchmark.experiment.cache import ImageCache
    from benchmark.experiment.experiment import Tracking
    from benchmark.launchers import Launcher
    from benchmark.run.options import Caching, JobOptions, Resources
    from benchmark.run.plan import Plan, Request
    from benchmark.run.record import State
    from benchmark.run.runs import Runs
    from benchmark.run.state import Planned
    from benchmark.sweep.loop import Sweep


@dataclass(frozen=True)
class _How:
    """How runs are started.

    Attributes:
        launcher: Name of what starts them.
        slots: Runs side by side; None for as many as the launcher thinks right.
        tracking: Where they are tracked.
        cache: Where their jobs keep decoded images.
        trust: Whether checkpoints that hold code are loaded, too.
        preflight: Whether their rows are tried out first.
        detach: Whether their jobs are submitted and left alone.
    """

    launcher: str
    slots: int | None
    tracking: Tracking
    cache: ImageCache
    trust: bool
    preflight: bool
    detach: bool


def sweep(
    experiment: Experiment,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    rows: Rows = None,
    seeds: Seeds = None,
    set_: Overrides = None,
    precision: Precision = None,
    compile_: Compile = None,
    slots: Slots = None,
    launcher: LauncherName = "local",
    wandb: Wandb = None,
    retry: Retry = None,
    cache: Cache = None,
    trust: Trust = False,
    preflight: Preflight = False,
    detach: Detach = False,
) -> None:
    """Run what is missing, and write the table."""
    from benchmark.cli.options import request_of, states_of

    request = request_of(
        experiment, profile, data_root, results, rows, seeds, set_, precision, compile_
    )
    again = states_of(retry)
    if not run_sweep(request, slots, launcher, wandb, again, trust, preflight, detach, cache):
        raise typer.Exit(FAILED)


def run_sweep(
    request: Request,
    slots: int | None,
    launcher: str,
    wandb: str | None,
    again: set[State],
    trust: bool = False,
    preflight: bool = False,
    detach: bool = False,
    cache: str | None = None,
) -> bool:
    """Runs what is missing and writes the table; returns whether all that was asked for is done.

    With ``preflight`` every row is tried out first. With ``detach`` what is missing is submitted and left alone, and no
    table is written; returns whether no job has failed so far.
    """
    from benchmark.cli.detach import refuse_to_detach
    from benchmark.cli.options import cache_of, look_at, tracking_of
    from benchmark.launchers import check_launcher
    from benchmark.launchers.living import standing
    from benchmark.run.plan import make_plan, with_all_rows
    from benchmark.run.runs import Runs
    from benchmark.sweep.holders import only_driver

    check_launcher(launcher)
    on_disk = Runs(request.results, standing)
    made = make_plan(request, on_disk)
    look_at(made, request, on_disk)
    # Planned now: an edit of the experiment or of a part while jobs run belongs to the next sweep.
    whole = with_all_rows(made, request, on_disk)
    made = _for_now(made)
    kept, tracking = cache_of(made, cache), tracking_of(made, wandb)
    how = _How(launcher, slots, tracking, kept, trust, preflight, detach)
    if detach:
        refuse_to_detach(made, launcher)
    with only_driver(request.results):
        return _drive(_Table(made, whole, request, on_disk), again, how)


@dataclass(frozen=True)
class _Table:
    """What a sweep works for: the runs that were asked for, and those of the whole table; see `close`."""

    asked: Plan
    whole: Plan
    request: Request
    on_disk: Runs


def _drive(table: _Table, again: set[State], how: _How) -> bool:
    """Does what is to be done as the results folder's only driver; returns whether all is."""
    from benchmark.cli.detach import submit
    from benchmark.run.known_runs import settle
    from benchmark.run.plan import refreshed
    from benchmark.sweep.askers import note_askers
    from benchmark.sweep.closing import close
    from benchmark.sweep.missing import to_do
    from benchmark.tracking.door import told_after

    made, on_disk = table.asked, table.on_disk
    runs = to_do(made, again)
    note_askers(made, runs, on_disk)
    if runs and how.detach:
        return submit(runs, _sweep_of(made, runs, how))
    if runs:
        settle([*made.runs, *table.whole.runs])
    ended = _run(made, runs, how) if runs else []
    on_disk.keep(ended)
    # What was read a moment ago still holds where nothing ran.
    asked = refreshed(made, on_disk) if runs else made
    well = close(asked, table.whole, table.request, how.tracking, ran=bool(runs), on_disk=on_disk)
    warn(told_after(how.tracking, (run.record for run in ended)))
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


def job_options(
    runs: Sequence[Planned], tracking: Tracking, trust: bool, cache: Caching | None = None
) -> Callable[[Resources], JobOptions]:
    """What the jobs of a sweep are told, given what each may use."""
    from functools import partial

    from benchmark.run.checkout import checkout_of
    from benchmark.run.options import Caching, JobOptions

    return partial(
        JobOptions,
        tracking,
        cost=True,
        checkout=checkout_of(runs),
        trust_checkpoints=trust,
        cache=cache or Caching(),
    )


def _counted(made: Plan, wanted: list[Planned]) -> str:
    """How many runs there are to do, and how many to be evaluated on the test split alone."""
    tests = sum(run.tests for run in wanted)
    words = f"{len(wanted) - tests} of {len(made.runs)} runs to do"
    return f"{words}, {tests} to be evaluated on test" if tests else words


@contextmanager
def _sweep_of(made: Plan, runs: list[Planned], how: _How) -> Iterator[Sweep]:
    """A sweep over runs that nothing stands in the way of, while it is shown.

    Raises:
        UserError: Something does.
    """
    from functools import partial

    from benchmark.launchers import make_launcher
    from benchmark.sweep.caching import caching
    from benchmark.sweep.holders import end_orphans
    from benchmark.sweep.loop import Sweep
    from benchmark.sweep.progress import SweepProgress, name_of
    from benchmark.sweep.stopping import leaves
    from benchmark.sweep.watchers import make_watcher
    from benchmark.writing.console import PlainConsole

    launcher = make_launcher(how.launcher, how.slots, made.experiment.cluster)
    _make_sure(made, runs, launcher, how)
    typer.echo(f"{_counted(made, runs)}, {launcher.pool.at_a_time}.")
    names, progress = [name_of(run) for run in runs], SweepProgress(len(runs))
    shared = launcher.shares_terminal or how.detach
    try:
        end_orphans(runs)
        with (
            caching(how.cache, launcher) as cache,
            make_watcher(PlainConsole(), progress, names, shared) as watcher,
        ):
            options = job_options(runs, how.tracking, how.trust, cache)
            left = partial(leaves, quiet=watcher.quiet)
            silence_s = made.experiment.patience_min * 60
            yield Sweep(launcher, options, watcher, silence_s, left)
    except (KeyboardInterrupt, OutputLost):
        raise typer.Exit(say_ended(CONTINUES)) from None


def _run(made: Plan, runs: list[Planned], how: _How) -> list[Planned]:
    """Runs what is missing; returns the runs as they ended."""
    from benchmark.sweep.ahead import import_ahead
    from benchmark.sweep.base import Listed

    with _sweep_of(made, runs, how) as sweep:
        imported = import_ahead(how.tracking) if not sweep.launcher.shares_terminal else None
        ended = sweep.run(Listed(runs))
        if imported is not None:
            imported.join()
        return ended
