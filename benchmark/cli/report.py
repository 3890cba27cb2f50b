"""``detboard report``: writes the leaderboard again from the records, or checks it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.app import (
    FAILED,
    DataRoot,
    Experiment,
    Overrides,
    Profile,
    Results,
    Seeds,
)


def report(
    experiment: Experiment,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    seeds: Seeds = None,
    set_: Overrides = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; fail if what is on disk differs or is stale."),
    ] = False,
) -> None:
    """Write the leaderboard again from the records on disk; trains nothing and needs neither data nor W&B."""
    from benchmark.cli.options import request_of
    from benchmark.leaderboard.publish import run

    if not run(request_of(experiment, profile, data_root, results, None, seeds, set_), check):
        raise typer.Exit(FAILED)
