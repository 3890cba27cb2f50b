"""A sweep whose jobs meet a fault of the machine: it starts no further ones, waits, and goes on with the same runs."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmark.errors import MachineError, may_be_full, remedy
from benchmark.files import write_refused
from benchmark.run.state import Planned

# What a job can write that has just met a full disk may be small, and a checkpoint is not: of ConvNeXt-large 2.5 GB.
_AMPLE_BYTES = 10 * 2**30
_MORE = 1.1
_FEW_FILES = 1000
_MORE_FILES = 16
_MOST_TRIES = 3
PROBE = 64 * 1024  # bytes
_LOOK_AGAIN_S = 1.0


class Pause:
    """Runs whose jobs have met a fault of the machine, until the results folder takes writes again.

    Args:
        say: Shows a line to the user.
        patience_s: Seconds to wait while no job runs.
    """

    def __init__(self, say: Callable[[str], None], patience_s: float) -> None:
        self._say = say
        self._patience_s = patience_s
        self._runs: list[Planned] = []
        self._tries: Counter[str] = Counter()
        self._since: float | None = None
        self._next_look = 0.0
        self._free = 0
        self._files: int | None = None
        self._refusal: OSError | None = None

    @property
    def lasts(self) -> bool:
        """Whether no job is to be started."""
        return self._since is not None

    @property
    def runs(self) -> list[Planned]:
        """The runs that were put back, in the order in which they met the fault."""
        return self._runs

    def put_back(self, run: Planned, cause: str) -> None:
        """Takes a run that is to be started again, and begins the pause.

        There is none where the results folder takes writes and the fault was met elsewhere: nobody knows when that
        ends, and the run is tried again.

        Raises:
            MachineError: It has met a fault so often that another try would not help.
        """
        self._runs.append(run)
        self._tries[run.spec.run_id] += 1
        folder = run.folder.path.parent
        self._refusal = write_refused(folder, PROBE)
        if self._tries[run.spec.run_id] >= _MOST_TRIES:
            raise _ended(f"{run.spec.run_id}: {_MOST_TRIES} times a job could not go on", cause)
        if self._refusal is None and not may_be_full(cause, folder):
            return
        if self._since is None:
            self._since, self._free = time.monotonic(), _free(folder)
            self._files = _few_files(folder)
            self._say(
                f"paused: jobs cannot write to {folder} ({_room(folder)}): none is started; waiting up to "
                f"{self._patience_s:g} s for this to end"
            )

    def look(self, jobs_run: bool) -> None:
        """Ends the pause if the results folder takes writes again.

        Raises:
            MachineError: It has not for as long as patience lasts, and no job runs.
        """
        if self._since is None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_AGAIN_S
        folder = self._runs[0].folder.path.parent
        if self._takes_writes(folder):
            self._since = None
            self._say(f"{folder} takes writes again: going on")
        elif not jobs_run and time.monotonic() - self._since > self._patience_s:
            cause = self._refusal or f"disk full ({_room(folder)})"
            raise _ended(f"{folder}: jobs cannot write there", cause)

    def _takes_writes(self, folder: Path) -> bool:
        before, self._refusal = self._refusal, write_refused(folder, PROBE)
        if self._refusal is not None:
            return False
        # The small write was taken all the time: only more room than there was then helps.
        if before is not None or self._has_room_for_files(folder):
            return True
        return _free(folder) >= min(_AMPLE_BYTES, self._free * _MORE + PROBE)

    def _has_room_for_files(self, folder: Path) -> bool:
        """Whether files were what there was no room for, and there is some now."""
        if self._files is None:
            return False
        now = _few_files(folder)
        return now is None or now >= self._files * _MORE + _MORE_FILES


def _ended(what: str, cause: BaseException | str) -> MachineError:
    do = remedy(cause) if isinstance(cause, OSError) else "make room"
    return MachineError(
        what, cause, f"finished runs stay as they are: {do}, and give the same command again"
    )


def _free(folder: Path) -> int:
    """Bytes that are free on a folder's file system; 0 where it does not say."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _few_files(folder: Path) -> int | None:
    """How many further files a file system has room for; None where they are many, or not counted."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_favail if found.f_files and found.f_favail < _FEW_FILES else None


def _room(folder: Path) -> str:
    room, files = f"{_free(folder) / 2**20:,.1f} MiB free", _few_files(folder)
    return room if files is None else f"{room}, but inodes for {files} further files alone"
