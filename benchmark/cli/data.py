"""``detboard data``: checks a data set, or draws a synthetic one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.data_check import data_check

data_app = typer.Typer(
    help="Check a COCO-format dataset, or draw a synthetic one.", no_args_is_help=True
)


data_app.command("check")(data_check)


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
