"""``detboard config``: a row's composed config."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from benchmark.cli.app import DataRoot, Experiment, Overrides, Profile, Results, Rows, Seeds
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
    """Print a row's composed config, a plain mmdet config; trains nothing.

    Needs no data where the experiment names the classes.
    """
    from benchmark.cli.options import request_of
    from benchmark.config.config_file import render
    from benchmark.config.written import as_written
    from benchmark.run.plan import make_plan

    request = request_of(experiment, profile, data_root, results, rows, seeds, set_)
    made = make_plan(replace(request, needs_data=False))
    if len(made.runs) != 1:
        names = ", ".join(row.name for row in made.rows)
        known = ", ".join(map(str, made.seeds))
        raise UserError(f"one row and one seed, please: --rows NAME of {names}; --seeds of {known}")
    if made.dataset.is_absent:
        place = made.dataset.train.annotations
        told = "the config has the classes and paths that the experiment states"
        typer.echo(f"warning: {place}: the data was not found; {told}", err=True)
    run = made.runs[0]
    typer.echo(render(as_written(dict(run.config), run.spec.overrides)), nl=False)
