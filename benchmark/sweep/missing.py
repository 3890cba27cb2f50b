"""What a sweep has to do, and what stands in its way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from benchmark.data.check import check
from benchmark.data.findings import Findings
from benchmark.launchers import Launcher
from benchmark.run.plan import Plan
from benchmark.run.record import State
from benchmark.run.state import Planned


def missing(plan: Plan, retry: Iterable[State] = ()) -> list[Planned]:
    """The runs that have no record, and those whose state is to be tried again."""
    again = set(retry)
    return [run for run in plan.runs if run.record is None or run.state in again]


def obstacles(plan: Plan, launcher: Launcher) -> Findings:
    """What would make runs fail, found before any of them starts: the data, and what the launcher cannot run."""
    found = check(plan.dataset)
    unable = launcher.obstacles({row.name: row.gpus for row in plan.rows})
    return replace(found, errors=[*found.errors, *unable])
