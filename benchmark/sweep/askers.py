"""Runs that several experiments in one results folder ask for: each shows them, whoever started them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from benchmark.errors import UserError
from benchmark.run.plan import Plan
from benchmark.run.runs import Runs
from benchmark.run.state import Planned


def note_askers(plan: Plan, to_do: Iterable[Planned], on_disk: Runs) -> None:
    """Remembers in a run's folder who asks for it, where neither its spec nor the experiment files will tell.

    That is a seed which the experiment file does not name, and a run which another experiment has started and this
    one goes on with: its spec is written anew.
    """
    unnamed = [run for run in plan.runs if run.spec.seed not in plan.experiment.seeds]
    for run in {run.spec.run_id: run for run in [*unnamed, *to_do]}.values():
        # A folder that is not there, or damaged, was started by nobody.
        with suppress(FileNotFoundError, NotADirectoryError, UserError):
            starter = on_disk.spec(run.spec.run_id).experiment
            if starter != plan.experiment.name:
                run.folder.note_asker(starter)
                run.folder.note_asker(plan.experiment.name)
