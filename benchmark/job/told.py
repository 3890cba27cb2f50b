"""What a scheduler tells a job ahead of its end: SIGTERM, to all of its processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from benchmark.files import json_line
from benchmark.run.folder import RunFolder

_HANDLERS = "_set_worker_signal_handlers"  # torch's, called by each worker as it begins
_AGAIN = json_line({"state": "interrupted", "again": True})


def leave_on_term(folder: RunFolder) -> None:
    """Has SIGTERM ask this job to save and leave, in place of ending it there and then.

    Schedulers send it before SIGKILL: 30 s before by Slurm's defaults, where a job is preempted or cancelled.
    """
    signal.signal(signal.SIGTERM, lambda *_: ask_to_come_back(folder.stop_file))


def ask_to_come_back(stop_file: Path) -> None:
    """Asks the job to leave at its next iteration, and to go on in another; what it is asked already stands."""
    with suppress(OSError), stop_file.open("x") as file:  # also of a disk that takes no word for it
        file.write(_AGAIN)


def spare_loader_workers() -> None:
    """Has SIGTERM end the data loader's workers only where it comes from their own job.

    One that the scheduler has ended would be an error of the job's data, which then could not save and leave.
    """
    from torch.utils.data._utils import signal_handling

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        return
    as_torch_does: Callable[[], None] = getattr(signal_handling, _HANDLERS)

    def and_ours() -> None:
        as_torch_does()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    setattr(signal_handling, _HANDLERS, and_ours)


def _end_with(job: int) -> None:
    """Ends this process when its job says so: at once and without an error, as torch does."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != job:
        pass
    os._exit(0)
