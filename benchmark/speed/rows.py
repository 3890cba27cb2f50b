"""Which rows are timed: those that train, and need no run of another row for it."""

from __future__ import annotations

from dataclasses import replace

from benchmark.errors import UserError
from benchmark.run.plan import Plan
from benchmark.run.state import Planned


def timed_rows(made: Plan) -> tuple[Plan, list[str]]:
    """A plan of one run of each row that can be timed, and a sentence for each row that is left out.

    Raises:
        UserError: None can.
    """
    first = {run.spec.row: run for run in reversed(made.runs)}
    told = {row.name: _why_not(first[row.name]) for row in made.rows}
    left = [f"row '{name}' is left out: {why}" for name, why in told.items() if why]
    if len(left) == len(told):
        raise UserError([*left, "there is no row to time"])
    rows = tuple(row for row in made.rows if not told[row.name])
    return replace(made, rows=rows, runs=tuple(first[row.name] for row in rows)), left


def _why_not(run: Planned) -> str:
    if not run.spec.trains:
        return "nothing is trained for it"
    if run.spec.pseudo is not None:
        return "it learns from boxes of another row's runs, and none is made here"
    return ""
