"""Whether the job of a run folder lives: asked of the launcher that has submitted it, else told from its lock."""

from __future__ import annotations

from functools import lru_cache

from benchmark import locks
from benchmark.launchers import LAUNCHERS, make_launcher
from benchmark.launchers.base import Job, Launcher
from benchmark.launchers.processes import lock_holder
from benchmark.run.address import read_address
from benchmark.run.folder import RunFolder


def lives(folder: RunFolder) -> bool:
    """Whether a job runs in the folder, or waits to, wherever it is."""
    return living_job(folder) is not None or locks.is_held(folder.lock_file)


def living_job(folder: RunFolder) -> Job | None:
    """The job that runs in the folder, or waits to; None if there is none, or none that can be ended from here."""
    jobs = (find(folder) for find in (_attached, lock_holder))
    return next((job for job in jobs if job is not None and not job.ended()), None)


def _attached(folder: RunFolder) -> Job | None:
    address = read_address(folder)
    if address is None or address.launcher not in LAUNCHERS:
        return None
    launcher = _launcher(address.launcher, LAUNCHERS[address.launcher])
    return launcher.attach(folder.path, address)


@lru_cache
def _launcher(name: str, _where: str) -> Launcher:
    """One a process: a scheduler is asked once for all of its jobs."""
    return make_launcher(name)
