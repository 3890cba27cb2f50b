"""Rows that look new and are not: another name was given to a row that has runs."""

from __future__ import annotations

import shlex

from benchmark.errors import attempt
from benchmark.run.owners import askers_of
from benchmark.run.plan import Plan
from benchmark.run.record import State
from benchmark.run.runs import Runs


def renamed(plan: Plan, on_disk: Runs) -> list[str]:
    """A sentence for each row that asks for runs which a row that is gone has: how to keep them.

    Such runs have the digits of the new row's in their ids, which say all but the row's name.
    """
    waiting = {_digits(r.spec.run_id): r.spec.row for r in plan.runs if r.state is State.WAITING}
    found: dict[tuple[str, str], None] = {}
    for run_id in on_disk.ids() if waiting else ():
        new = waiting.get(_digits(run_id))
        former = _former_row(run_id, plan, on_disk) if new is not None else None
        if new is not None and former is not None:
            found[former, new] = None
    return [_sentence(plan, on_disk, former, new) for former, new in found]


def _digits(run_id: str) -> str:
    return run_id.rpartition("-")[2]


def _former_row(run_id: str, plan: Plan, on_disk: Runs) -> str | None:
    """The row of a run that the experiment asked for, if it has no such row any more."""
    spec = attempt([], on_disk.spec, run_id)
    if spec is None or spec.study is not None:
        return None
    gone = spec.row not in {row.name for row in plan.experiment.rows}
    return spec.row if gone and plan.experiment.name in askers_of(spec, on_disk) else None


def _sentence(plan: Plan, on_disk: Runs, former: str, new: str) -> str:
    words = ["detboard", "runs", "mv", str(plan.experiment.path), former, new]
    command = shlex.join([*words, "--results", str(on_disk.results)])
    return f"row '{new}' is row '{former}' under another name: to keep its runs, {command}"
