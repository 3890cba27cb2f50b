"""``detboard data check``: what is wrong with a data set, and how it fits the rows of an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import FAILED, DataRoot, Profile, Results, tell
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.data.dataset import Dataset
    from benchmark.data.findings import Findings
    from benchmark.run.plan import Plan, Request

_EXPERIMENTS = (".yaml", ".yml")


def data_check(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|EXPERIMENT",
            help="Folder with train.json and val.json; or an experiment file, for its data and rows.",
        ),
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Take warnings for errors: status 1 if there is any.")
    ] = False,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    row: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="List the labels that this finished row speaks against."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where --row writes pictures; beside the board if not given."
        ),
    ] = None,
) -> None:
    """Count what is there, and list what would make a training fail or its numbers wrong.

    Of an experiment the sizes of objects at each row's input stand beside its anchors.
    """
    from benchmark.cli.options import request_of

    if source.suffix.lower() not in _EXPERIMENTS:
        given = {
            "--profile": profile,
            "--data-root": data_root,
            "--row": row,
            "--pictures": pictures,
        }
        _refuse(given, "for an experiment file; this is a folder of data")
        return _end(_check_folder(source), strict)
    _refuse_yolo(source)
    request = request_of(source, profile, data_root, results, None, None, None)
    if row is None:
        _refuse({"--pictures": pictures}, "goes with --row")
        return _end(_check_rows(request), strict)
    _refuse({"--strict": strict or None}, "goes without --row: a suspect label is no warning")
    from benchmark.cli.suspects import show_suspects

    show_suspects(request, row, pictures)


def _refuse_yolo(path: Path) -> None:
    from benchmark.data.importing.yolo_names import names_classes

    if path.is_file() and names_classes(path):
        raise UserError(
            f"{path}: has 'names', as YOLO's data sets do, and is no experiment; 'detboard data import "
            f"{path.parent} DIR' makes a data root of its folder"
        )


def _refuse(options: Mapping[str, object], why: str) -> None:
    if named := [name for name, value in options.items() if value is not None]:
        raise UserError(f"{', '.join(named)}: {why}")


def _end(found: Findings, strict: bool) -> None:
    from benchmark.data.findings import Findings

    if strict and found.warnings and not found.errors:
        for warning in found.warnings:
            typer.echo(f"error: {warning}", err=True)
        raise typer.Exit(FAILED)
    tell(Findings([*found.errors, *found.warnings]) if strict else found)


def _check_folder(folder: Path) -> Findings:
    from benchmark.cli.decoding import decoding_shown
    from benchmark.data.check import check, usual_losses
    from benchmark.data.dataset import describe
    from benchmark.data.pictures import Decoding

    dataset = describe(folder)
    with decoding_shown() as told:
        found = check(dataset, decoding=Decoding(told=told))
    found.add(usual_losses(dataset))
    _show(dataset)
    return found


def _show(dataset: Dataset) -> None:
    from benchmark.data.check import report_text
    from benchmark.data.dataset import hashes_text

    typer.echo(report_text(dataset))
    if dataset.fold is not None:
        typer.echo(f"\nThe training images are divided into {dataset.fold.count} folds.")
        return
    typer.echo("\nThe data of published values, as an experiment file names it:")
    typer.echo(hashes_text(dataset))


def _check_rows(request: Request) -> Findings:
    """Checks an experiment's data as its rows read it, and shows the objects as their models see them."""
    from dataclasses import replace

    from benchmark.cli.decoding import decoding_shown
    from benchmark.data.check import check
    from benchmark.data.memory import Memory
    from benchmark.run.object_sizes import objects_seen, size_warnings, sizes_text
    from benchmark.sweep.left import left_of
    from benchmark.sweep.missing import decoding_of

    made, lost = _plan(request)
    with decoding_shown() as told:
        found = check(made.dataset, decoding=replace(decoding_of(made), told=told))
    found.add(left_of(made, Memory()))
    found.errors.extend(lost)
    seen = objects_seen(made)
    found.warnings.extend(size_warnings(seen))
    _show(made.dataset)
    typer.echo(f"\n{sizes_text(seen)}", nl=False)
    return found


def _plan(request: Request) -> tuple[Plan, list[str]]:
    """The plan over every row that can be composed, and what stands in the way of the others."""
    from dataclasses import replace

    from benchmark.experiment.experiment import load_experiment
    from benchmark.run.plan import find_dataset, plan_as_far
    from benchmark.run.runs import Runs

    experiment = load_experiment(request.path)
    dataset = find_dataset(experiment, request)
    wanted = replace(request, needs_data=False)  # weights need not be there to look at sizes
    profile = request.profile or experiment.profile
    made, lost = plan_as_far(experiment, wanted, dataset, profile, Runs(request.results))
    return made, [problem for problems in lost.values() for problem in problems]
