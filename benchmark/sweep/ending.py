"""How a job is ended: it is asked to, and taken out of the queue where it waits in one."""

from __future__ import annotations

from contextlib import suppress

from benchmark.files import write_json
from benchmark.launchers import Job
from benchmark.launchers.living import is_out_of_reach, lives, living_job
from benchmark.run.folder import Damaged, RunFolder
from benchmark.run.pruned import record_pruned
from benchmark.run.record import State
from benchmark.run.state import stop_state

ASKED = "asked to end"
TAKEN_OUT = "taken out of the queue"
RECORDED = "recorded as pruned"
UNHEARD = "asked to end, if its job lives: its scheduler cannot be asked from here"


def ask_to_stop(folder: RunFolder, state: str) -> None:
    """Asks the job to end at its next iteration: as ``pruned``, or ``interrupted`` to be continued later."""
    write_json(folder.stop_file, {"state": state}, indent=None)


def end_job(folder: RunFolder, state: str, job: Job | None = None) -> str:
    """Asks a run's job to end, and takes it out of the queue where it waits in one.

    Args:
        folder: The run.
        state: As what it ends, see `ask_to_stop`. One that is to be ``pruned`` and has no job at work is recorded so.
        job: Its job; looked for if None.

    Returns:
        What was done, in words: `ASKED`, `TAKEN_OUT`, `RECORDED` or `UNHEARD`.

    Raises:
        OSError: The folder takes no writes.
    """
    ask_to_stop(folder, state)  # first: it may begin at any moment
    job = job or living_job(folder)
    queued = job is not None and job.standing().queued
    if job is not None and queued:
        job.kill()
        ask_to_stop(folder, state)  # a scheduler may have said its own word in its place
    if state == State.PRUNED.value and (queued or _is_over(folder)) and record_if_asked(folder):
        return RECORDED
    if job is None and is_out_of_reach(folder):
        return UNHEARD
    return TAKEN_OUT if queued else ASKED


def _is_over(folder: RunFolder) -> bool:
    return not (lives(folder) or is_out_of_reach(folder))


def record_if_asked(folder: RunFolder) -> bool:
    """Records a run that no job works on, and that was asked to end as ``pruned``; whether it did."""
    if not folder.stop_file.exists() or stop_state(folder.stop_file) != State.PRUNED.value:
        return False
    with suppress(OSError, Damaged):  # it does not say what it is of, or takes no writes
        return record_pruned(folder)
    return False
