"""Where the job of a run folder stands: asked of the launcher that has submitted it, else told from its lock."""

from __future__ import annotations

from benchmark import locks
from benchmark.launchers import LAUNCHERS, make_launcher
from benchmark.launchers.base import Job, Launcher
from benchmark.launchers.processes import lock_holder
from benchmark.launchers.stored import of_folder
from benchmark.run.address import read_address
from benchmark.run.folder import RunFolder
from benchmark.run.standing import Standing

_launchers: dict[tuple[str, str], Launcher] = {}
"""One of each name a process: a scheduler is asked once for all of its jobs."""


def asks(launcher: Launcher) -> None:
    """Has this launcher be the one of its name that is asked from now on: it knows what is submitted with it."""
    _launchers[_key(launcher.name)] = launcher


def standing(folder: RunFolder) -> Standing | None:
    """Where the job of a folder stands that runs, or waits to, wherever it is; None where none lives."""
    job = living_job(folder)
    if job is not None:
        return job.standing()
    return Standing() if locks.is_held(folder.lock_file) else None


def lives(folder: RunFolder) -> bool:
    """Whether a job runs in the folder, or waits to, wherever it is."""
    return standing(folder) is not None


def living_job(folder: RunFolder) -> Job | None:
    """The job that runs in the folder, or waits to; None if there is none, or none that can be ended from here."""
    jobs = (find(folder) for find in (_attached, lock_holder))
    return next((job for job in jobs if job is not None and not job.ended()), None)


def _attached(folder: RunFolder) -> Job | None:
    address = read_address(folder)
    if address is None or address.launcher not in LAUNCHERS:
        return None
    key = _key(address.launcher)
    if key not in _launchers:
        _launchers[key] = make_launcher(address.launcher)
    return of_folder(_launchers[key], folder).attach(folder.path, address)


def _key(name: str) -> tuple[str, str]:
    return name, LAUNCHERS.get(name, "")
