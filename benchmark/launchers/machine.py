"""What this machine can run at the same time: GPUs where there are GPUs, else a share of the CPU's threads."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.run.options import JobOptions, Resources
from benchmark.run.standing import Standing


def visible_gpus() -> tuple[str, ...]:
    """Ids of the GPUs that this process may use, found without initialising CUDA."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    present = tuple(done.stdout.split())
    if allowed is None:
        return present
    # Entries may be UUIDs, which nvidia-smi numbers otherwise; CUDA ignores all after a -1.
    listed = [entry.strip() for entry in allowed.split(",") if entry.strip()]
    return tuple(listed[: listed.index("-1")] if "-1" in listed else listed) if present else ()


def cpu_count() -> int:
    """Number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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

    def acquire(self, processes: int) -> Resources | None:
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

    def release(self, resources: Resources) -> None:
        """See `benchmark.launchers.base.Pool`."""
        self._busy.subtract(resources.gpus)
        self._running -= 1


def make_pool(slots: int | None) -> MachinePool:
    """A pool over the visible GPUs: one slot a GPU, or one slot without GPUs, unless ``slots`` says otherwise."""
    gpus = visible_gpus()
    return MachinePool(slots=slots or max(1, len(gpus)), gpus=gpus)
