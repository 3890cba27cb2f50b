"""What a sweep says that ends before its runs do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from benchmark.errors import few
from benchmark.process import asked_to_end, what_ended
from benchmark.run.reached import status_of
from benchmark.run.record import State
from benchmark.run.state import Planned, look_again
from benchmark.sweep.progress import name_of
from benchmark.writing.words import counted


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
