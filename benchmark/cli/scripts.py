"""What ``detboard plan`` shows of jobs that a sweep would hand to a scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from benchmark.errors import printable

if TYPE_CHECKING:
    from benchmark.experiment.experiment import Tracking
    from benchmark.launchers import Launcher
    from benchmark.run.state import Planned


def show_scripts(
    runs: Sequence[Planned], launcher: Launcher, tracking: Tracking, trust: bool
) -> None:
    """Shows what a launcher would hand to its scheduler for runs, once for those that ask for the same.

    Nothing is shown of runs whose jobs are queued or run already, and of launchers of this machine.
    """
    from benchmark.cli.sweep import job_options
    from benchmark.run.options import Resources
    from benchmark.run.record import State
    from benchmark.writing.words import counted

    groups: dict[int, list[Planned]] = {}
    for run in runs:
        if run.state not in (State.RUNNING, State.QUEUED):
            groups.setdefault(run.spec.gpus, []).append(run)
    options = job_options(runs, tracking, trust)
    for processes, alike in groups.items():
        free = launcher.pool.acquire(processes)
        told = options(free or Resources((), 1, processes))
        first = alike[0]
        if free is not None:
            launcher.pool.release(free)
        if text := launcher.script(first.folder.path, told):
            jobs = counted(len(alike), "job")
            typer.echo(f"{jobs} would be submitted to {launcher.name}; of {first.spec.run_id}:")
            typer.echo("\n".join(printable(line) for line in text.splitlines()))
