"""Locks that die with their holder (one driver a results folder, one job a run folder), and how long to wait."""

from __future__ import annotations

import math
import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout

from benchmark.errors import UserError
from benchmark.files import read_json, write_json

PATIENCE_VARIABLE = "DETBOARD_PATIENCE_S"
_PATIENCE_S = 60.0


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
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pid, self.host = _holder(path)
        super().__init__(f"{path} is held by {self.who}")

    @property
    def who(self) -> str:
        """The holder in words."""
        return f"process {self.pid} on {self.host}" if self.pid else "another process"


def acquire(path: Path, timeout_s: float = 0) -> FileLock:
    """Takes the lock at ``path``; it is released when the process ends, however it ends.

    Args:
        path: The lock file; a file ``<path>.holder`` beside it names the holder.
        timeout_s: Seconds to wait for another holder.

    Raises:
        Held: Somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=timeout_s)
    try:
        lock.acquire()
    except Timeout:
        raise Held(path) from None
    write_json(_holder_file(path), {"pid": os.getpid(), "host": socket.gethostname()}, indent=None)
    return lock


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock at ``path``."""
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True


def _holder_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.holder")


def _holder(path: Path) -> tuple[int | None, str]:
    try:
        holder = read_json(_holder_file(path))
        return int(holder["pid"]), str(holder["host"])
    except (OSError, ValueError, KeyError):
        return None, "an unknown machine"
