"""``detboard report``: writes the leaderboard again from the records, or checks it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import FAILED, DataRoot, Experiment, Overrides, Profile, Results, Seeds
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.run.plan import Request


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

    if not _report(request_of(experiment, profile, data_root, results, None, seeds, set_), check):
        raise typer.Exit(FAILED)


def _report(request: Request, check: bool) -> bool:
    """Writes the leaderboard's files from what the results folder holds, or compares them, and says so.

    Returns:
        Whether all is well: every file could be made, and with ``check`` none differs and no number is stale.

    Raises:
        UserError: The experiment is wrong, there is nothing to show, or the README's markers are wrong.
    """
    from benchmark.leaderboard.select import report_on_disk
    from benchmark.leaderboard.write import publish

    with _uncollected():
        made = report_on_disk(request)
        written = publish(made, check)
    if not written.changed:
        print(f"up to date: {', '.join(map(str, written.unchanged))}")
    for line in written.skipped:
        print(line)
    if written.wrong:
        raise UserError(list(written.wrong))
    return not written.problems and not (check and (written.changed or made.stale))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector.

    Nothing is thrown away before the end, and with ten thousand records it takes a third of the time to find out.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
