"""``detboard config``: a row's composed config."""

from __future__ import annotations

from dataclasses import replace
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import (
    Compile,
    DataRoot,
    Experiment,
    Overrides,
    Precision,
    Profile,
    Results,
    Rows,
    Seeds,
)
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.config.tree import Config
    from benchmark.run.plan import Plan


def config(
    experiment: Experiment,
    rows: Rows = None,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    seeds: Seeds = None,
    set_: Overrides = None,
    precision: Precision = None,
    compile_: Compile = None,
    diff: Annotated[
        bool,
        typer.Option(
            "--diff", help="What was changed of the config file that the row is made from."
        ),
    ] = False,
) -> None:
    """Print a row's composed config, a plain mmdet config; trains nothing.

    Needs no data where the experiment names the classes.
    """
    from benchmark.cli.options import request_of
    from benchmark.config.config_file import render
    from benchmark.config.written import as_written
    from benchmark.run.plan import make_plan

    request = request_of(
        experiment, profile, data_root, results, rows, seeds, set_, precision, compile_
    )
    made = make_plan(replace(request, needs_data=False, fold=0))
    if len(made.runs) != 1:
        names = ", ".join(row.name for row in made.rows)
        known = ", ".join(map(str, made.seeds))
        raise UserError(f"one row and one seed, please: --rows NAME of {names}; --seeds of {known}")
    if made.dataset.is_absent:
        place = made.dataset.train.annotations
        told = "the config has the classes and paths that the experiment states"
        typer.echo(f"warning: {place}: the data was not found; {told}", err=True)
    run = made.runs[0]
    if fold := made.dataset.fold:
        alone = "the others differ in their annotation files, and in the images that a shortened run takes"
        typer.echo(f"note: the config of fold 0 of {fold.count}; {alone}", err=True)
    if not run.config:
        raise UserError(f"row '{run.spec.row}' has no config: it is not trained here")
    written = as_written(dict(run.config), run.spec.overrides)
    told = _difference(made, written) if diff else render(written)
    typer.echo(told, nl=False)


def _difference(made: Plan, config: Config) -> str:
    """What was changed of the config file that the only row of a plan is made from: in words, and line by line."""
    from benchmark.config.compose import original, surroundings_of
    from benchmark.config.config_file import render

    (row,), spec = made.rows, made.runs[0].spec
    before = original(row, surroundings_of(made.experiment, made.profile))
    if before is None:
        raise UserError(
            f"--diff: row '{row.name}' is made from parts, not from a config to hold it against"
        )
    in_order = {key: config[key] for key in {**before, **config} if key in config}
    names = (spec.names["config"], f"{row.name} ({made.profile})")
    texts = (render(before).splitlines(), render(in_order).splitlines())
    lines = unified_diff(*texts, *names, lineterm="")
    return "".join(f"{line}\n" for line in (*(f"# {change}" for change in spec.changes), *lines))
