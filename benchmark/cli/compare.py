"""``detboard compare``: two rows or runs on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from benchmark.cli.app import Results

if TYPE_CHECKING:
    from benchmark.experiment.published import Judge


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
    split: Annotated[
        str | None,
        typer.Option(
            metavar="val|test",
            help="On which split; by default on the one that ranks the rows in their leaderboard.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Compare two rows or runs on the same images: difference, interval, classes and images."""
    from benchmark.comparison.find import compare as compared
    from benchmark.comparison.show import show
    from benchmark.errors import UserError, allowed

    if split not in (None, "val", "test"):
        raise UserError(f"--split {split}: {allowed(str(split), ('val', 'test'))}")
    show(compared(a, b, results, experiment, cast("Judge | None", split)), images, as_json)
