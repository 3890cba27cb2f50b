"""A job of Slurm: one that is to be submitted, that was, or that another driver has submitted."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.errors import printable
from benchmark.files import end_of
from benchmark.launchers.slurm.commands import NoAnswer, ask, check_up, lines
from benchmark.launchers.slurm.queue import FORGOTTEN, OVER, QUEUED, Entry, Queue
from benchmark.run.folder import RunFolder
from benchmark.run.standing import Standing
from benchmark.run.starts import began
from benchmark.run.state import stop_is_schedulers, stop_tells_of_loss

KILL_S = 10.0
_CUT_OFF = {
    "TIMEOUT": "its time was up",
    "PREEMPTED": "preempted",
    "CANCELLED": "cancelled",
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node failed to start",
    "DEADLINE": "its deadline has passed",
    "REVOKED": "its cluster gave it back",
}
_MEANS = {
    "BeginTime": "Slurm holds a job back for two minutes that it has put back into the queue",
    "JobHeldUser": "held; 'scontrol release NUMBER' lets it go",
    "JobHeldAdmin": "held by an administrator",
    "JobLaunchFailure": "it could not be started",
    "launch failed requeued held": "it could not be started and is held; 'scontrol release NUMBER' lets it go",
}


@dataclass(frozen=True)
class _Details:
    """What ``scontrol show job`` says of a job that is over, as far as it is known any more."""

    state: str
    node: str
    status: int | None
    reason: str


class SlurmJob:
    """The job of a run folder.

    Args:
        folder: The run's folder, absolute.
        queue: What Slurm says.
        number: Its number; empty of one that was not submitted yet.
        since: When it was, on the clock of `time.monotonic`: what Slurm has said before tells nothing of it.

    Attributes:
        number: See there.
        refusal: Why Slurm does not take it; empty if it does.
        waits: Why it was not submitted yet, in words.
        withdrawn: It was ended before it was submitted.
        doubtful: It may have been submitted: the answer was lost.
    """

    outlives_driver = True

    def __init__(self, folder: Path, queue: Queue, number: str = "", since: float = 0.0) -> None:
        self.folder = RunFolder(folder)
        self.number = number
        self.refusal = self.waits = ""
        self.withdrawn = self.doubtful = False
        self._queue = queue
        self._since = since
        self._killed = False
        self._seen = self._waited = False
        self._logged = 0 if number else _size(self.folder.log_file)

    def submitted(self, number: str) -> None:
        """Takes in the number that Slurm has given it."""
        self.number, self._since, self.doubtful, self.waits = number, time.monotonic(), False, ""

    def ended(self) -> bool:
        """See `benchmark.launchers.base.Job`."""
        if self.refusal or self.withdrawn:
            return True
        entry = self._entry()
        if entry is None:
            return False
        # Its processes are gone, or as good as: a node that is down may take its time to say so.
        leaves = entry.state == "COMPLETING" and (self._killed or self.folder.finished)
        return leaves or entry.state == FORGOTTEN or entry.state in OVER

    def exit_text(self) -> str:
        """See `benchmark.launchers.base.Job`; of one that ended before Python began with the end of its log."""
        if self.refusal:
            return f"Slurm has refused its job: {self.refusal};"
        if self.withdrawn or not self.number:
            return "its job was not submitted"
        found = self._details
        where = f" on {found.node}" if found.node else ""
        code = f" with exit status {found.status}" if found.status else ""
        how = found.state.lower().replace("_", " ")
        return f"Slurm job {self.number}{where} {how}{code}{self._last_words(found)}"

    def met_fault(self) -> bool:
        """See `benchmark.launchers.base.Job`."""
        return bool(self.number) and self._details.status == os.EX_IOERR

    def standing(self) -> Standing:
        """See `benchmark.launchers.base.Job`."""
        if not self.number:
            return Standing(True, self.waits)
        entry = self._entry()
        if entry is None or entry.state == FORGOTTEN:
            return Standing(True, f"Slurm job {self.number}")
        if entry.state in QUEUED:
            why = _MEANS.get(entry.reason, entry.reason).replace("NUMBER", self.number)
            known = why not in ("None", "")
            return Standing(True, f"Slurm job {self.number}" + (f": {why}" if known else ""))
        return Standing(False, f"Slurm job {self.number} on {entry.nodes}")

    def cut_off(self) -> str:
        """See `benchmark.launchers.base.Job`: by the state that Slurm ended it in, else by what it was asked."""
        if self._killed or not self.number or self.refusal or not self.ended():
            return ""
        entry = self._entry()
        words = _CUT_OFF.get(entry.state, "") if entry is not None else ""
        if entry is not None and entry.state == FORGOTTEN and self._waited:
            words = "taken out of the queue"  # of an array's task nothing is left then
        stop = self.folder.stop_file
        asked = stop_is_schedulers(stop)
        if not words and asked:
            lost = stop_tells_of_loss(stop)
            words = "one of its processes was lost" if lost else "its time was up"
        return words

    def cpu_seconds(self) -> None:
        """See `benchmark.launchers.base.Job`: it is used on another machine."""

    def kill(self) -> None:
        """See `benchmark.launchers.base.Job`: nobody's grace period is waited for."""
        if self.ended():
            return
        self._killed = True
        if not self.number and self.doubtful:
            found = self._queue.find(self.folder.path, now=True)
            self.number = found.number if found else ""
        if not self.number:
            self.withdrawn = True
            return
        with suppress(NoAnswer):
            self._cancel()
        self._since = time.monotonic()
        end = time.monotonic() + KILL_S
        while not self.ended() and time.monotonic() < end:
            time.sleep(0.1)

    def _cancel(self) -> None:
        """Takes it out of the queue; one that runs ends at once.

        Of an array's task that waits, a signal would take along all others that wait (Slurm 22.05).
        """
        check_up()
        entry = self._entry()
        if entry is not None and entry.state not in QUEUED:
            ask("scancel", "--full", "--signal=KILL", self.number)
        ask("scancel", self.number)

    def _entry(self) -> Entry | None:
        """What Slurm says of it; of one with its number that is another folder's, that it is forgotten."""
        entry = self._queue.entry(self.number, self._since) if self.number else None
        if entry is None or entry.state == FORGOTTEN:
            return entry
        self._seen = self._seen or not entry.is_anothers(self.folder.path)
        if not self._seen:
            return Entry(self.number, FORGOTTEN)
        self._waited = entry.state in QUEUED
        return entry

    @cached_property
    def _details(self) -> _Details:
        """Asked once it is over."""
        entry = self._entry()
        state = entry.state if entry is not None else FORGOTTEN
        with suppress(NoAnswer):
            told = dict(
                re.findall(
                    r"(\S+?)=(\S*)", " ".join(lines("scontrol", "-o", "show", "job", self.number))
                )
            )
            code = told.get("ExitCode", "").partition(":")[0]
            status = int(code) if code.isdecimal() else None
            node = told.get("NodeList", "").removeprefix("(null)")
            return _Details(told.get("JobState", state), node, status, told.get("Reason", ""))
        state = "has ended" if state == FORGOTTEN else state
        return _Details(state, entry.nodes if entry else "", None, "")

    def _last_words(self, found: _Details) -> str:
        if found.state == "OUT_OF_MEMORY":
            return ": more memory than it asked for, raise cluster.memory;"
        if began(self.folder) or self.folder.finished:
            return ""
        log = end_of(self.folder.log_file, 4000) if self._has_logged() else ""
        *_, last = ["", *(line.strip() for line in log.splitlines() if line.strip())]
        return " before its run began" + (f" ({printable(last)[:300]})" if last else "")

    def _has_logged(self) -> bool:
        return _size(self.folder.log_file) > self._logged


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
