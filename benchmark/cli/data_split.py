"""``detboard data split``: divides an annotation file into folds, or holds a part of it out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import warn
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.data.split.divide import Wanted
    from benchmark.data.split.split import Made


def data_split(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The annotation file (COCO JSON).")],
    folds: Annotated[
        int | None, typer.Option(min=2, max=100, help="Divide the images into so many folds.")
    ] = None,
    holdout: Annotated[
        float | None, typer.Option(metavar="0.1", help="Hold this share of the images out.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another seed, other parts.")] = 0,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Keep images together: a key of their entries, or a pattern over file names.",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the images, if not beside FILE.")
    ] = None,
    no_duplicates: Annotated[
        bool,
        typer.Option("--no-duplicates", help="Do not look for near-duplicates; reads no image."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to write to, if not beside FILE.")
    ] = None,
) -> None:
    """Divide the images of an annotation file into folds alike in classes, or hold a share out."""
    from benchmark.data.split.split import split

    wanted = _wanted(folds, holdout, seed, group, not no_duplicates)
    _show(split(file, wanted, images, out))


def _wanted(
    folds: int | None, holdout: float | None, seed: int, group: str | None, duplicates: bool
) -> Wanted:
    from benchmark.data.split.divide import Wanted, shares

    if (folds is None) == (holdout is None):
        both = "one of them, not both" if folds is not None else "one of them"
        raise UserError(
            f"--folds 5 divides into folds, --holdout 0.1 holds a part out: give {both}"
        )
    held, count = (0, folds) if folds is not None else shares(holdout or 0.0)
    return Wanted(count or 0, seed, group, duplicates, held)


def _show(made: Made) -> None:
    """What was divided how, what the parts hold, what is odd about it, and where the files are."""
    from benchmark.data.split.report import tables, told
    from benchmark.writing.console import PlainConsole
    from benchmark.writing.terminal import show

    console = PlainConsole()
    for table in tables(made.division, made.held, console):
        show(console, table)
        typer.echo()
    for sentence in told(made.division, made.groups, made.held):
        typer.echo(sentence)
    typer.echo(f"wrote {', '.join(made.files)} in {made.folder}")
    if made.held.rare:
        warn(["not every part has an object of every class, see above"])
    if made.is_root:
        typer.echo(f"'--data-root {made.folder}' takes them.")
    elif not made.division.wanted.held:
        typer.echo(f"An experiment takes them with 'folds: {made.folder}'.")
