"""The command line. Each command imports what it needs, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.data.check import Findings
    from benchmark.plan import Plan, Planned, Request
    from benchmark.run import State
    from benchmark.tuning.study import Study

app = typer.Typer(
    name="detboard",
    help="Regenerates a detection leaderboard: trains, tracks and tabulates every row with mmdet.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(
    help="Check a COCO-format dataset, or draw a synthetic one.", no_args_is_help=True
)
app.add_typer(data_app, name="data")

File = Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="The experiment file (YAML).")]
Results = Annotated[Path, typer.Option(help="Folder of runs and tables.")]
Profile = Annotated[
    str | None, typer.Option(help="How much is done: full, smoke, or a profile of your own.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder with train.json and val.json, in place of the experiment's data."),
]
Rows = Annotated[str | None, typer.Option(metavar="A,B", help="Only these rows.")]
Seeds = Annotated[
    str | None, typer.Option(metavar="0,1,2", help="Seeds in place of the experiment's.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY.PATH=VALUE",
        help="Change a key of every row's config; +KEY.PATH adds one.",
    ),
]

Slots = Annotated[
    int | None,
    typer.Option(min=1, help="Runs side by side; one a GPU, or one without GPUs, unless given."),
]
LauncherName = Annotated[
    str, typer.Option("--launcher", help="How jobs are started: local or inprocess.")
]
Wandb = Annotated[
    str | None, typer.Option(help="auto, online, offline or off, in place of the experiment's.")
]

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130


@app.command()
def plan(
    experiment: File,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    rows: Rows = None,
    seeds: Seeds = None,
    set_: Overrides = None,
) -> None:
    """Show what would run, what is finished and what stands in the way; trains nothing."""
    from rich.console import Console

    from benchmark.options import request_of
    from benchmark.plan import make_plan
    from benchmark.progress import plan_table
    from benchmark.resources import visible_gpus
    from benchmark.sweep import missing, obstacles

    made = make_plan(request_of(experiment, profile, data_root, results, rows, seeds, set_))
    Console().print(plan_table(made))
    runs = missing(made)
    typer.echo(f"{len(runs)} of {len(made.runs)} runs are missing.")
    if runs:
        _tell(obstacles(made, visible_gpus()))


@app.command()
def config(
    experiment: File,
    rows: Rows = None,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    seeds: Seeds = None,
    set_: Overrides = None,
) -> None:
    """Print a row's composed config, a plain mmdet config; trains nothing."""
    from benchmark.compose import render
    from benchmark.options import request_of
    from benchmark.plan import make_plan

    made = make_plan(request_of(experiment, profile, data_root, results, rows, seeds, set_))
    if len(made.runs) != 1:
        names = ", ".join(row.name for row in made.rows)
        raise UserError(
            f"one row and one seed, please: --rows NAME of {names}; --seeds of {made.seeds}"
        )
    typer.echo(render(dict(made.runs[0].config)), nl=False)


@app.command()
def sweep(
    experiment: File,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    rows: Rows = None,
    seeds: Seeds = None,
    set_: Overrides = None,
    slots: Slots = None,
    launcher: LauncherName = "local",
    wandb: Wandb = None,
    retry: Annotated[
        str | None, typer.Option(metavar="failed", help="Run these again: failed, pruned.")
    ] = None,
) -> None:
    """Run what is missing, and write the table."""
    from benchmark.options import request_of, states_of

    request = request_of(experiment, profile, data_root, results, rows, seeds, set_)
    if not _sweep(request, slots, launcher, wandb, states_of(retry)):
        raise typer.Exit(FAILED)


@app.command()
def tune(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The study file (YAML).")],
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    set_: Overrides = None,
    slots: Slots = None,
    launcher: LauncherName = "local",
    wandb: Wandb = None,
    trials: Annotated[
        int | None, typer.Option(min=0, help="This many more trials, in place of n_trials in all.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="postgresql://..., for several drivers; studies.db in the results folder if not given.",
        ),
    ] = None,
    promote: Annotated[
        bool,
        typer.Option(
            "--promote", help="Append the best trial to the experiment as a row, and train that."
        ),
    ] = False,
    trial: Annotated[
        int | None, typer.Option(min=0, help="The trial to promote, in place of the best.")
    ] = None,
) -> None:
    """Continue a study, or start it: tune one row with Optuna."""
    from benchmark.options import request_of

    request = request_of(study, profile, data_root, results, None, None, set_)
    if trial is not None and not promote:
        raise UserError("--trial names the trial to promote: give --promote, too")
    from benchmark.tuning.study import read_study

    made = read_study(request)
    if promote and trial is None and len(made.file.objectives) > 1:
        raise UserError(
            "--promote: two objectives have no best trial; look at the Pareto front in the summary, "
            "and name one of it with --trial NUMBER"
        )
    well, row = _tune(made, slots, launcher, wandb, trials, storage, (promote, trial))
    if row is not None:
        of_row = replace(made.request, rows=(row,), seeds=None, overrides={})
        well = _sweep(of_row, slots, launcher, wandb, set()) and well
    if not well:
        raise typer.Exit(FAILED)


@app.command()
def report(
    experiment: File,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    seeds: Seeds = None,
    set_: Overrides = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; fail if what is on disk differs or is stale."),
    ] = False,
) -> None:
    """Write the leaderboard again from the records on disk; trains nothing and needs neither data nor W&B."""
    from benchmark.options import request_of
    from benchmark.report.command import run

    if not run(request_of(experiment, profile, data_root, results, None, seeds, set_), check):
        raise typer.Exit(FAILED)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A row of a leaderboard, or a run's id.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The row or run to hold against it.")],
    results: Results = Path("results"),
    experiment: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Take rows from this experiment's leaderboard."),
    ] = None,
    images: Annotated[
        int, typer.Option(min=0, help="How many of the images that differ most.")
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Compare two rows or runs on the same images: difference, interval, classes and images."""
    from benchmark.comparison.find import compare as compared
    from benchmark.comparison.words import show

    show(compared(a, b, results, experiment), images, as_json)


@app.command()
def doctor() -> None:
    """Show versions, native ops, GPUs, W&B and disk, and what to do about each problem."""
    from rich.console import Console

    from benchmark.doctor import findings, table

    found = findings()
    Console().print(table(found))
    if any(finding.problem for finding in found):
        raise typer.Exit(FAILED)


@data_app.command("check")
def data_check(
    folder: Annotated[Path, typer.Argument(help="Folder with train.json and val.json.")],
) -> None:
    """Count what is there, and list what would make a training fail or its numbers wrong."""
    from benchmark.data.check import check, report_text
    from benchmark.dataset import describe

    dataset = describe(folder)
    found = check(dataset)
    typer.echo(report_text(dataset))
    _tell(found)


@data_app.command("synthesize")
def data_synthesize(
    folder: Annotated[
        Path, typer.Argument(help="Folder to draw the set in; reused if it is there.")
    ],
    train: Annotated[int | None, typer.Option(min=1, help="Number of training images.")] = None,
    val: Annotated[int | None, typer.Option(min=1, help="Number of validation images.")] = None,
    size: Annotated[int | None, typer.Option(min=64, help="Longest side in pixels.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws another set.")] = 0,
) -> None:
    """Draw the synthetic ten-class waste set: deterministic, and a detector can learn it."""
    from benchmark.data.synthesize import synthesize

    chosen = {"train": train, "val": val, "size": size}
    given = {name: value for name, value in chosen.items() if value is not None}
    typer.echo(f"synthetic data in {synthesize(folder, seed=seed, **given)}")


def _sweep(
    request: Request, slots: int | None, launcher: str, wandb: str | None, again: set[State]
) -> bool:
    """Runs what is missing and writes the table; returns whether all that was asked for is done."""
    from benchmark.options import tracking_of
    from benchmark.outcome import close
    from benchmark.plan import make_plan, refreshed, with_all_rows
    from benchmark.sweep import missing, only_driver

    made = make_plan(request)
    # Planned now: an edit of the experiment or of a part while jobs run belongs to the next sweep.
    whole = with_all_rows(made, request)
    tracking = tracking_of(made, wandb)
    with only_driver(request.results):
        runs = missing(made, again)
        if runs:
            _run(made, runs, slots, launcher, tracking)
        # What was read a moment ago still holds where nothing ran.
        asked = refreshed(made) if runs else made
        return close(asked, whole, request, tracking, ran=bool(runs))


def _run(made: Plan, runs: list[Planned], slots: int | None, launcher: str, tracking: Any) -> None:
    from functools import partial

    from rich.console import Console

    from benchmark.job import JobOptions
    from benchmark.launchers import make_launcher
    from benchmark.progress import Board, make_watcher, name_of
    from benchmark.resources import make_pool
    from benchmark.sweep import Listed, Sweep, end_orphans, obstacles

    pool = make_pool(slots)
    _tell(obstacles(made, pool.gpus))
    starter = make_launcher(launcher)
    typer.echo(f"{len(runs)} of {len(made.runs)} runs to do, {pool.slots} at a time.")
    names, shared = [name_of(run) for run in runs], launcher == "inprocess"
    try:
        end_orphans(runs)
        with make_watcher(Console(), Board(len(runs)), names, shared) as watcher:
            Sweep(starter, pool, partial(JobOptions, tracking, cost=True), watcher).run(
                Listed(runs)
            )
    except KeyboardInterrupt:
        typer.echo("interrupted: the same command continues where it was", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _tune(
    made: Study,
    slots: int | None,
    launcher: str,
    wandb: str | None,
    trials: int | None,
    storage: str | None,
    promote: tuple[bool, int | None],
) -> tuple[bool, str | None]:
    """Runs a study and writes what it found; returns whether a trial is complete, and the name of a promoted row."""
    from benchmark.launchers import make_launcher
    from benchmark.options import tracking_of
    from benchmark.resources import make_pool
    from benchmark.sweep import obstacles, only_driver
    from benchmark.tuning.command import (
        Running,
        answering,
        close_study,
        open_store,
        promoted,
        run_study,
    )

    pool = make_pool(slots)
    _tell(obstacles(made.base, pool.gpus))
    tracking = tracking_of(made.base, wandb)
    starter, alone = make_launcher(launcher), launcher == "inprocess"
    if alone and storage is not None:
        raise UserError(
            "--launcher inprocess gives no sign of life to the others of a shared study"
        )
    running = Running(pool, starter, alone, tracking, trials)
    with only_driver(made.request.results), answering():
        store = open_store(made, storage)
        try:
            ran = run_study(made, store, running)
        except KeyboardInterrupt:
            which = "the same command" if trials is None else "the command without --trials"
            typer.echo(f"interrupted: {which} continues where it was", err=True)
            raise typer.Exit(INTERRUPTED) from None
        well = close_study(made, store, tracking, ran=bool(ran))
        row = promoted(made, store, promote[1]) if well and promote[0] else None
        return well, row.row.name if row else None


def _tell(found: Findings) -> None:
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if found.errors:
        raise UserError(found.errors)


def main() -> None:
    """Entry point of ``detboard``: wrong input ends with status 2 and a message, never with a traceback."""
    try:
        app()
    except UserError as error:
        for problem in error.problems:
            typer.echo(f"error: {problem}", err=True)
        sys.exit(WRONG_INPUT)
