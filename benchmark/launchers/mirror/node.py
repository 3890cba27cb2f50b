"""The job's side of a mirror: takes its run from the store to a folder of its node, and puts back what comes of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmark.errors import told
from benchmark.files import replacing
from benchmark.job.given_up import give_up
from benchmark.launchers.base import Job
from benchmark.launchers.local import exit_text
from benchmark.launchers.mirror.fetching import Fetcher
from benchmark.launchers.mirror.listing import run_key, source_key
from benchmark.launchers.mirror.needed import not_here, sources_of
from benchmark.launchers.mirror.scratch import keep, scratch_folder
from benchmark.launchers.mirror.sending import Sender
from benchmark.launchers.mirror.store import Store, StoreTrouble, open_store
from benchmark.launchers.mirror.turn import RENEW_S, Taken, Turn, wait_for
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.options import JobOptions

PUSH_S = 5.0
"""Seconds between two looks at what the job has written, and at whether it is to stop."""

PATIENCE_S = 3600.0
"""Seconds that a job waits, when it has ended, for a store that does not take what it came to."""

_POLL_S = 0.1
_RETRY_S = 5.0

_T = TypeVar("_T")

Start = Callable[[Path, JobOptions], Job]


def run_mirrored(name: str, options: JobOptions, start: Start) -> int:
    """Makes a run whose folder lies in a store.

    Args:
        name: Its id.
        options: What its job was told.
        start: Starts a job of this machine on a run folder, as `benchmark.launchers.base.Launcher.submit` does.

    Returns:
        Exit status of the job: 0, 1, or `os.EX_IOERR` where the machine or the store was at fault.

    Raises:
        UserError: The store cannot be used from this node.
        StoreTrouble: It does not answer.
    """
    store, run = open_store(options.store), run_key(name, options)
    with scratch_folder(name) as path:
        folder = RunFolder(path)
        log = _Log(folder)
        who = f"process {os.getpid()} on {os.uname().nodename}"
        turn = _patiently(lambda: wait_for(store, run, who, log.say), log.say)
        renewal = _Renewal(turn)
        renewal.start()
        try:
            return _Node(store, run, folder, renewal, log).run(options, start)
        finally:
            renewal.end()


class _Log:
    """Says what the job of a node has to say, in the run's log and on standard output."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._early: list[str] = []

    def say(self, text: str) -> None:
        line = f"{now()} {text}"
        print(line, flush=True)
        self._early.append(line)
        self.write()

    def write(self, whole: bool = False) -> None:
        """Into the log, once what was there before has come from the store."""
        if not whole and not self._folder.log_file.exists():
            return
        with suppress(OSError), self._folder.log_file.open("a", encoding="utf-8") as log:
            log.writelines(f"{line}\n" for line in self._early)
            self._early.clear()


class _Renewal(threading.Thread):
    """Renews a turn, and notices when it is over.

    Attributes:
        taken: Who has taken the run over, in a sentence; empty while nobody has.
    """

    def __init__(self, turn: Turn) -> None:
        super().__init__(name="turn", daemon=True)
        self.turn = turn
        self.taken = ""
        self.job: Job | None = None
        self._over = threading.Event()

    def run(self) -> None:
        """See `threading.Thread`."""
        while not self._over.wait(RENEW_S):
            self.renew()

    def renew(self) -> None:
        """Renews it now; a store that does not answer may do so the next time."""
        try:
            self.turn.renew(self.job.cpu_seconds() if self.job else None)
        except Taken as error:
            self.lose(error)
        except StoreTrouble:
            return

    def lose(self, why: Taken) -> None:
        """Ends the job, since another has taken the run over."""
        self.taken = str(why)
        self._over.set()
        if self.job is not None:
            self.job.kill()  # it may be waiting for something, and so may whoever reads this

    def end(self) -> None:
        """Renews it no more, and lets others have the run."""
        self._over.set()
        self.join(RENEW_S)
        if not self.taken:
            with suppress(StoreTrouble):
                self.turn.release()


class _Node:
    """One job at work on a node."""

    def __init__(
        self, store: Store, run: str, folder: RunFolder, renewal: _Renewal, log: _Log
    ) -> None:
        self._store = store
        self._run = run
        self._folder = folder
        self._renewal = renewal
        self._log = log
        self._sender: Sender
        self._silent = False

    def run(self, options: JobOptions, start: Start) -> int:
        """Takes the run from the store, runs it, and puts back what it comes to."""
        self._take()
        if cause := not_here(self._folder):
            self._log.say(cause)
            if not options.try_out:
                give_up(self._folder.path, options, cause, again=True)
            return self._put_last(1)
        job = start(self._folder.path, replace(options, store=""))
        self._renewal.job = job
        try:
            self._watch(job)
        except BaseException:
            job.kill()
            with suppress(StoreTrouble, Taken):
                self._push(last=True)
            raise
        if self._renewal.taken:
            self._log.say(f"{self._renewal.taken}: this job ends, and what it did since is dropped")
            return 1
        return self._put_last(os.EX_IOERR if job.met_fault() else int(not _well(job)))

    def _take(self) -> None:
        fetcher = Fetcher(self._store, self._run, self._folder.path)
        listing = _patiently(lambda: fetcher.bring(everything=True), self._log.say)
        for name in fetcher.damaged:
            self._log.say(f"{name} is damaged in the store, and passed over")
        self._log.write(whole=True)
        for name in sources_of(self._folder):
            source = self._folder.path.with_name(name)
            beside = Fetcher(self._store, source_key(name), source)
            _patiently(partial(beside.bring, everything=True), self._log.say)
        path, number = self._folder.path, self._renewal.turn.number
        self._sender = Sender(self._store, self._run, number, path, listing)

    def _watch(self, job: Job) -> None:
        """Puts what is new, and passes on that the job is to stop, until it has ended or the run is another's."""
        due = 0.0
        while not job.ended() and not self._renewal.taken:
            if time.monotonic() >= due:
                self._look()
                due = time.monotonic() + PUSH_S
            time.sleep(_POLL_S)

    def _look(self) -> None:
        try:
            stop = self._store.read(f"{self._run}/stop")
            if stop is not None and not self._folder.stop_file.exists():
                with replacing(self._folder.stop_file) as temporary:
                    temporary.write_bytes(stop)
            self._push()
        except Taken:
            return
        except StoreTrouble as trouble:
            if not self._silent:
                self._log.say(f"the store does not answer: {told(trouble)}; the run goes on")
            self._silent = True
        else:
            if self._silent:
                self._log.say("the store answers again")
            self._silent = False

    def _push(self, last: bool = False) -> None:
        if self._renewal.taken:
            raise Taken(self._renewal.taken)
        try:
            self._sender.push(last)
        except Taken as error:
            self._renewal.lose(error)
            raise

    def _put_last(self, status: int) -> int:
        """Puts all that the job came to, however long the store takes; what it never takes stays on the node."""
        try:
            _patiently(lambda: self._push(last=True), self._log.say)
        except Taken:
            return 1
        except StoreTrouble as trouble:
            kept = keep(self._folder.path)
            print(f"{told(trouble)}: what the run came to stays on {os.uname().nodename} in {kept}")
            return os.EX_IOERR
        return status


def _well(job: Job) -> bool:
    return job.exit_text() == exit_text(0)


def _patiently(ask: Callable[[], _T], say: Callable[[str], None]) -> _T:
    """What a store answers, asked again for as long as patience lasts.

    Raises:
        StoreTrouble: It does not answer.
    """
    end = time.monotonic() + PATIENCE_S
    said = False
    while True:
        try:
            return ask()
        except StoreTrouble as trouble:
            if trouble.lasts or time.monotonic() > end:
                raise
            if not said:
                say(f"the store does not answer: {told(trouble)}; waiting for it")
            said = True
        time.sleep(min(_RETRY_S, PATIENCE_S / 4))
