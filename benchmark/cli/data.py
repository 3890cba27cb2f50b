"""``detboard data``: checks a data set, imports or divides one, or draws a synthetic one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.data_check import data_check
from benchmark.cli.data_split import data_split

data_app = typer.Typer(
    help="Check a COCO-format dataset, import, divide or draw one.", no_args_is_help=True
)


data_app.command("check")(data_check)
data_app.command("split")(data_split)


@data_app.command("import")
def data_import(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SRC...", help="Folders as tools have exported them.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make of them.")],
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="OLD=NEW", help="Rename a class; OLD= drops it; or a YAML file."
        ),
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy images in place of linking them.")
    ] = False,
    format_: Annotated[
        str | None, typer.Option("--format", help="The sources' format, where it is not clear.")
    ] = None,
) -> None:
    """Make a data root of Pascal VOC, YOLO, CVAT, or COCO as Label Studio, Roboflow and COCO lay it out."""
    from benchmark.data.importing.importer import Wanted, formats, import_data

    wanted = Wanted(sources, folder, maps or (), copy, format_)
    found = formats(wanted)
    for path, form in found.items():
        typer.echo(f"{path}: {form.title}")
    typer.echo(import_data(wanted, found))
    typer.echo(f"data in {folder}")


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
