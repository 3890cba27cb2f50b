"""``detboard plan``: what would run, what is finished, what stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from benchmark.cli.app import (
    DataRoot,
    Experiment,
    LauncherName,
    Overrides,
    Profile,
    Results,
    Rows,
    Seeds,
    Trust,
    tell,
    warn,
)

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.run.plan import Plan


def plan(
    experiment: Experiment,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    rows: Rows = None,
    seeds: Seeds = None,
    set_: Overrides = None,
    launcher: LauncherName = "local",
    trust: Trust = False,
) -> None:
    """Show what would run, what is finished and what stands in the way; trains nothing."""
    from rich.console import Console

    from benchmark.cli.options import request_of, tracking_of
    from benchmark.experiment.titles import title_warnings
    from benchmark.launchers import check_launcher, make_launcher
    from benchmark.launchers.living import lives
    from benchmark.leaderboard.published import why_not_compared
    from benchmark.run.plan import make_plan
    from benchmark.run.runs import Runs
    from benchmark.sweep.missing import missing, not_data, obstacles, undecoded_images

    check_launcher(launcher)
    request = request_of(experiment, profile, data_root, results, rows, seeds, set_)
    made = make_plan(request, Runs(results, lives))
    warn(title_warnings(made.experiment.rows))
    warn([why] if (why := why_not_compared(made, request)) else [])
    tracking_of(made, None)  # what it cannot take stands in the way
    Console().print(plan_table(made))
    runs = missing(made)
    typer.echo(f"{len(runs)} of {len(made.runs)} runs are missing.")
    if runs:
        found = obstacles(made, make_launcher(launcher))
        found.errors.extend([] if trust else not_data(made))
        tell(found)
        if left := undecoded_images(made):
            typer.echo(
                f"{left} images have not been decoded yet: the sweep does that before it trains."
            )


def plan_table(made: Plan) -> Table:
    """Every run of a plan and its state, for a rich console."""
    from rich.table import Table
    from rich.text import Text

    from benchmark.sweep.watchers import STYLES

    title = f"{made.experiment.title}: {made.profile} profile, {made.dataset.name}"
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for name in ("row", "seed", "run", "state"):
        table.add_column(name, overflow="fold")
    for run in made.runs:
        state = Text(run.state.value, style=STYLES[run.state])
        table.add_row(Text(run.spec.row), str(run.spec.seed), run.spec.run_id, state)
    return table
