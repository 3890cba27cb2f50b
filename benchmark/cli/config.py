"""``detboard config``: a row's composed config."""

from __future__ import annotations

from pathlib import Path

import typer

from benchmark.cli.app import (
    DataRoot,
    Experiment,
    Overrides,
    Profile,
    Results,
    Rows,
    Seeds,
)
from benchmark.errors import UserError


def config(
    experiment: Experiment,
    rows: Rows = None,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    seeds: Seeds = None,
    set_: Overrides = None,
) -> None:
    """Print a row's composed config, a plain mmdet config; trains nothing."""
    from benchmark.cli.options import request_of
    from benchmark.config.config_file import render
    from benchmark.run.plan import make_plan

    made = make_plan(request_of(experiment, profile, data_root, results, rows, seeds, set_))
    if len(made.runs) != 1:
        names = ", ".join(row.name for row in made.rows)
        raise UserError(
            f"one row and one seed, please: --rows NAME of {names}; --seeds of {made.seeds}"
        )
    typer.echo(render(dict(made.runs[0].config)), nl=False)
