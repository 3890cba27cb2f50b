"""Where the job of a run folder stands: asked of the launcher that has submitted it, else told from lease or lock."""

from __future__ import annotations

import os

from benchmark import locks
from benchmark.launchers import LAUNCHERS, make_launcher
from benchmark.launchers.base import Job, Launcher
from benchmark.launchers.leased import lease_holder
from benchmark.launchers.processes import lock_holder
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
    return Standing() if _holds_unasked(folder) else None


def lives(folder: RunFolder) -> bool:
    """Whether a job runs in the folder, or waits to, wherever it is."""
    return standing(folder) is not None


def living_job(folder: RunFolder) -> Job | None:
    """The job that runs in the folder, or waits to; None if there is none, or none that can be ended from here."""
    attached = _attached(folder)
    if attached is not None and not attached.ended():
        return attached
    if os.path.lexists(folder.lease_file):
        # What its scheduler has ended does not live, be it that a node which was given up does not know it yet.
        over = attached is not None and attached.outlives_driver
        return None if over else lease_holder(folder)
    holder = lock_holder(folder)
    return None if holder is None or holder.ended() else holder


def is_out_of_reach(folder: RunFolder) -> bool:
    """Whether the folder's job may live where nobody can be asked about it from here: in another cluster's queue."""
    address = read_address(folder)
    if address is None or not address.job or address.launcher not in LAUNCHERS or folder.finished:
        return False
    return _launcher(address.launcher).outlives_driver and _attached(folder) is None


def _holds_unasked(folder: RunFolder) -> bool:
    """Whether a job that cannot be ended from here holds the folder by its lock: a lease tells more than that."""
    return not os.path.lexists(folder.lease_file) and locks.is_held(folder.lock_file)


def _attached(folder: RunFolder) -> Job | None:
    address = read_address(folder)
    if address is None or address.launcher not in LAUNCHERS:
        return None
    launcher = _launcher(address.launcher)
    if os.path.lexists(folder.store_file):
        from benchmark.launchers.stored import (
            of_folder,  # here: next to no folder goes through a store
        )

        launcher = of_folder(launcher, folder)
    return launcher.attach(folder.path, address)


def _launcher(name: str) -> Launcher:
    key = _key(name)
    if key not in _launchers:
        _launchers[key] = make_launcher(name)
    return _launchers[key]


def _key(name: str) -> tuple[str, str]:
    return name, LAUNCHERS.get(name, "")
