"""Jobs that are processes of this machine: how one is told apart, found again, and ended."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmark import locks
from benchmark.launchers.machine import MachineJob
from benchmark.lock_markers import start_of, stat_of
from benchmark.run.folder import RunFolder

KILL_S = 5.0


def kill_group(pid: int) -> None:
    """Ends a job's process and all that it started, at once; nothing happens where it is gone."""
    # The process by itself as well: a job that was just forked has no group of its own yet.
    for end in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def process_id(pid: int) -> str:
    """``PID:START`` of a living process: with its start, so that no other that gets its number is taken for it."""
    return f"{pid}:{start_of(pid)}"


def cpu_seconds(pid: int) -> float | None:
    """CPU time of a process and of all that descend from it, with those that these have waited for; None if unknown."""
    stats = {name: stat_of(name) for name in _numbers()}
    if not stats.get(str(pid)):
        return None
    children: dict[str, list[str]] = {}
    for name, stat in stats.items():
        children.setdefault(stat[1] if stat else "", []).append(name)
    family = [str(pid)]
    for name in family:  # which grows
        family += children.get(name, [])
    ticks = sum(int(ticks) for name in family for ticks in stats[name][11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _numbers() -> list[str]:
    try:
        return [name for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - names are all
    except OSError:
        return []


def _is_python(pid: int) -> bool:
    try:
        return b"python" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@dataclass(frozen=True)
class ProcessOfDriver(MachineJob):
    """A job that another driver on this machine has started as a process.

    Attributes:
        job: See `process_id`.
        folder: Its run folder.
    """

    job: str
    folder: RunFolder

    @property
    def _pid(self) -> int:
        number = self.job.partition(":")[0]
        return int(number) if number.isdecimal() and len(number) < 10 else 0  # of nobody

    def ended(self) -> bool:
        """See `benchmark.launchers.base.Job`."""
        return not self.job.partition(":")[2] or process_id(self._pid) != self.job

    def exit_text(self) -> str:
        """See `benchmark.launchers.base.Job`."""
        return f"process {self._pid} has ended"

    def met_fault(self) -> bool:
        """See `benchmark.launchers.base.Job`: the status of a process that another has started is not known."""
        return False

    def cpu_seconds(self) -> float | None:
        """See `benchmark.launchers.base.Job`."""
        return None if self.ended() else cpu_seconds(self._pid)

    def kill(self) -> None:
        """See `benchmark.launchers.base.Job`: torchrun's workers are in groups of their own, and one holds the lock."""
        holder = lock_holder(self.folder)
        if not self.ended():
            kill_group(self._pid)
        if holder is not None:
            holder.kill()
        _wait_for(self)


@dataclass(frozen=True)
class LockHolder(MachineJob):
    """The process of this machine that holds a run folder's lock: all that folders of version 0.1 tell of a job.

    Attributes:
        pid: Its number.
        lock_file: The lock.
    """

    pid: int
    lock_file: Path

    def ended(self) -> bool:
        """See `benchmark.launchers.base.Job`."""
        return not locks.is_held(self.lock_file)

    def exit_text(self) -> str:
        """See `benchmark.launchers.base.Job`."""
        return f"process {self.pid} has let go of the folder"

    def met_fault(self) -> bool:
        """See `benchmark.launchers.base.Job`: its status is not known."""
        return False

    def cpu_seconds(self) -> float | None:
        """See `benchmark.launchers.base.Job`."""
        return None if self.ended() else cpu_seconds(self.pid)

    def kill(self) -> None:
        """See `benchmark.launchers.base.Job`; a process that is no Python was given a dead job's number."""
        if not self.ended() and _is_python(self.pid):
            kill_group(self.pid)
        _wait_for(self)


def lock_holder(folder: RunFolder) -> LockHolder | None:
    """Who holds the folder's lock; None if nobody does, or a process of another machine."""
    if not locks.is_held(folder.lock_file):
        return None
    held = locks.Held(folder.lock_file)
    if held.pid is None or held.host != socket.gethostname():
        return None
    return LockHolder(held.pid, folder.lock_file)


def _wait_for(job: ProcessOfDriver | LockHolder) -> None:
    """Waits for the end of a job that was killed: the system takes a moment."""
    end = time.monotonic() + KILL_S
    while not job.ended() and time.monotonic() < end:
        time.sleep(0.02)
