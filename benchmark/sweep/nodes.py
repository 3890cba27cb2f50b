"""Has a job look at its node, and answers it: what both see of the folder that they share, only both together know."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.errors import UserError
from benchmark.experiment.experiment import Tracking
from benchmark.job import looks
from benchmark.job.node_check import REPLACED
from benchmark.launchers import Job, Launcher
from benchmark.launchers.stored import Stored
from benchmark.process import asked_to_end
from benchmark.run.finding import Finding
from benchmark.run.folder import RunFolder
from benchmark.run.node import DRIVER, NODE, POLL_S, Exchange, Process, this_process
from benchmark.run.options import JobOptions
from benchmark.sweep.trying import folder_for_tryouts
from benchmark.sweep.unbegun import log_tail, remedy
from benchmark.writing.words import minutes

NAME = "detboard-doctor"
"""Of the folder, and so of the job in a scheduler's queue."""

_LATE_S = 5.0
_BETWEEN_READS_S = 0.0005
_SEEN_WITHIN_S = 10.0  # a report that is complete, after its job has ended
_NOT_ATOMIC = "results that are being replaced can be read in half: use another file system"


@dataclass(frozen=True)
class Ended:
    """How the job came to its end.

    Attributes:
        cause: Why it did not end by itself, in words; empty where it did.
        exit_text: How it ended, in its launcher's words.
    """

    cause: str
    exit_text: str


def look_at_node(
    launcher: Launcher, runs: Path, say: Callable[[str], None], patience_s: float
) -> list[Finding]:
    """Has one job look at the node that it comes to; Ctrl-C ends it, and nothing of it is left.

    Args:
        launcher: Starts it, as it starts runs.
        runs: Folder of the run folders, in which they are to work.
        say: Shows a line to the user.
        patience_s: Seconds that it may wait in a queue, and again that it may run.

    Raises:
        UserError, MachineError: The folder takes no files, or the launcher no job.
    """
    with folder_for_tryouts(runs) as scratch:
        folder = RunFolder(scratch / NAME)
        folder.path.mkdir()
        exchange = Exchange(folder.path)
        driver = replace(this_process(looks.reaches()), shares=not isinstance(launcher, Stored))
        with _answering(exchange, driver) as driver_side:
            ended = _run(launcher, folder, say, patience_s)
            _wait_for_report(exchange, ended)
        return [*_of_job(folder, ended), *(driver_side.findings() if driver.shares else [])]


def _run(
    launcher: Launcher, folder: RunFolder, say: Callable[[str], None], patience_s: float
) -> Ended:
    resources = launcher.pool.acquire(1)
    if resources is None:
        raise UserError(f"--launcher {launcher.name}: it has no place for a job")
    options = JobOptions(Tracking(mode="off"), resources, node_check=True)
    job = launcher.submit(folder.path, options)
    try:
        cause = _waited(launcher, job, say, patience_s)
    finally:
        job.kill()
        launcher.pool.release(resources)
    return Ended(cause, job.exit_text())


def _waited(launcher: Launcher, job: Job, say: Callable[[str], None], patience_s: float) -> str:
    """Waits until the job has ended; returns why it is to be ended, empty where it has."""
    told, since, was_queued = "", time.monotonic(), True
    while not job.ended():
        launcher.flush()  # again where its scheduler took no more jobs
        standing = job.standing()
        if standing.words and standing.words != told:
            say(f"{'waiting' if standing.queued else 'running'}: {standing.words}")
            told = standing.words
        if was_queued and not standing.queued:
            was_queued, since = False, time.monotonic()
        if time.monotonic() - since > patience_s:
            return f"{'queued' if standing.queued else 'running'} for {minutes(patience_s)}: {told}"
        if asked_to_end():  # an exception that a library has swallowed
            raise KeyboardInterrupt
        time.sleep(POLL_S)
    return ""


def _wait_for_report(exchange: Exchange, ended: Ended) -> None:
    """Waits a moment for the end of the report: a file system may show it late."""
    end = time.monotonic() + (0 if ended.cause else _SEEN_WITHIN_S)
    while not exchange.read_report().complete and _has_begun(exchange) and time.monotonic() < end:
        time.sleep(POLL_S)


def _has_begun(exchange: Exchange) -> bool:
    return exchange.report_file.exists()


def _of_job(folder: RunFolder, ended: Ended) -> list[Finding]:
    """What the job has found, and that it did not look at all if so."""
    report = Exchange(folder.path).read_report()
    found = list(report.findings)
    if report.complete:
        return found
    what = ended.cause or ended.exit_text
    lines = "".join(f"\n{line}" for line in log_tail(folder) if line not in what)
    if report.doing:
        text = f"ended while it looked at {report.doing}: {what}{lines}"
        return [*found, Finding("job", text, _DIED, problem=True)]
    if ended.cause:
        return [Finding("job", what, _WAIT, problem=True)]
    text = f"ended before it had looked at anything: {what}{lines}"
    return [Finding("job", text, remedy(folder, what), problem=True)]


_DIED = "look at what its log says; one that was killed may need more memory: 'cluster: memory'"
_WAIT = "it was ended; ask again later, or with '--wait MINUTES' for longer, or ask the cluster for less"


class _DriverSide(threading.Thread):
    """The driver's side of the exchange; the job may run in this very process, and so it is a thread of its own."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(name="doctor", daemon=True)
        self._exchange = exchange
        self.ends = threading.Event()
        self._reads = 0
        self._bad: list[str] = []

    def run(self) -> None:
        """Answers the job's notes; a file system that refuses this is told by the job."""
        with suppress(OSError):
            self._answer()

    def _answer(self) -> None:
        exchange = self._exchange
        if exchange.read_note(NODE, 1, self.ends.is_set) is None:
            return
        exchange.write_note(DRIVER, 1)
        while not (self.ends.is_set() or exchange.note(NODE, 2).exists()):
            self._read()
            time.sleep(_BETWEEN_READS_S)
        exchange.write_note(DRIVER, 2)

    def _read(self) -> None:
        """Reads what the job replaces meanwhile."""
        try:
            text = self._exchange.replaced_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            if self._reads:
                self._bad.append("not there")
            return
        except OSError as error:
            self._bad.append(str(error.strerror))
            return
        self._reads += 1
        if len(text) != _WHOLE:
            self._bad.append("cut short")

    def findings(self) -> Iterator[Finding]:
        """What was seen from here."""
        if self._bad:
            what = f"a file that is replaced was {self._bad[0]} in {len(self._bad)} of {self._reads} reads"
            yield Finding("renaming", what, _NOT_ATOMIC, problem=True)
        elif self._reads:
            yield Finding(
                "renaming", f"atomic: replaced {REPLACED} times, read whole {self._reads} times"
            )
        yield from self._owner()

    def _owner(self) -> Iterator[Finding]:
        try:
            owner = self._exchange.report_file.stat().st_uid
        except OSError:
            return
        if owner != os.getuid():
            found = f"what the job has written belongs to user {owner} here"
            yield Finding("owner", found, "see how the file system maps users (root_squash)", True)


_WHOLE = 9


@contextmanager
def _answering(exchange: Exchange, driver: Process) -> Iterator[_DriverSide]:
    """Makes what the job looks for, and answers it, until left."""
    exchange.write_driver(driver)
    exchange.taken_file.touch()
    with exchange.lock_file.open("wb") as lock:
        with suppress(OSError):  # the file system has none: the job says so
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        side = _DriverSide(exchange)
        side.start()
        try:
            yield side
        finally:
            side.ends.set()
            side.join()
