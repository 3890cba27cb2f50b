"""Places in a scheduler's queue."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.run.options import Resources


@dataclass
class Places:
    """At most so many jobs are queued or run at once; what they run on, the scheduler says.

    Attributes:
        slots: How many.
        threads: CPUs of each process of a job.
        has_gpus: Whether jobs get GPUs.
    """

    slots: int
    threads: int
    has_gpus: bool
    _taken: int = 0

    @property
    def at_a_time(self) -> str:
        """See `benchmark.launchers.base.Pool`."""
        return f"{self.slots} at a time"

    def acquire(self, processes: int, _row: str = "", _alone: bool = False) -> Resources | None:
        """See `benchmark.launchers.base.Pool`."""
        return None if self._taken >= self.slots else self.take(processes)

    def take(self, processes: int) -> Resources:
        """See `benchmark.launchers.base.Pool`."""
        self._taken += 1
        return Resources((), self.threads, processes)

    def release(self, _resources: Resources) -> None:
        """See `benchmark.launchers.base.Pool`."""
        self._taken -= 1
