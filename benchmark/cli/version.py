"""``detboard --version``: which DetBoard this is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import benchmark


def _show(asked: bool) -> None:
    if asked:
        typer.echo(f"detboard {benchmark.__version__}{_commit()}")
        raise typer.Exit


def _commit() -> str:
    """In a checkout its commit, and whether that holds all of the code."""
    from benchmark.run.checkout import read_checkout

    checkout = read_checkout((), Path("results"))
    if checkout is None:
        return ""
    return f" ({checkout.commit[:12]}{', with changes' if checkout.changed else ''})"


def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Regenerates a detection leaderboard: trains, tracks and tabulates every row with mmdet."""
