"""``detboard weights``: which files of weights the rows need, whether they are here and sound; fetches them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import (
    CONTINUES,
    FAILED,
    Compile,
    DataRoot,
    Experiment,
    Overrides,
    Precision,
    Profile,
    Results,
    Rows,
)
from benchmark.process import OutputLost, say_ended

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.run.fetched.fetch import Begun
    from benchmark.run.fetched.needs import Need
    from benchmark.run.fetched.stream import Told
    from benchmark.run.state import Planned

_SPARSE_S = 30.0
Fetch = Annotated[bool, typer.Option("--fetch", help="Fetch what is missing or damaged.")]


def weights(
    experiment: Experiment,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    rows: Rows = None,
    set_: Overrides = None,
    precision: Precision = None,
    compile_: Compile = None,
    fetch: Fetch = False,
) -> None:
    """List the files of weights that the rows need, and fetch what is missing; trains nothing.

    Needs no data where the experiment names the classes.
    """
    from benchmark.cli.options import request_of
    from benchmark.errors import UserError
    from benchmark.run.fetched.needs import needs_of, unnamable
    from benchmark.run.plan import make_plan
    from benchmark.sweep.weights import contents_of, is_well, listed

    request = request_of(
        experiment, profile, data_root, results, rows, None, set_, precision, compile_
    )
    made = make_plan(replace(request, needs_data=False))
    if wrong := unnamable(made.runs):
        raise UserError(wrong)
    contents = contents_of(made.runs)
    if fetch:
        fetch_shown(needs_of(made.runs), made.runs, trust=True)
    typer.echo(listed(made, contents))
    if not is_well(made.runs, contents):
        raise typer.Exit(FAILED)


def fetch_shown(needs: Sequence[Need], runs: Sequence[Planned], trust: bool) -> None:
    """Fetches what is not on this machine, and shows how far it is; says of what could not be fetched what to do.

    Args:
        needs: The files.
        runs: The runs that are to be made, and some of which may need none of them.
        trust: Whether files that hold code are loaded, too.

    Raises:
        UserError: A file holds code, and is not trusted.
        typer.Exit: A file could not be fetched; or Ctrl-C, or nobody reads on: what has come is gone on from.
    """
    from benchmark.errors import UserError
    from benchmark.run.fetched.fetch import fetch
    from benchmark.sweep.weights import code, contents_of, not_fetched

    contents = contents_of(runs)
    try:
        with _shown() as begun:
            failed = fetch(needs, contents, begun, typer.echo)
    except (KeyboardInterrupt, OutputLost):
        raise typer.Exit(say_ended(CONTINUES)) from None
    for problem in not_fetched(failed, runs):
        typer.echo(f"error: {problem}", err=True)
    if failed:
        raise typer.Exit(FAILED)
    if not trust and (refused := code(needs, contents)):
        raise UserError(refused)


@contextmanager
def _shown() -> Iterator[Begun]:
    """Yields what hears of each file that is fetched: a bar in a terminal, a line now and then elsewhere."""
    from benchmark.writing.console import PlainConsole

    console = PlainConsole()
    if console.is_terminal:
        with _bars(console) as begun:
            yield begun
    else:
        yield _lines


@contextmanager
def _bars(console: Console) -> Iterator[Begun]:
    from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    given = Progress.get_default_columns()[:2]
    columns = (*given, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:

        def begun(need: Need) -> Told:
            task = progress.add_task(need.name, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield begun


def _lines(need: Need) -> Told:
    from benchmark.writing.words import size

    typer.echo(f"fetching {need.shown} for {need.of_rows}")
    due = time.monotonic() + _SPARSE_S

    def told(done: int, total: int | None) -> None:
        nonlocal due
        if time.monotonic() > due:
            due = time.monotonic() + _SPARSE_S
            typer.echo(f"{need.name}: {size(done)}{f' of {size(total)}' if total else ''}")

    return told
