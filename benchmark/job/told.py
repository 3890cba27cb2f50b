"""What a scheduler tells a job ahead of its end: SIGTERM, to all of its processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.files import json_line
from benchmark.run.folder import RunFolder

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

_STARTS = "_get_iterator"  # of torch's DataLoader: starts its workers
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

    One that the scheduler has ended would be an error of the job's data, which then could not save and leave. Workers
    are forked with SIGTERM blocked, so that no thread of theirs gets it: a library may start one in whatever is forked.
    """
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        _spare_from_now_on()


@cache  # once in a process, which may run several jobs
def _spare_from_now_on() -> None:
    from torch.utils.data import DataLoader
    from torch.utils.data._utils import signal_handling

    start_workers: Callable[..., object] = getattr(DataLoader, _STARTS)
    as_torch_does: Callable[[], None] = getattr(signal_handling, _HANDLERS)

    def start_blocked(loader: DataLoader[object]) -> object:
        if not _forks(
            loader
        ):  # its workers are as torch has them, and nothing would hear of the signal
            return start_workers(loader)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            return start_workers(loader)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def and_ours() -> None:
        as_torch_does()
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    setattr(DataLoader, _STARTS, start_blocked)
    setattr(signal_handling, _HANDLERS, and_ours)


def _forks(loader: DataLoader[object]) -> bool:
    context = loader.multiprocessing_context or multiprocessing
    return bool(context.get_start_method() == "fork")


def _end_with(job: int) -> None:
    """Ends this process when its job says so: at once and without an error, as torch does."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != job:
        pass
    os._exit(0)
