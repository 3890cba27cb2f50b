"""What a sweep says that ends before its runs do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmark.errors import UserError, few
from benchmark.process import ask, asked_to_end, can_ask, forget_typed, what_ended
from benchmark.run.reached import status_of
from benchmark.run.record import State
from benchmark.run.state import Planned, look_again
from benchmark.sweep.progress import name_of
from benchmark.writing.words import counted

_ANSWERS = {"": True, "l": True, "leave": True, "e": False, "end": False}


def leaves(runs: Sequence[Planned], quiet: Callable[[], None] = lambda: None) -> bool:
    """Whether jobs that outlive their driver go on without it; who is at a terminal is asked, others are told.

    Args:
        runs: What they work on, or wait to.
        quiet: Takes away what is drawn in the terminal.

    Where the input was wrong all along, as of a study whose every trial would fail, none is left.
    """
    if isinstance(sys.exc_info()[1], UserError):
        return False
    names = f"{counted(len(runs), 'job')} ({few(name_of(run) for run in runs)})"
    if can_ask():
        quiet()
        told = f"{what_ended()}: {names} on the cluster"
        if not _are_left(f"{told}. Leave them running, or end them? [L]eave, [e]nd: "):
            return False
    print(f"left running: {names}; 'detboard stop RUN' ends one", file=sys.stderr, flush=True)
    return True


def _are_left(question: str) -> bool:
    forget_typed()
    while (left := _ANSWERS.get(ask(question))) is None:
        question = "'leave' or 'end': "
    return left


def say_waiting(runs: Sequence[Planned], seconds: float) -> None:
    """Says which jobs are waited for, for how long, and what ends them at once."""
    jobs = counted(len(runs), "job")
    how = what_ended() if asked_to_end() else "ending"
    names = few(name_of(run) for run in runs)
    print(
        f"{how}: waiting up to {seconds:g} s for {jobs} to end ({names}); Ctrl-C ends that at once",
        file=sys.stderr,
        flush=True,
    )


def say_ends(runs: Sequence[Planned]) -> None:
    """Says how far each run is: ``interrupted, epoch 4 of 12``."""
    for run in runs:
        found = look_again(run)
        if found.state is State.RUNNING:  # a job that was killed holds its lock for another moment
            found = replace(found, state=State.INTERRUPTED)
        print(f"{name_of(run)}: {status_of(found)}", file=sys.stderr, flush=True)
