"""``detboard plan``: what would run, what is finished, what stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from benchmark.cli.app import (
    Build,
    Compile,
    DataRoot,
    Experiment,
    LauncherName,
    Overrides,
    Precision,
    Profile,
    Results,
    Rows,
    Seeds,
    Trust,
    tell,
    warn,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from benchmark.launchers import Launcher
    from benchmark.run.plan import Plan
    from benchmark.run.runs import Runs


def plan(
    experiment: Experiment,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    rows: Rows = None,
    seeds: Seeds = None,
    set_: Overrides = None,
    precision: Precision = None,
    compile_: Compile = None,
    launcher: LauncherName = "local",
    trust: Trust = False,
    build: Build = False,
) -> None:
    """Show what would run, what is finished and what stands in the way; trains no run."""
    from benchmark.cli.options import look_at, request_of, tracking_of
    from benchmark.cli.scripts import show_scripts
    from benchmark.launchers import check_launcher, make_launcher
    from benchmark.launchers.living import standing
    from benchmark.run.plan import make_plan
    from benchmark.run.runs import Runs
    from benchmark.sweep.missing import for_now, to_do

    check_launcher(launcher)
    request = request_of(
        experiment, profile, data_root, results, rows, seeds, set_, precision, compile_
    )
    on_disk = Runs(results, standing)
    made = make_plan(request, on_disk)
    look_at(made, request, on_disk)
    tracking = tracking_of(made, None)  # what it cannot take stands in the way
    made, left = for_now(made)
    _show(made)
    warn(left)
    _tell_missing(made)
    if runs := to_do(made):
        starter = make_launcher(launcher, cluster=made.experiment.cluster)
        _tell_obstacles(made, starter, trust)
        _tell_time(made, on_disk, starter)
        show_scripts(runs, starter, tracking, trust)
    if build:
        _try_out(made, launcher, trust)


def _tell_missing(made: Plan) -> None:
    """Says how many runs are to be made."""
    from benchmark.sweep.missing import missing, tests_of

    runs = missing(made)
    typer.echo(f"{len(runs)} of {len(made.runs)} runs are missing.")
    tests = tests_of(made, runs)
    for line in tests.told():
        typer.echo(line)


def _tell_time(made: Plan, on_disk: Runs, launcher: Launcher) -> None:
    """Says how long what is missing may take, on what the launcher's jobs run on."""
    from benchmark.data.memory import Memory
    from benchmark.sweep.expected import expected_time
    from benchmark.sweep.missing import missing

    has_gpus = launcher.pool.has_gpus
    if told := expected_time(missing(made), on_disk, Memory(made.cache), has_gpus):
        typer.echo(told)


def _try_out(made: Plan, name: str, trust: bool) -> None:
    """Tries out every row that is not complete.

    Raises:
        UserError: Rows fail.
    """
    from benchmark.cli.tryouts import try_rows
    from benchmark.launchers import make_launcher

    launcher = make_launcher(name, cluster=made.experiment.cluster)
    try:
        try_rows(made, made.runs, launcher, trust)
    finally:
        launcher.close()


def _tell_obstacles(made: Plan, launcher: Launcher, trust: bool) -> None:
    """Shows what stands in the way, as far as a few images tell."""
    from benchmark.errors import UserError
    from benchmark.run.fetched.needs import needs_of
    from benchmark.run.state import not_complete
    from benchmark.sweep.missing import obstacles, undecoded_images
    from benchmark.sweep.weights import code, contents_of, to_come
    from benchmark.writing.words import counted

    tell(obstacles(made, launcher, trust))
    needs = needs_of(not_complete(made.runs))
    if not trust and (refused := code(needs, contents_of(made.runs))):
        raise UserError(refused)
    warn(to_come(made.runs))
    if left := undecoded_images(made):
        typer.echo(
            f"{counted(left, 'image has', 'images have')} not been decoded yet: "
            "the sweep does that before it trains."
        )


def _show(made: Plan) -> None:
    """Every run and its state, what was changed of the configs that rows are made from, and notes of complete runs."""
    from benchmark.cli.changes import changes_by_rows
    from benchmark.writing.console import PlainConsole
    from benchmark.writing.terminal import show

    console = PlainConsole()
    show(console, plan_table(made, console))
    changes: dict[str, list[str]] = {}
    notes: dict[str, list[str]] = {}
    for run in made.runs:
        changes.setdefault(run.spec.row, []).extend(run.spec.changes)
        notes.setdefault(run.spec.row, []).extend(
            run.record.said_of(run.spec.which) if run.record else ()
        )
    told = changes_by_rows(changes, console.width)
    noted = changes_by_rows(notes, console.width, "Noted")
    for line in (*_sources(made), *told, *noted):
        typer.echo(line)


def _sources(made: Plan) -> list[str]:
    """Which rows others are made from, a line each."""
    named = {row.name: row.source_rows for row in made.rows}
    return [f"row '{row}' is made from {', '.join(rows)}" for row, rows in named.items() if rows]


def plan_table(made: Plan, console: Console) -> Table:
    """Every run of a plan and its state; row and seed, which a run's id begins with, only where there is room."""
    from rich.text import Text

    from benchmark.run.reached import status_of
    from benchmark.sweep.watchers import STYLES
    from benchmark.writing.terminal import Shown, fitting, table_of

    title = f"{made.experiment.title}: {made.profile} profile, {made.dataset.name}"
    fold = made.dataset.fold
    title += f", {fold.count} folds" if fold else ""
    of_fold = [Shown("fold", "fold", [Text(str(r.spec.fold)) for r in made.runs])] if fold else []
    states = [Text(status_of(run), style=STYLES[run.state]) for run in made.runs]
    columns = [
        Shown("row", "row", [Text(run.spec.row) for run in made.runs]),
        Shown("seed", "seed", [Text(str(run.spec.seed)) for run in made.runs]),
        *of_fold,
        Shown("run", "run", [Text(run.spec.run_id) for run in made.runs]),
        Shown("state", "state", states, elastic=True),
    ]
    return table_of(title, fitting(columns, ("row", "seed", "fold"), console.width), console)
