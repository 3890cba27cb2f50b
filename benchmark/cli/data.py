"""``detboard data``: checks a data set, or draws a synthetic one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.app import FAILED, tell

data_app = typer.Typer(
    help="Check a COCO-format dataset, or draw a synthetic one.", no_args_is_help=True
)


@data_app.command("check")
def data_check(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder with train.json and val.json.")
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Take warnings for errors: status 1 if there is any.")
    ] = False,
) -> None:
    """Count what is there, and list what would make a training fail or its numbers wrong."""
    from benchmark.cli.decoding import decoding_shown
    from benchmark.data.check import check, report_text, usual_losses
    from benchmark.data.dataset import describe, hashes_text
    from benchmark.data.findings import Findings
    from benchmark.data.pictures import Decoding

    dataset = describe(folder)
    with decoding_shown() as told:
        found = check(dataset, decoding=Decoding(told=told))
    found.add(usual_losses(dataset))
    typer.echo(report_text(dataset))
    typer.echo("\nThe data of published values, as an experiment file names it:")
    typer.echo(hashes_text(dataset))
    if strict and found.warnings and not found.errors:
        for warning in found.warnings:
            typer.echo(f"error: {warning}", err=True)
        raise typer.Exit(FAILED)
    if strict:
        found = Findings([*found.errors, *found.warnings])
    tell(found)


@data_app.command("synthesize")
def data_synthesize(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder to draw the set in; reused if it is there."),
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
