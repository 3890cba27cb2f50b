"""``detboard runs``: what a results folder holds; stops, removes and renames runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import Results, warn
from benchmark.errors import MachineError, UserError, few

if TYPE_CHECKING:
    from benchmark.experiment.experiment import Experiment
    from benchmark.run.runs import Runs
    from benchmark.sweep.listing import Entry
    from benchmark.tuning.known import Known

runs_app = typer.Typer(
    help="List, stop, remove and rename the runs of a results folder.", no_args_is_help=True
)

Experiments = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[EXPERIMENT]...", help="Experiment files (YAML) whose rows the runs may be of."
    ),
]
AsIs = Annotated[
    bool, typer.Option("--as-is", help="Record them as they are, as pruned: for good.")
]
Ids = Annotated[list[str], typer.Argument(metavar="RUN...", help="Run ids.")]


@runs_app.command("list")
def list_runs(experiments: Experiments = None, results: Results = Path("results")) -> None:
    """List runs and trials: state, age, size, and the row that each is of, or that none asks for it any more."""
    on_disk, made = _runs_in(results), _experiments(experiments or ())
    studies = _studies(results)
    found = _listed(on_disk, made, studies)
    _show(found, results)
    for line in [*_study_lines(studies or (), found, made), _sum(found)]:
        typer.echo(line)
    if not experiments:
        typer.echo("With experiment files it says which runs are of no row any more.")


@runs_app.command("stop")
def stop_runs(runs: Ids, results: Results = Path("results"), as_is: AsIs = False) -> None:
    """End runs early, those that wait in a queue too; the next sweep continues them, unless --as-is."""
    from benchmark.sweep.tending import stop

    then = "the next sweep or study continues it"
    if as_is:
        then = "no sweep goes on with it, unless --retry pruned"
    stop(_runs_in(results), runs, as_is, lambda run, done: typer.echo(f"{run}: {done}; {then}"))


@runs_app.command("rm")
def remove_runs(
    names: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Run ids; with --orphans experiment files."),
    ],
    results: Results = Path("results"),
    orphans: Annotated[
        bool,
        typer.Option(
            "--orphans",
            help="The runs that no row of these experiments asks for any more; none of a study.",
        ),
    ] = False,
) -> None:
    """Remove runs for good, and say which."""
    from benchmark.run.owners import Kind

    on_disk = _runs_in(results)
    made = _experiments([Path(name) for name in names] if orphans else ())
    found = _listed(on_disk, made, _studies(results))
    gone = [run for run in found if run.owner.kind is Kind.NO_ROW]
    ids = [run.spec.run_id for run in gone] if orphans else names
    if orphans and not gone:
        typer.echo("no run is of no row")
        return
    _remove(on_disk, ids, found)


@runs_app.command("mv")
def move_runs(
    experiment: Annotated[
        Path, typer.Argument(metavar="EXPERIMENT", help="The experiment file, with the new name.")
    ],
    old: Annotated[str, typer.Argument(metavar="OLD", help="The name that the row had.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name that it has now.")],
    results: Results = Path("results"),
) -> None:
    """Give the runs of a row that was renamed to the row, in place of training them again."""
    from benchmark.experiment.experiment import load_experiment
    from benchmark.sweep.moving import move_row

    on_disk = _runs_in(results)
    move_row(load_experiment(experiment), old, new, on_disk, typer.echo)
    typer.echo(f"'detboard report {experiment}' writes the table with them.")


def _runs_in(results: Path) -> Runs:
    from benchmark.launchers.living import standing
    from benchmark.run.runs import Runs

    if not (results / "runs").is_dir():
        raise UserError(f"--results {results}: there are no runs; give the folder that has 'runs/'")
    return Runs(results, standing)


def _listed(
    on_disk: Runs, experiments: Sequence[Experiment], studies: Sequence[Known] | None
) -> list[Entry]:
    """The runs that can be read; warns of the others."""
    from benchmark.sweep.listing import listed

    problems: list[str] = []
    ids = None if studies is None else {study.study_id for study in studies}
    found = listed(on_disk, experiments, ids, problems)
    warn(problems)
    return found


def _experiments(files: Sequence[Path]) -> list[Experiment]:
    """The experiments; a file of tuned rows beside its experiment, as in ``experiments/*.yaml``, is a part of that."""
    from benchmark.errors import attempt
    from benchmark.experiment.experiment import load_experiment, tuned_file

    problems: list[str] = []
    tuned = {tuned_file(path) for path in files}
    read = [attempt(problems, load_experiment, path) for path in files if path not in tuned]
    if problems:
        raise UserError(problems)
    return [experiment for experiment in read if experiment is not None]


def _studies(results: Path) -> list[Known] | None:
    """The studies, None where their database cannot be read; Optuna, which takes its time to load, only where it is."""
    if not (results / "studies.db").is_file():
        return []
    from benchmark.tuning.known import known_studies

    try:
        return known_studies(results)
    except (UserError, MachineError) as error:
        warn([str(error)])
        return None


def _study_lines(
    studies: Sequence[Known], found: Sequence[Entry], experiments: Sequence[Experiment]
) -> list[str]:
    """A line a study, and whether its row is in one of the experiments that were named."""
    rows = {row.name for experiment in experiments for row in experiment.rows}
    ids = [run.spec.study for run in found]
    return [
        f"study {study.name} over row {study.row}: {study.trials} trials, {ids.count(study.study_id)} of the runs"
        + (f"; no row {study.row} in what was named" if rows and study.row not in rows else "")
        for study in studies
        if study.study_id
    ]


def _remove(on_disk: Runs, ids: Sequence[str], found: Sequence[Entry]) -> None:
    from benchmark.sweep.tending import remove
    from benchmark.writing.words import size

    known = {run.spec.run_id: run for run in found}

    def told(run_id: str) -> None:
        run = known.get(run_id)
        what = f" ({run.status}, {size(run.size_bytes)}, {run.owner.words})" if run else ""
        typer.echo(f"removed {run_id}{what}")
        users = [other.spec.run_id for other in found if run_id in other.spec.made_from]
        if left := [name for name in users if name not in ids]:
            typer.echo(f"  {few(left)} made from it: stays as it is until {run_id} is made again")

    remove(on_disk, ids, told)


def _show(found: Sequence[Entry], results: Path) -> None:
    """A line a run; in a narrow terminal it is whose it is that folds, never the id, which is for copying."""
    from rich.text import Text

    from benchmark.errors import printable
    from benchmark.writing.terminal import Shown, show, table_of, unbound_console
    from benchmark.writing.words import age, size

    columns = {
        "run": [run.spec.run_id for run in found],
        "state": [run.status for run in found],
        "age": [age(run.age_s) for run in found],
        "size": [size(run.size_bytes) for run in found],
        "whose": [run.owner.words for run in found],
    }
    shown = [
        Shown(
            key,
            key,
            [Text(printable(cell)) for cell in cells],
            right=key in ("age", "size"),
            elastic=key == "state",
        )
        for key, cells in columns.items()
    ]
    console = unbound_console()
    show(console, table_of(f"{results / 'runs'}", shown, console, folds="whose"))


def _sum(found: Sequence[Entry]) -> str:
    from benchmark.run.owners import Kind
    from benchmark.writing.words import counted, size

    orphans = [run for run in found if run.owner.kind is Kind.NO_ROW]
    left = size(sum(run.size_bytes for run in orphans))
    told = f"; {len(orphans)} of no row, {left}" if orphans else ""
    return f"{counted(len(found), 'run')}, {size(sum(run.size_bytes for run in found))}{told}"
