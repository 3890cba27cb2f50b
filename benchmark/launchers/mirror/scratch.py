"""Where a job works whose run's folder lies in a store: a folder of its node, which goes with the job."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark.home import is_private

_PREFIX = "detboard-job-"
_LOCK = "lock"


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """An empty run folder below ``TMPDIR``; whatever is in it at the end is removed, as is what a kill has left there.

    Args:
        name: The run's id.

    Raises:
        OSError: No temporary folder takes files.
    """
    _remove_left_behind(Path(tempfile.gettempdir()))
    root = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with (root / _LOCK).open("w") as lock:
        with suppress(OSError):  # without locks it stays after a kill
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = root / "runs" / name
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(root, ignore_errors=True)


def keep(path: Path) -> Path:
    """Moves a run folder away that is nowhere else; returns where it is then."""
    kept = Path(tempfile.gettempdir(), f"detboard-kept-{path.name}-{os.getpid()}")
    return path.rename(kept)


def _remove_left_behind(folder: Path) -> None:
    for root in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if not is_private(root.lstat()):  # another user's: a link to a file of this one's, say
                continue
            with (root / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(root, ignore_errors=True)
