"""Whether a job gives signs of life: said when it has given none for a while, and ended after a patience.

A sign of life is whatever changes in the run's folder, a line of the log and a checkpoint alike, and a tenth of a CPU
that the job's processes use, where this machine can see them: a validation, a download or a wait for a GPU gives one.
A loader that waits for a mount which is gone, or for a batch that never comes, gives none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.errors import printable
from benchmark.files import end_of
from benchmark.launchers import Job
from benchmark.run.devices import shared_memory_room
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.writing.words import minutes

LOOK_S = 10.0  # between two looks at most
SAID_AFTER = 1 / 6  # of the patience
_BUSY = 0.1  # of a CPU: W&B's own processes use a hundredth while the training hangs
# W&B's process writes there as long as the job lives, and a driver the others.
_NO_SIGNS = frozenset(
    {
        "wandb",
        "job.lock",
        "job.lock.holder",
        "job.json",
        "store.json",
        "stop",
        "asked_by",
        "lease.json",
    }
)
_TAIL_LINES = 10

_Signs = frozenset[tuple[str, int, int]]


@dataclass
class Pulse:
    """How long a job has given no sign of life.

    A job that outlives its driver may wait in a queue, so that its silence counts from its first sign on.

    Attributes:
        silent_s: Seconds that were watched without a sign. While this machine or the driver stood still, none pass.
    """

    job: Job
    folder: RunFolder
    clock: Callable[[], float] = time.monotonic
    silent_s: float = 0.0
    _looked: float = field(init=False)
    _signs: _Signs = field(init=False)
    _cpu_s: float | None = field(init=False)
    _counts: bool = field(init=False)

    def __post_init__(self) -> None:
        """Takes in what is there before the first look."""
        self._looked, self._signs = self.clock(), _signs(self.folder.path)
        self._cpu_s, self._counts = self.job.cpu_seconds(), not self.job.outlives_driver

    def look(self, every_s: float = LOOK_S) -> bool:
        """Takes in what is new; whether it was time to."""
        passed = self.clock() - self._looked
        if passed < every_s:
            return False
        self._looked += passed
        if self.job.standing().queued:  # it was put back into the queue
            self._counts, self.silent_s = False, 0.0
        elif self._has_moved(passed):
            self._counts, self.silent_s = True, 0.0
        elif self._counts:
            self.silent_s += min(passed, 2 * every_s)
        return True

    def _has_moved(self, passed: float) -> bool:
        signs, cpu_s = _signs(self.folder.path), self.job.cpu_seconds()
        before, self._signs, self._cpu_s = (self._signs, self._cpu_s), signs, cpu_s
        used = cpu_s - before[1] if cpu_s is not None and before[1] is not None else 0.0
        return signs != before[0] or used >= _BUSY * passed


class Listener:
    """Says which jobs have given no sign of life for a while, and which are to be ended.

    Args:
        say: Shows a line to whoever watches.
        patience_s: Seconds without a sign after which a job is ended.
    """

    def __init__(self, say: Callable[[str], None], patience_s: float) -> None:
        self._say = say
        self._patience_s = patience_s
        self._told: set[str] = set()

    def gives_up(self, pulse: Pulse, name: str) -> bool:
        """Whether the job has been silent for too long; says so when it is for a while, and when it is no more."""
        while_s = self._patience_s * SAID_AFTER
        if not pulse.look(min(LOOK_S, while_s)):
            return False
        if pulse.silent_s < while_s and name in self._told:
            self._told.discard(name)
            self._say(f"{name}: gives signs of life again")
        elif while_s <= pulse.silent_s and name not in self._told:
            self._told.add(name)
            self._say(
                f"{name}: no sign of life for {minutes(pulse.silent_s)}; it is ended after "
                f"{minutes(self._patience_s)}; see {pulse.folder.log_file}"
            )
        if pulse.silent_s < self._patience_s:
            return False
        self._told.discard(name)
        return True

    def end(self, pulse: Pulse, name: str) -> str:
        """Ends a job that has been silent for too long, shows the end of its log, and says how it ended, in words."""
        silent = minutes(pulse.silent_s)
        tail = _tail(pulse.folder.log_file)
        words = f"no sign of life for {silent}, so that the sweep ended it{_of_shared_memory(tail)}"
        pulse.job.kill()
        shown = [f"    {line}" for line in tail]
        self._say("\n".join([f"{name}: {words}; its log ends:", *shown]))
        with suppress(OSError), pulse.folder.log_file.open("a", encoding="utf-8") as log:
            log.write(f"{now()} {words}: no record; the next sweep continues the run\n")
        return words


def _of_shared_memory(tail: list[str]) -> str:
    """A cause that a silent loader may have; empty where nothing speaks for it."""
    found = shared_memory_room()
    told = any("shared memory" in line for line in tail)  # by torch, in a worker
    if found is None or not (told or found.free_mib <= found.total_mib / 10):
        return ""
    return f" (/dev/shm is full: {found.total_mib} MiB, through which loader workers hand over their batches)"


def _tail(log: Path) -> list[str]:
    return [printable(line)[:200] for line in end_of(log, 4000).splitlines()[-_TAIL_LINES:]]


def _signs(folder: Path) -> _Signs:
    """Name, size and time of change of each file that a job writes."""
    return frozenset(_entries(folder))


def _entries(folder: Path) -> Iterator[tuple[str, int, int]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in _NO_SIGNS:
                continue
            with suppress(OSError):  # gone meanwhile, which is a sign
                if entry.is_dir(follow_symlinks=False):
                    yield from _entries(Path(entry.path))
                else:
                    found = entry.stat(follow_symlinks=False)
                    yield entry.path, found.st_size, found.st_mtime_ns
