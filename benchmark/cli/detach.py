"""What ``detboard sweep --detach`` says: which jobs are left to the cluster, and what was not submitted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import typer

from benchmark.errors import UserError, few

if TYPE_CHECKING:
    from benchmark.run.plan import Plan
    from benchmark.run.state import Planned
    from benchmark.sweep.loop import Submitted, Sweep


def refuse_to_detach(made: Plan, launcher: str) -> None:
    """Refuses to leave jobs alone that would end with this command.

    Raises:
        UserError: They would.
    """
    from benchmark.launchers import make_launcher

    if not make_launcher(launcher, cluster=made.experiment.cluster).outlives_driver:
        raise UserError(
            f"--detach: the jobs of --launcher {launcher} end with this command; leave it out, or name a launcher "
            "whose jobs a cluster runs"
        )


def submit(runs: Sequence[Planned], opened: AbstractContextManager[Sweep]) -> bool:
    """Submits runs as far as there is room, and says what is left to be done; returns whether no job has failed."""
    from benchmark.run.record import State
    from benchmark.sweep.base import Listed

    with opened as sweep:
        done = sweep.submit(Listed(runs))
    for line in _lines(runs, done):
        typer.echo(line)
    return all(run.state in (State.COMPLETE, State.PRUNED) for run in done.ended)


def _lines(runs: Sequence[Planned], done: Submitted) -> Iterator[str]:
    from benchmark.run.reached import status_of
    from benchmark.writing.words import counted

    seen = {run.spec.run_id for run in (*done.sent, *done.ended)}
    left = [run for run in runs if run.spec.run_id not in seen]
    yield f"{counted(len(done.sent), 'job')} queued or running:"
    yield from (f"  {run.spec.run_id}: {status_of(run)}" for run in done.sent)
    if left:
        held = {run.spec.run_id: run.standing for run in done.held_back}
        open_ = {run.spec.run_id for run in (*done.sent, *left)}
        yield f"{counted(len(left), 'run')} not submitted:"
        yield from (f"  {run.spec.run_id}: {_why(run, open_, held)}" for run in left)
    rest = "watches them, submits the rest" if left else "watches them"
    yield f"The same command without --detach {rest} and writes the table; 'detboard plan' shows how they stand."


def _why(run: Planned, open_: Collection[str], held: Mapping[str, str]) -> str:
    """Why a run was not submitted, in words, given the ids of those that have not ended and what holds some back."""
    run_id = run.spec.run_id
    if run_id in held:
        return f"the cluster takes no more at the moment: {held[run_id]}".removesuffix(": ")
    if waits_for := [source for source in run.spec.made_from if source in open_]:
        return f"waits for {few(waits_for)}"
    return "over --slots"
