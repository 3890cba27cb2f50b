"""``detboard compare``: two rows or runs on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.app import Results


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
    from benchmark.comparison.show import show

    show(compared(a, b, results, experiment), images, as_json)
