"""How a job holds its folder: by a lock, and on a cluster by a lease, which decides."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from benchmark import locks
from benchmark.files import NotAFile, checked_writes
from benchmark.job.several import GONE, processes
from benchmark.run.address import read_address
from benchmark.run.folder import Damaged, RunFolder
from benchmark.run.journal import now
from benchmark.run.lease import Lease, Lost, Seen, take
from benchmark.run.state import stop_is_users


@contextmanager
def holding(folder: RunFolder, leased: bool) -> Iterator[None]:
    """Holds a run folder for the job of this process.

    A lease is taken where one is asked for, and where another job has left or holds one: see `benchmark.run.lease`. The
    process ends as soon as it finds that it has lost it, with `GONE`, and before it writes anything.

    Raises:
        locks.Held: A job without a lease has held the folder all the time that `locks.patience_s` gives.
        SystemExit: A user has asked the run to end while another held the lease; or something else lies in its place.
    """
    if not (leased or os.path.lexists(folder.lease_file)):
        lock = locks.acquire(folder.lock_file, locks.patience_s())
        if not os.path.lexists(folder.lease_file):
            try:
                yield
            finally:
                lock.release()
            return
        lock.release()  # of two that come at once one sees the other
    with _by_lease(folder):
        yield


@contextmanager
def _by_lease(folder: RunFolder) -> Iterator[None]:
    address = read_address(folder)
    job = address.job if address is not None else ""
    with _ended_by_term():
        try:
            lease = take(folder.lease_file, job, _Waiting(folder).hears)
        except NotAFile:
            print(f"{now()} {_displaced(folder)}", flush=True)
            sys.exit(1)
    try:
        lock = locks.acquire(folder.lock_file, locks.patience_s(), leased=True)
        try:
            with checked_writes(_fence(lease)), _renewing(lease):
                yield
        finally:
            lock.release()
    finally:
        lease.release()


def _displaced(folder: RunFolder) -> Damaged | str:
    """What is wrong with a folder whose lease is no file, and what to do, as a plan says it."""
    try:
        folder.check_kinds()
    except Damaged as damage:
        return damage
    return f"{folder.lease_file}: was no file a moment ago"


@contextmanager
def _ended_by_term() -> Iterator[None]:
    """Has SIGTERM end this process meanwhile: it has nothing to save, and would ask the other job to leave."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


class _Waiting:
    """Says once for whom a job waits, and ends it where a user ends the run meanwhile."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._told = ""

    def hears(self, other: Seen) -> None:
        """The lease of another job, which is alive."""
        stop = self._folder.stop_file
        if stop_is_users(stop):
            print(f"{now()} stopped before it began", flush=True)
            # With others that train together with it, which would wait for it.
            sys.exit(GONE if processes() > 1 else 0)
        if other.token != self._told:
            self._told = other.token
            print(
                f"{now()} another job ({other.who}) holds this run's folder: this one waits until that has ended, or "
                f"has not renewed its lease for {other.seconds:g} s",
                flush=True,
            )


def _fence(lease: Lease) -> Callable[[], None]:
    """Lets nothing be written in a folder that another has taken over."""
    here = os.getpid()

    def check() -> None:
        if os.getpid() == here:
            _or_end(lease.require)

    return check


@contextmanager
def _renewing(lease: Lease) -> Iterator[None]:
    """Renews a lease meanwhile, in a thread of its own."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(lease.renewed_every_s):
            # Where the file system fails, whether it still is ours is asked before anything is written.
            with suppress(OSError):
                _or_end(lease.renew)

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _or_end(ask: Callable[[], None]) -> None:
    """Ends this process, and writes nothing more than that, where its lease is lost."""
    try:
        ask()
    except Lost as lost:
        with suppress(OSError):
            print(
                f"{now()} the lease on this run's folder is lost ({lost}): this job ends, and writes nothing more",
                flush=True,
            )
        # Not sys.exit: W&B would end the run that another job goes on with.
        os._exit(GONE)
