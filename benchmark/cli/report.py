"""``detboard report``: writes the leaderboard again from the records, or checks it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import (
    FAILED,
    Compile,
    DataRoot,
    Experiment,
    Overrides,
    Precision,
    Profile,
    Results,
    Seeds,
)
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
    precision: Precision = None,
    compile_: Compile = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; fail if what is on disk differs or is stale."),
    ] = False,
) -> None:
    """Write the leaderboard again from the records on disk; trains nothing and needs neither data nor W&B.

    Of every data set and profile that the results folder has runs of, unless --data-root or --profile name one.
    """
    from benchmark.cli.options import request_of

    if not _report(
        request_of(experiment, profile, data_root, results, None, seeds, set_, precision, compile_),
        check,
    ):
        raise typer.Exit(FAILED)


def _report(request: Request, check: bool) -> bool:
    """Writes the leaderboard's files from what the results folder holds, or compares them, and says so.

    Returns:
        Whether all is well: every file could be made, and with ``check`` none differs and no number is stale.

    Raises:
        UserError: The experiment is wrong, there is nothing to show, or the README's markers are wrong.
    """
    from benchmark.garbage import leave_to_the_end, uncollected
    from benchmark.leaderboard.select import reports_on_disk
    from benchmark.leaderboard.write import publish_all

    with uncollected():
        made = reports_on_disk(request)
        written = publish_all(made, request.results, check)
        leave_to_the_end()
    for one in written:
        if not one.changed:
            print(f"up to date: {', '.join(map(str, one.unchanged))}")
    for line in dict.fromkeys(line for one in written for line in one.skipped):
        print(line)
    if wrong := [*made.problems, *(problem for one in written for problem in one.wrong)]:
        raise UserError(dict.fromkeys(wrong))
    differs = check and any(one.changed for one in written)
    stale = check and any(report.stale for report in made.reports)
    return not (differs or stale or any(one.problems for one in written))
