"""The beginning of a job on a cluster: it counts, and a run that comes no further is given up."""

from __future__ import annotations

import os

from benchmark.job.given_up import give_up
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.options import JobOptions
from benchmark.run.starts import MOST_STARTS, note_start, without_progress
from benchmark.run.state import stop_is_schedulers


def may_begin(folder: RunFolder, options: JobOptions) -> bool:
    """Notes the start of a job, and clears away what the scheduler asked the one before; False if it is given up."""
    if stop_is_schedulers(folder.stop_file):
        folder.stop_file.unlink(missing_ok=True)
    if (count := without_progress(folder)) >= MOST_STARTS:
        print(f"{now()} {no_progress(count)}: the run is given up", flush=True)
        give_up(folder.path, options, no_progress(count))
        return False
    note_start(folder, f"process {os.getpid()} on {os.uname().nodename}")
    return True


def no_progress(count: int) -> str:
    """Why a run is given up, in a sentence."""
    return f"no progress over {count} starts: each job ended before it had saved a checkpoint further on"
