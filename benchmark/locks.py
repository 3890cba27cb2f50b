"""Locks that die with their holder (one driver a results folder, one job a run folder), and how long to wait."""

from __future__ import annotations

import errno
import fcntl
import math
import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.lock_markers import (
    Holder,
    live_marker,
    make_marker,
    marker_of,
    read_holder,
    this_process,
)

PATIENCE_VARIABLE = "DETBOARD_PATIENCE_S"
_PATIENCE_S = 60.0
_POLL_S = 0.02
# Somebody who only looks whether a lock is held has it for a moment.
_MOMENT_S = 0.2
_HELD = (errno.EAGAIN, errno.EACCES)
# What network file systems say that have no locks, or whose server of locks does not answer.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EIO)

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LEASE = "lease"
"""How one holds a lock who holds its folder's lease: the lease alone decides whether it lives."""


def patience_s() -> float:
    """Seconds to wait for another process before it is taken for dead or stuck: 60, or ``DETBOARD_PATIENCE_S``.

    Raises:
        UserError: The variable holds no positive number.
    """
    text = os.environ.get(PATIENCE_VARIABLE)
    try:
        seconds = float(text) if text else _PATIENCE_S
    except ValueError:
        seconds = math.nan
    if not (seconds > 0 and math.isfinite(seconds)):
        raise UserError(f"{PATIENCE_VARIABLE}={text}: write a number of seconds above 0")
    return seconds


class Held(Exception):
    """Somebody else holds the lock.

    Attributes:
        pid: Process id of the holder on ``host``, None if it is not known.
        host: Name of the holder's machine.
        who: The holder in words.
        advice: What to do where nobody can tell whether the holder lives; empty elsewhere.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        marked = live_marker(path)
        holder = marked or read_holder(_holder_file(path)) or Holder(0, "an unknown machine")
        self.pid, self.host, self.who = holder.pid or None, holder.host, holder.who
        left = marker_of(path) if marked else _holder_file(path)
        unknown = not holder.is_near and (marked or _refusal(path))
        self.advice = f"; if that process is gone, remove {left}" if unknown else ""
        super().__init__(f"{path} is held by {self.who}{self.advice}")


_open: set[int] = set()
"""Descriptors of the locks that this process holds: one that is forked from it must not keep them held."""


def _forget_locks() -> None:
    for descriptor in _open:
        os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_forget_locks)


class Lock:
    """A lock that this process holds.

    Attributes:
        refusal: Why it is held by a marker, see `benchmark.lock_markers`; None where the file system has locks.
        is_anothers: One whose lease has run out still has it: it stays known as such.
    """

    def __init__(self, path: Path, descriptor: int, refusal: OSError | None) -> None:
        self.refusal = refusal
        self.is_anothers = False
        self._path = path
        self._descriptor = descriptor
        _open.add(descriptor)

    def release(self) -> None:
        """Lets go of the lock; in a process that was forked from the one that holds it, nothing happens."""
        if self._descriptor not in _open:
            return
        with suppress(OSError):
            if not self.is_anothers:
                _holder_file(self._path).unlink(missing_ok=True)
            if self.refusal is not None:
                marker_of(self._path).unlink(missing_ok=True)
            else:  # also where a process that was forked a moment ago still has it open
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        _open.discard(self._descriptor)
        os.close(self._descriptor)


def acquire(
    path: Path, timeout_s: float = 0, makes_room: bool = False, leased: bool = False
) -> Lock:
    """Takes the lock at ``path``; it is released when the process ends, however it ends.

    On a file system without locks a marker takes its place (`benchmark.lock_markers`), which a kill leaves behind.

    Args:
        path: The lock file; a file ``<path>.holder`` beside it names the holder.
        timeout_s: Seconds to wait for another holder.
        makes_room: What is to be done makes room: where the disk is full, the holder need not be named.
        leased: The caller holds the folder's lease, see `benchmark.run.lease`. It makes no marker, and goes on without
            the lock where the file system has none, or one still holds it whose lease has run out.

    Raises:
        Held: Somebody else holds it.
        OSError: The folder takes no files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + max(timeout_s, _MOMENT_S)
    while (lock := _try(path, makes_room, leased)) is None:
        if time.monotonic() > end:
            raise Held(path)
        time.sleep(_POLL_S)
    return lock


def _try(path: Path, makes_room: bool, leased: bool) -> Lock | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    lock = None
    try:
        lock = _beside_lease(path, descriptor) if leased else _locked(path, descriptor, makes_room)
    finally:
        if lock is None:
            os.close(descriptor)
    return lock


def _locked(path: Path, descriptor: int, makes_room: bool) -> Lock | None:
    """The lock by flock, or by a marker where that is refused.

    A server of locks that fails for a while refuses one process and not another. So each looks for the other kind,
    after it has said which it has itself: of two that come at the same time at most one holds the lock.
    """
    refusal = _flock(descriptor, fcntl.LOCK_EX)
    if refusal is not None and refusal.errno in _HELD:
        return None
    if refusal is None:
        return _by_flock(path, descriptor, makes_room)
    return _by_marker(path, descriptor, refusal)


def _beside_lease(path: Path, descriptor: int) -> Lock | None:
    """The lock for one who holds the lease, by flock as far as there is one; None while one has it without a lease."""
    refusal = _flock(descriptor, fcntl.LOCK_EX)
    if refusal is not None and _is_held_without_lease(path, refusal):
        return None
    lock = _by_flock(path, descriptor, makes_room=False, by=_LEASE)
    if lock is not None:
        lock.is_anothers = refusal is not None and refusal.errno in _HELD
    return lock


def _is_held_without_lease(path: Path, refusal: OSError) -> bool:
    if refusal.errno in _HELD:
        holder = read_holder(_holder_file(path))
        return holder is None or holder.by != _LEASE
    return _may_hold_by_flock(path)


def _by_flock(path: Path, descriptor: int, makes_room: bool, by: str = "flock") -> Lock | None:
    if os.fstat(descriptor).st_nlink == 0:  # its folder was removed meanwhile
        return None
    try:
        _note_holder(path, by)
    except OSError as error:
        if not (makes_room and error.errno in _FULL):
            raise
        _holder_file(path).unlink(missing_ok=True)
    if live_marker(path) is not None:
        _holder_file(path).unlink(missing_ok=True)
        return None
    return Lock(path, descriptor, None)


def _by_marker(path: Path, descriptor: int, refusal: OSError) -> Lock | None:
    if not make_marker(path):
        return None
    try:
        if _may_hold_by_flock(path):
            marker_of(path).unlink()
            return None
        _note_holder(path, "marker")
    except BaseException:
        marker_of(path).unlink(missing_ok=True)
        raise
    return Lock(path, descriptor, refusal)


def _note_holder(path: Path, by: str) -> None:
    write_json(_holder_file(path), asdict(this_process(by)), indent=None)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock at ``path``, or one of which nobody can tell whether it lives.

    Of one that has a lease that tells, and nothing else: see `benchmark.run.lease`.
    """
    try:
        refusal = _refusal(path)
    except FileNotFoundError:
        return False
    if refusal is not None and refusal.errno in _HELD:
        return _is_held_without_lease(path, refusal)
    return live_marker(path) is not None or (refusal is not None and _may_hold_by_flock(path))


def _may_hold_by_flock(path: Path) -> bool:
    """Whether a process that is not known to be gone holds, or held, the lock by flock."""
    holder = read_holder(_holder_file(path))
    return holder is not None and holder.by not in ("marker", _LEASE) and not holder.is_gone


def _refusal(path: Path) -> OSError | None:
    """What flock says to somebody who only looks."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> OSError | None:
    """Takes the lock, or returns why not: somebody holds it, or the file system has none."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD or error.errno in _NO_LOCKS:
            return error
        raise
    return None


def _holder_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.holder")
