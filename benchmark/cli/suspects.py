"""``detboard data check EXPERIMENT --row NAME``: labels that a finished row speaks against."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from benchmark.cli.app import warn
from benchmark.errors import UserError, not_written
from benchmark.experiment.experiment import load_experiment
from benchmark.launchers.living import standing
from benchmark.leaderboard.boards import Boards
from benchmark.leaderboard.suspect_files import LIST, write_suspects
from benchmark.leaderboard.suspects import listing_text, suspect_labels
from benchmark.run.plan import Plan, Request, plan_of
from benchmark.run.record import State
from benchmark.run.runs import Runs
from benchmark.run.state import Planned
from benchmark.writing.words import counted


def show_suspects(request: Request, row: str, pictures: Path | None) -> None:
    """Lists the suspect labels of a row, and writes them and their pictures.

    Args:
        request: The experiment, with all of its rows.
        row: The row's name.
        pictures: The folder to write to; a folder beside the board if None.

    Raises:
        UserError: There is no such row, or none of its runs is complete.
    """
    made, runs = _complete(request, row)
    listing = suspect_labels(runs)
    typer.echo(listing_text(listing), nl=False)
    if not listing.labels and pictures is None:
        return
    folder = pictures or _beside_board(made, request, row)
    try:
        warn(write_suspects(folder, listing.labels))
    except OSError as error:
        raise not_written(error.filename or folder, error) from None
    typer.echo(f"\n{counted(len(listing.labels), 'suspect')} and pictures in {folder / LIST}")


def _beside_board(made: Plan, request: Request, row: str) -> Path:
    stem = Boards(made.experiment, request.results).stem(made.profile, made.dataset)
    return request.results / f"{stem}-suspects" / row


def _complete(request: Request, row: str) -> tuple[Plan, list[Planned]]:
    """The plan of a row, and its complete runs of the first seed that has one: one, or one a fold."""
    experiment, on_disk = load_experiment(request.path), Runs(request.results, standing)
    started = on_disk.started(lambda spec: spec.row == row, [])
    seeds = dict.fromkeys([*experiment.seeds, *(run.spec.seed for run in started)])
    made = plan_of(experiment, replace(request, rows=(row,), seeds=tuple(seeds)), on_disk)
    done = [run for run in made.runs if run.spec.row == row and run.state is State.COMPLETE]
    if not done:
        raise UserError(
            f"--row {row}: no run of it is complete in {request.results} under profile {made.profile} on "
            f"{made.dataset.name}: run 'detboard sweep' first, or name the --profile, --data-root and --results of one"
        )
    return made, [run for run in done if run.spec.seed == done[0].spec.seed]
