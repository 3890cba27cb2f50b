"""Jobs that have left their places and not ended: the next ones begin there, while these write what they came to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from benchmark.launchers.base import HandsOver
from benchmark.launchers.fitting import FittingPool

if TYPE_CHECKING:
    from benchmark.launchers.base import Pool
    from benchmark.sweep.loop import Active


class Places:
    """The places of a sweep's jobs."""

    def __init__(self) -> None:
        self._left: list[Active] = []

    @property
    def beside(self) -> tuple[str, ...]:
        """Ids of the runs whose jobs go on beside those that have their places."""
        return tuple(active.run.folder.path.name for active in self._left)

    def holding(self, living: Sequence[Active]) -> list[Active]:
        """Those that have their places."""
        return [active for active in living if active not in self._left]

    def look(self, living: Sequence[Active], pool: Pool, early: bool) -> None:
        """Frees the places that jobs have left, if others may begin early: of as many as there are slots at most.

        Not where a place is what a run takes of the memory: until it has ended, nobody knows what it leaves.
        """
        # All are heard, whatever comes of it: of what is not heard `doze` would wake up again and again.
        gone = [
            one for one in living if isinstance(one.job, HandsOver) and one.job.has_left_place()
        ]
        if not early or isinstance(pool, FittingPool):
            return
        for active in gone:
            if active not in self._left and len(self._left) < pool.slots:
                pool.release(active.resources)
                self._left.append(active)

    def give_back(self, active: Active, pool: Pool) -> None:
        """Frees the place of a job that has ended, unless it had left it before."""
        if active in self._left:
            self._left.remove(active)
        else:
            pool.release(active.resources)


def doze(living: Sequence[Active], seconds: float) -> None:
    """Waits for so long, or until a job of this machine has something to say."""
    jobs = [active.job for active in living if isinstance(active.job, HandsOver)]
    if signs := [sign for job in jobs for sign in job.signs()]:
        wait(signs, seconds)
    else:
        time.sleep(seconds)
