"""What Slurm says of this user's jobs: one ``squeue`` a second for all of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmark.launchers.slurm.commands import NoAnswer, check_up, lines

EVERY_S = 1.0
_SHARE, _MOST_S = 10, 30.0  # a controller that is slow to answer is asked less
AGAIN_S = 5.0  # after no answer
_FIELDS = "%i|%T|%N|%K|%r|%Z"  # the folder last: it may hold the bar
OVER = frozenset(
    {
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
        "REVOKED", "TIMEOUT",
    }
)  # fmt: skip
"""States that a job does not leave; one that is put back into the queue passes through none of them."""
FORGOTTEN = "FORGOTTEN"
"""Of a job that the controller knows no more: it has been over for longer than ``MinJobAge``."""
QUEUED = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}
)


@dataclass(frozen=True)
class Entry:
    """A line of the queue.

    Attributes:
        number: The job's: ``12``, or ``12_3`` of an array.
        state: Slurm's word for it, ``RUNNING``, or `FORGOTTEN`.
        nodes: Where it runs, ``n[1-2]``; empty of one that waits.
        index: Its place in an array; empty of one that is by itself.
        reason: Why it waits or has failed, in Slurm's word.
        folder: Its working folder: the run's, or the one that holds a link to each run's log.
    """

    number: str
    state: str
    nodes: str = ""
    index: str = ""
    reason: str = ""
    folder: str = ""

    def is_of(self, folder: Path) -> bool:
        """Whether it is the job of a run folder."""
        return self._run() == folder.resolve()

    def is_anothers(self, folder: Path) -> bool:
        """Whether it is surely not: where a controller has begun anew, numbers come again."""
        return self._run() not in (None, folder.resolve())

    def _run(self) -> Path | None:
        """The folder of its run; None where the link is gone that names it."""
        place = Path(self.folder)
        with suppress(OSError):
            if not self.index:
                return place.resolve()
            link = place / self.index
            return link.resolve().parent if link.is_symlink() else None
        return None


class Queue:
    """This user's jobs, as they were a moment ago.

    Attributes:
        why: Why Slurm has not answered the last time; empty if it has.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, Entry] | None = None
        self._asked = self._answered = -1e9
        self._every_s = EVERY_S
        self.why = ""

    @property
    def answers(self) -> bool:
        """Whether Slurm has ever answered."""
        self._look()
        return self._entries is not None

    def entry(self, number: str, since: float = -1e9) -> Entry | None:
        """What is known of a job that was submitted at ``since``; None where Slurm has not been asked after that.

        A controller that does not answer ends no job: the last that it has said holds.
        """
        self._look()
        if self._entries is None or self._answered < since:
            return None
        return self._entries.get(number, Entry(number, FORGOTTEN))

    def find(self, folder: Path, *, now: bool = False) -> Entry | None:
        """The job of a run folder that is not over.

        Args:
            folder: The folder.
            now: Ask anew, whenever Slurm was asked before.
        """
        self._look(now=now)
        found = (entry for entry in (self._entries or {}).values() if entry.is_of(folder))
        return next((entry for entry in found if entry.state not in OVER), None)

    def folders(self) -> set[Path] | None:
        """Working folders of all jobs that are not over, as of now; None where Slurm does not answer."""
        self._look(now=True)
        if self.why:
            return None
        living = (e for e in (self._entries or {}).values() if e.state not in OVER)
        return {Path(entry.folder) for entry in living}

    def _look(self, *, now: bool = False) -> None:
        began = self._clock()
        if not now and began - self._asked < (AGAIN_S if self.why else self._every_s):
            return
        try:
            check_up()
            told = lines("squeue", "-h", "-a", "-r", "-t", "all", "-u", _user(), "-o", _FIELDS)
        except NoAnswer as no:
            self.why, self._asked = str(no), self._clock()
            return
        self.why, self._asked, self._answered = "", began, began
        self._every_s = min(max(EVERY_S, _SHARE * (self._clock() - began)), _MOST_S)
        self._entries = {entry.number: entry for line in told if (entry := parse(line))}


def parse(line: str) -> Entry | None:
    """Reads a line of ``squeue``; None of one that is something else."""
    parts = line.strip().split("|", 5)
    if len(parts) < 6:
        return None
    number, state, nodes, index, reason, folder = parts
    return Entry(number, state, nodes, "" if index == "N/A" else index, reason, folder)


def _user() -> str:
    return str(os.getuid())
