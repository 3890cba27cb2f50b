"""A lease on a run folder: ``lease.json``, which the folder's job renews as long as it lives, on whatever machine.

A lock says nothing of a node that was given up and goes on: it may hold on one machine alone, or for ever. A lease that
nobody renews runs out.

- It is made by an exclusive create, so that of several jobs one has it. Its holder renews it by setting the time of the
  very file that it has made, which it keeps open: one who wakes up after it was given up renews nobody else's, and a
  full disk keeps nobody from it.
- Whoever waits for it judges by its own clock: a lease that has not changed all the while has run out. To take that
  over, one makes a file that is named after it, by an exclusive create again, looks whether the lease still is the one
  that has run out, and gives the new file its name. So of several that wait one takes it over, and none can take what
  another has just taken.
- Whoever only looks compares its time with that of a file that is written beside it just then. Where the file server
  sets both, no clock of any machine counts. A client of Lustre sets them itself: then the clocks have to agree, or a
  living lease looks run out. So nothing is taken on a glance.
- Before its holder writes anything it looks whether the lease still is its own, see `Lease.require`.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from benchmark.errors import why
from benchmark.files import (
    TEMPORARY,
    JsonObject,
    NotAFile,
    json_line,
    now_ns,
    opened,
    parse_json,
    write_json,
)
from benchmark.lock_markers import Holder, has_ended, this_process

LEASE_S = 60.0
"""Seconds that a lease is good for after it was made or renewed; the file says it, for whoever waits."""

_LONGEST_S = 24 * 3600.0  # what a lease may be good for that somebody else has made
_RENEWALS = 6  # within that time
_POLL_S = 0.5
# What one look at most adds to the time that a lease was watched: a file server that hangs lets nobody renew.
_LOOK_S = 2.0


@dataclass(frozen=True)
class Seen:
    """A lease, as it was seen.

    Attributes:
        holder: The process that has made it.
        job: That job's number in its scheduler's queue; empty where it has none.
        token: A random text of its own; empty where it is just being made.
        seconds: How long it is good for.
        machine: Identifies the boot of the holder's machine; empty where that is not known.
        renewed_ns: When it was renewed, in nanoseconds, by a clock that is not this machine's.
    """

    holder: Holder
    job: str
    token: str
    seconds: float
    machine: str
    renewed_ns: int

    @property
    def who(self) -> str:
        """Whose it is, in words."""
        return f"{self.holder.who}, job {self.job}" if self.job else self.holder.who

    @property
    def is_gone(self) -> bool:
        """Whether its holder is known to have ended: a process of this very machine, since it was last started."""
        here = this_process("lease")
        is_near = (self.machine, self.holder.space) == (_machine(), here.space)
        known = all((self.machine, here.start, here.space, self.holder.start))
        return known and is_near and has_ended(self.holder.pid, self.holder.start)


def look(path: Path) -> Seen | None:
    """The lease at ``path``; None if there is none.

    It is opened each time: that is when a network file system asks its server what has changed.

    Raises:
        NotAFile: Something else lies in its place.
        OSError: It cannot be read.
    """
    try:
        with opened(path) as file:
            content, renewed_ns = file.read(), os.fstat(file.fileno()).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _seen(content, renewed_ns)


def _seen(content: bytes, renewed_ns: int) -> Seen:
    try:
        facts = parse_json(content)
        texts = {key: str(facts[key]) for key in ("host", "space", "start", "by")}
        holder = Holder(int(facts["pid"]), **texts)
        job, token, machine = (str(facts[key]) for key in ("job", "token", "machine"))
        seconds = float(facts["seconds"])
        if not seconds <= _LONGEST_S:  # it would be good for ever, as one that is no number
            raise ValueError("seconds")
        return Seen(holder, job, token, seconds, machine, renewed_ns)
    except (
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
    ):  # it is just being made, or was cut off then
        return Seen(Holder(0, "an unknown machine"), "", "", LEASE_S, "", renewed_ns)


def glance(path: Path) -> Seen | None:
    """The lease at ``path`` if it seems to be alive, without waiting; None if there is none, or it has run out."""
    try:
        seen = look(path)
        if seen is None or seen.is_gone:
            return None
        return seen if abs(now_ns(path.parent) - seen.renewed_ns) <= seen.seconds * 1e9 else None
    except OSError:
        return None


class Watch:
    """Tells by this machine's clock alone whether a lease is renewed: it is run out if it stays as it was.

    Attributes:
        seen: The lease at the last look, alive or not; None if there was none.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.seen: Seen | None = None
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._still_s = 0.0

    def living(self) -> Seen | None:
        """The lease, unless there is none or it has run out; never waits.

        Raises:
            OSError: It cannot be read.
        """
        now = self._clock()
        passed, self._looked = now - self._looked, now
        before, self.seen = self.seen, look(self._path)
        self._still_s = 0.0 if self.seen != before else self._still_s + min(passed, _LOOK_S)
        if self.seen is None or self.seen.is_gone or self._still_s > self.seen.seconds:
            return None
        return self.seen


class Lost(Exception):
    """A lease is no longer this process's; the message says why."""


class Lease:
    """A lease that this process holds; see `take`.

    Args:
        path: The file.
        content: What stands in it.
        descriptor: Of the file, open to be written.
        clock: Goes on while this process, or this machine, stands still.
    """

    def __init__(
        self,
        path: Path,
        content: JsonObject,
        descriptor: int,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._path = path
        self._content = content
        self._descriptor = descriptor
        self._clock = clock or _clock
        self._seconds = float(content["seconds"])
        self._is_held = True
        self._one_at_a_time = threading.RLock()
        self._renewed = self._clock()

    @property
    def renewed_every_s(self) -> float:
        """Seconds between two renewals: some of them may fail."""
        return self._seconds / _RENEWALS

    def renew(self) -> None:
        """Renews it; nothing happens once it was given back.

        Raises:
            Lost: It is another's, or gone.
            OSError: The file system says no; the lease is as it was.
        """
        with self._one_at_a_time:
            if self._is_held:
                self._renew()

    def _renew(self) -> None:
        begun = self._clock()
        try:
            # First of all: whoever is about to take it over sees that, or has it when it is looked at.
            os.utime(self._descriptor)
        finally:
            self._check(begun)
        self._renewed = begun

    def require(self) -> None:
        """Sees to it that it is this process's, as before anything is written.

        Raises:
            Lost: It is another's, or gone.
            OSError: The file system says no.
        """
        with self._one_at_a_time:
            now = self._clock()
            if now - self._renewed > 2 * self.renewed_every_s:
                self.renew()
            elif self._is_held:
                self._check(now)

    def _check(self, now: float) -> None:
        late = now - self._renewed
        for _ in range(2):
            try:
                seen = look(self._path)
            except NotAFile as error:
                raise Lost(f"something else lies in its place: {why(error)}") from None
            if self._is_own(seen):
                return
            if seen is None and late < self._seconds and self._make_again():
                return
        taken = f"{seen.who} has it" if seen is not None else "it is gone"
        raise Lost(f"{taken}; this process last renewed it {late:.0f} s ago")

    def _is_own(self, seen: Seen | None) -> bool:
        return seen is not None and seen.token == self._content["token"]

    def _make_again(self) -> bool:
        """Makes it again: in its time nobody else may have had it; somebody has removed the file."""
        try:
            descriptor = _make(self._path, self._content)
        except (FileExistsError, FileNotFoundError):
            return False
        os.close(self._descriptor)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Gives it back, if it still is this process's."""
        with self._one_at_a_time:
            try:
                self.renew()  # nobody can have it a moment later
                self._path.unlink()
            except (Lost, OSError):
                pass
            self._is_held = False
            os.close(self._descriptor)


def _clock() -> float:
    # Unlike that of time.monotonic it goes on while a machine sleeps.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def take(path: Path, job: str, waits: Callable[[Seen], None]) -> Lease:
    """Takes the lease at ``path``; where another's is alive, when that has run out or was given back.

    Args:
        path: The file, in a folder that is there.
        job: The number of this job in its scheduler's queue; empty where it has none.
        waits: Hears of the other's lease at each look; what it raises ends the waiting.

    Raises:
        NotAFile: Something else lies in its place.
        OSError: The file system says no.
    """
    watch, claims = Watch(path), Claims(path, job)
    while True:
        living = watch.living()
        if living is not None:
            waits(living)
        elif (taken := claims.taken(watch.seen)) is not None:
            return taken
        time.sleep(_POLL_S)


class Claims:
    """What one does to take a lease that nobody has.

    Args:
        path: The file.
        job: The number of this job in its scheduler's queue; empty where it has none.
    """

    def __init__(self, path: Path, job: str) -> None:
        self._path = path
        self._job = job
        self._other: tuple[Path, Watch] | None = None

    def taken(self, ran_out: Seen | None) -> Lease | None:
        """Takes the lease; None where another is at it.

        Args:
            ran_out: The lease that has run out; None if there is none.
        """
        content = _content(self._job)
        claim = self._path if ran_out is None else _claim(self._path, ran_out)
        try:
            descriptor = _make(claim, content)
        except FileExistsError:
            if ran_out is not None:
                self._clear(claim)
            return None
        if ran_out is None or self._replaced(claim, ran_out, str(content["token"])):
            return Lease(self._path, content, descriptor)
        os.close(descriptor)
        return None

    def _replaced(self, claim: Path, ran_out: Seen, token: str) -> bool:
        if look(self._path) != ran_out:  # renewed, or another's: whose claim had this very name
            claim.unlink(missing_ok=True)
            return False
        with suppress(FileNotFoundError):
            claim.replace(self._path)
        seen = look(self._path)
        return seen is not None and seen.token == token

    def _clear(self, claim: Path) -> None:
        """Removes another's claim, if that was killed in the middle of it."""
        if self._other is None or self._other[0] != claim:
            self._other = claim, Watch(claim)
        watch = self._other[1]
        if watch.living() is None and watch.seen is not None:
            claim.unlink(missing_ok=True)


def _claim(path: Path, ran_out: Seen) -> Path:
    return path.with_name(f".{path.name}.{ran_out.token or ran_out.renewed_ns}{TEMPORARY}")


def take_away(path: Path) -> None:
    """Takes a lease away from a job that cannot be ended otherwise: it ends when it next looks at it.

    The next job waits for the time of a lease, since nobody can tell when that is.
    """
    write_json(path, _content(""), indent=None)


def _content(job: str) -> JsonObject:
    known = {"job": job, "token": secrets.token_hex(16), "machine": _machine(), "seconds": LEASE_S}
    return {**asdict(this_process("lease")), **known}


def _make(path: Path, content: JsonObject) -> int:
    """Makes the file, and returns its descriptor.

    Raises:
        FileExistsError: There is one.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        os.write(descriptor, json_line(content).encode())
        os.fsync(descriptor)
    except OSError as error:
        error.filename = error.filename or str(path)
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor


@lru_cache
def _machine() -> str:
    """Identifies this machine since it was started; the names of two may be the same."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
