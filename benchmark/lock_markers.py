"""Locks where the file system has none: a file that only one process can make, and that says who it was.

It stays when its maker is killed. A process of this machine that is gone is told from its number and its start, and its
marker is removed; of another machine nothing can be known, and a person decides.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.files import read_json

_MOST_PID = 2**31


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        pid: Its number; 0 if it is not known.
        host: Name of its machine.
        space: Which numbering its number is of: containers of one machine have their own.
        start: When it started, in clock ticks since the machine did; empty where that is not known.
        by: ``flock`` or ``marker``, or ``lease`` where that decides; empty of earlier versions, which had flock alone.
    """

    pid: int
    host: str
    space: str = ""
    start: str = ""
    by: str = ""

    @property
    def is_near(self) -> bool:
        """Whether it is a process of this machine, of which it can be told whether it lives."""
        known = bool(start_of(os.getpid()))
        return known and self.host == socket.gethostname() and self.space in ("", _space())

    @property
    def is_gone(self) -> bool:
        """Whether it is known to have ended."""
        return self.is_near and has_ended(self.pid, self.start)

    @property
    def who(self) -> str:
        """In words."""
        return f"process {self.pid} on {self.host}" if self.pid else "another process"


def this_process(by: str) -> Holder:
    """The calling process, as the holder of a lock."""
    pid = os.getpid()
    return Holder(pid, socket.gethostname(), _space(), start_of(pid), by)


def start_of(pid: int) -> str:
    """When a process of this machine started, in clock ticks since the machine did; empty if it has ended."""
    state, *rest = stat_of(pid) or ["X"]
    return "" if state in "ZX" else rest[18]


def has_ended(pid: int, start: str) -> bool:
    """Whether a process of this machine has ended.

    Args:
        pid: Its number.
        start: When it started, as `start_of` gives it; empty where that is not known.
    """
    if not stat_of(pid):
        return not _is_hidden(pid)
    now = start_of(pid)
    return now != start if start else not now


def _is_hidden(pid: int) -> bool:
    """Whether there is a process of which /proc shows nothing: another user's, where it is mounted with hidepid."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def stat_of(pid: int | str) -> list[str]:
    """What Linux says of a process, from its state on (field 3 of proc(5)); empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return []


def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def read_holder(path: Path) -> Holder | None:
    """Who a file names as the holder, without number and machine where it cannot be read; None without a file."""
    try:
        content = read_json(path)
        texts = (str(content.get(name, "")) for name in ("space", "start", "by"))
        pid = int(content["pid"])
        return Holder(pid if 0 < pid < _MOST_PID else 0, str(content["host"]), *texts)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return Holder(0, "an unknown machine")


def marker_of(path: Path) -> Path:
    """The marker of a lock file."""
    return path.with_name(f"{path.name}.held")


def live_marker(path: Path) -> Holder | None:
    """Who holds a lock file by its marker, as far as is known; None if nobody does."""
    holder = read_holder(marker_of(path))
    return None if holder is None or holder.is_gone else holder


def make_marker(path: Path) -> bool:
    """Makes the marker of a lock file; False if somebody holds it.

    Raises:
        OSError: The file system takes no file.
    """
    marker = marker_of(path)
    _remove_if_left_behind(marker)
    try:
        descriptor = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(this_process("marker")), file)
    except OSError:
        marker.unlink(missing_ok=True)
        raise
    return True


def _remove_if_left_behind(marker: Path) -> None:
    """Removes a marker whose maker is gone.

    One process of this machine at a time looks and removes: no marker is made while the old one is there, so that what
    is removed is what was looked at. Where that cannot be had, the marker stays.
    """
    holder = read_holder(marker)
    if holder is None or not holder.is_gone:
        return
    name = hashlib.sha256(str(marker.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    guard_file = Path(tempfile.gettempdir(), f"detboard-{name}.lock")
    # Anybody may have put something there: a link would lead to a file of this user's.
    way = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with suppress(OSError), os.fdopen(os.open(guard_file, way, 0o666), "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        holder = read_holder(marker)
        if holder is not None and holder.is_gone:
            marker.unlink()
