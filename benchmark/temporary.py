"""The folder of temporary files: jobs need one that takes files, and whose name is short enough for a socket.

What is made in it goes away with who made it, or with the next to make some, where it was killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark.errors import MachineError, why
from benchmark.files import write_refused
from benchmark.home import is_private

VARIABLE = "TMPDIR"
OF_DRIVER = "DETBOARD_DRIVER_TMPDIR"
"""Names a folder that goes with the driver, to the server that its jobs are forked from."""
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")
# unix(7): an address has 108 bytes with the null at its end. multiprocessing puts its sockets into a folder of its own.
_LONGEST = 107 - len("/pymp-12345678/listener-12345678")
_LOCK = "lock"


@contextmanager
def held_folder(prefix: str) -> Iterator[Path]:
    """An empty folder below ``TMPDIR``, which goes with its context, as do those that processes left that were killed.

    Args:
        prefix: What its name begins with; those of one prefix are held and removed by this function alone.

    Raises:
        OSError: No temporary folder takes files.
    """
    root, lock = _hold(prefix)
    try:
        (work := root / "work").mkdir()
        yield work
    finally:
        shutil.rmtree(root, ignore_errors=True)
        os.close(lock)


@contextmanager
def made_in(folder: str | None) -> Iterator[None]:
    """What is made among temporary files meanwhile is made in a folder; where it usually is, if that is None."""
    before = tempfile.tempdir
    tempfile.tempdir = folder or before
    try:
        yield
    finally:
        tempfile.tempdir = before


def _hold(prefix: str) -> tuple[Path, int]:
    """Makes a folder and locks it; it has its name only then, so that nobody takes it for one that was left."""
    there = Path(tempfile.gettempdir())
    _remove_left_behind(there, prefix)
    made = Path(tempfile.mkdtemp(prefix=f".{prefix}"))
    lock = os.open(made / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    with suppress(OSError):  # without locks it stays after a kill
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return made.rename(there / made.name.removeprefix(".")), lock


def _remove_left_behind(there: Path, prefix: str) -> None:
    for root in there.glob(f"{prefix}*"):
        with suppress(OSError):
            if not is_private(root.lstat()):  # another user's: a link to a file of this one's, say
                continue
            with (root / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(root, ignore_errors=True)


def usable_tmpdir() -> list[str]:
    """Puts a folder that can be used into ``TMPDIR``, for this process and its jobs; says so where that is another.

    Raises:
        MachineError: There is none.
    """
    asked = os.environ.get(VARIABLE)
    used, reason = _found()
    if used == asked or (not asked and not reason):
        return []
    os.environ[VARIABLE] = tempfile.tempdir = used
    reason = reason or (_refusal(asked) if asked else "")
    return [f"{VARIABLE}={asked or ''}: {reason}; {used} is used"] if reason else []


def _found() -> tuple[str, str]:
    """The folder, and why it is not the one that Python would use; empty where it is."""
    try:
        used = tempfile.gettempdir()
    except FileNotFoundError as error:  # in its words, with the folders that were tried
        raise MachineError(
            "temporary files cannot be written",
            error,
            f"name a folder that takes them in {VARIABLE}",
        ) from None
    if len(os.fsencode(used)) <= _LONGEST:
        return used, ""
    reason = f"the name is too long for sockets, which take {_LONGEST} bytes"
    short = next((folder for folder in _SHORT if not _refusal(folder)), None)
    if short is None:
        raise MachineError(used, reason, f"name a shorter folder in {VARIABLE}")
    return short, reason


def _refusal(folder: str) -> str:
    """Why a folder takes no files; empty if it does."""
    refused = write_refused(folder)
    return why(refused) if refused is not None else ""
