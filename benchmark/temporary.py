"""The folder of temporary files: jobs need one that takes files, and whose name is short enough for a socket."""

from __future__ import annotations

import os
import tempfile

from benchmark.errors import MachineError, why
from benchmark.files import write_refused

VARIABLE = "TMPDIR"
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")
# unix(7): an address has 108 bytes with the null at its end. multiprocessing puts its sockets into a folder of its own.
_LONGEST = 107 - len("/pymp-12345678/listener-12345678")


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
