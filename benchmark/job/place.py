"""A job's place on the machine: it leaves it once all is measured that needs it alone, and the next job begins there.

What is left to do then (errors by kind, resampling, FLOPs, samples, the tracker's end, the record) goes on beside the
next job's beginning. A latency that was taken meanwhile would be wrong: a job whose driver names others that still go
on waits for their end before it takes its own.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark import locks
from benchmark.run.devices import memory_room
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now

_LOOK_S = 0.02


class Place:
    """The place of a job.

    Args:
        leave: Tells the driver that the place is free; None where nobody would hear it.
        beside: Folders of runs whose jobs had left their places, and not ended, when this one was started.
    """

    def __init__(self, leave: Callable[[], None] | None, beside: Sequence[Path]) -> None:
        self._leave = leave
        folders = [RunFolder(path) for path in beside]
        self._beside = [(one, _holder(one)) for one in folders if locks.is_held(one.lock_file)]

    def wait_until_alone(self, leave_if_asked: Callable[[], None]) -> None:
        """Waits until the jobs beside this one have ended; each ends by itself, or is ended by the driver.

        A job that has been started since on the same run, after a full disk, is not waited for.

        Args:
            leave_if_asked: Called again and again meanwhile; what it raises ends the waiting.
        """
        for other, holder in self._beside:
            if _goes_on(other, holder):
                print(f"{now()} waits for the end of {other.path.name} beside it", flush=True)
            while _goes_on(other, holder):
                leave_if_asked()
                time.sleep(_LOOK_S)

    def leave(self, on_gpu: bool) -> None:
        """Leaves the place, unless that would take from the next job what it needs: memory.

        Args:
            on_gpu: Whether this process has opened a GPU: it keeps memory there until it ends.
        """
        if self._leave is not None and not on_gpu and memory_room().free_mib > _peak_mib():
            self._leave()


def _goes_on(folder: RunFolder, holder: int | None) -> bool:
    return locks.is_held(folder.lock_file) and holder in (None, _holder(folder))


def _holder(folder: RunFolder) -> int | None:
    """Process id of the folder's job; None if it is not known."""
    return locks.Held(folder.lock_file).pid


def _peak_mib() -> int:
    """The most memory that this process had: about what the next one needs."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # Linux counts in KiB
