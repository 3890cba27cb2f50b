"""Ending the processes of a job."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def kill_group(pid: int) -> None:
    """Ends a job's process and all that it started, at once; nothing happens where it is gone."""
    # The process by itself as well: a job that was just forked has no group of its own yet.
    for end in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def is_python(pid: int) -> bool:
    """Whether ``pid`` is a Python process, and not one that was given a dead job's number."""
    try:
        return b"python" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
