"""What a sweep has to do, and what stands in its way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from benchmark.data.check import Findings, check
from benchmark.run.plan import Plan
from benchmark.run.record import State
from benchmark.run.state import Planned


def missing(plan: Plan, retry: Iterable[State] = ()) -> list[Planned]:
    """The runs that have no record, and those whose state is to be tried again."""
    again = set(retry)
    return [run for run in plan.runs if run.record is None or run.state in again]


def obstacles(plan: Plan, gpus: Sequence[str]) -> Findings:
    """What would make runs fail, found before any of them starts: the data, and GPUs that are not there."""
    found = check(plan.dataset)
    too_few = [
        f"row {row.name}: asks for {row.gpus} GPUs; this machine has {len(gpus)}"
        for row in plan.rows
        if gpus and row.gpus > len(gpus)
    ]
    return replace(found, errors=[*found.errors, *too_few])
