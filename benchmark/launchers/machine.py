"""What this machine can run at the same time: GPUs where there are GPUs, else a share of the CPU's threads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.launchers.base import AUTO
from benchmark.run.devices import cpu_count, visible_gpus
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.standing import Standing
from benchmark.writing.words import counted


class MachineJob:
    """What is alike of all jobs that are processes of this machine."""

    outlives_driver = False

    def standing(self) -> Standing:
        """See `benchmark.launchers.base.Job`: it waits in no queue."""
        return Standing()

    def cut_off(self) -> str:
        """See `benchmark.launchers.base.Job`: nobody but its run or a user ends it."""
        return ""


class MachineLauncher:
    """What is alike of all launchers that start processes of this machine."""

    outlives_driver = False
    heeds_cluster = False
    mirrors = False

    def flush(self) -> None:
        """See `benchmark.launchers.base.Launcher`: jobs start at once."""

    def script(self, _folder: Path, _options: JobOptions) -> str:
        """See `benchmark.launchers.base.Launcher`: nothing is handed to a scheduler."""
        return ""


@dataclass
class MachinePool:
    """Hands out slots: ``slots`` runs side by side, spread evenly over ``gpus``."""

    slots: int
    gpus: tuple[str, ...] = ()
    cpus: int = field(default_factory=cpu_count)
    _busy: Counter[str] = field(default_factory=Counter)
    _running: int = 0

    @property
    def has_gpus(self) -> bool:
        """See `benchmark.launchers.base.Pool`."""
        return bool(self.gpus)

    def words(self) -> str:
        """What there is: ``2 CPUs, no GPU``."""
        gpus = counted(len(self.gpus), "GPU") if self.gpus else "no GPU"
        return f"{counted(self.cpus, 'CPU')}, {gpus}"

    @property
    def at_a_time(self) -> str:
        """See `benchmark.launchers.base.Pool`."""
        return f"{self.slots} at a time"

    def acquire(self, processes: int, row: str = "", alone: bool = False) -> Resources | None:
        """See `benchmark.launchers.base.Pool`."""
        if self._running >= self.slots:
            return None
        share = max(1, -(-self.slots // max(1, len(self.gpus))))  # how many runs may share one GPU
        free = [gpu for gpu in self.gpus if self._busy[gpu] < share]
        if self.gpus and len(free) < processes:
            return None
        taken = tuple(sorted(free, key=lambda gpu: self._busy[gpu])[:processes])
        self._busy.update(taken)
        self._running += 1
        threads = max(1, self.cpus // (self.slots * processes))
        return Resources(taken, threads, processes)

    def take(self, processes: int) -> Resources:
        """See `benchmark.launchers.base.Pool`: such a job runs elsewhere."""
        self._running += 1
        return Resources((), 1, processes)

    def begin(self, resources: Resources, folder: RunFolder) -> None:
        """Hears which run is started with what was handed out, of a pool that looks at what runs take."""

    def release(self, resources: Resources) -> None:
        """See `benchmark.launchers.base.Pool`."""
        self._busy.subtract(resources.gpus)
        self._running -= 1


def make_pool(slots: int | None) -> MachinePool:
    """A pool over the visible GPUs: one slot a GPU, or one slot without GPUs, unless ``slots`` says otherwise.

    With `benchmark.launchers.base.AUTO` it is a `benchmark.launchers.fitting.FittingPool`.
    """
    gpus = visible_gpus()
    if slots == AUTO:
        from benchmark.launchers.fitting import make_fitting_pool

        return make_fitting_pool(gpus, cpu_count())
    return MachinePool(slots=slots or max(1, len(gpus)), gpus=gpus)
