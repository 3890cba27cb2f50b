"""The folder that rows are tried out in: within ``runs/``, where every job can write, and gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark import locks
from benchmark.errors import not_written

_PREFIX, _LOCK = ".trying-", ".lock"


@contextmanager
def folder_for_tryouts(runs: Path) -> Iterator[Path]:
    """Makes a folder in that of the runs, held as long as this process lives.

    It is removed at the end, and so is that of the runs where it was not there before.

    Raises:
        UserError, MachineError: It cannot be made.
    """
    new = [folder for folder in (runs, *runs.parents) if not folder.exists()]
    try:
        runs.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=runs))
    except OSError as error:
        raise not_written(runs, error) from None
    lock = locks.acquire(made / _LOCK)
    try:
        yield made
    finally:
        lock.release()
        shutil.rmtree(made, ignore_errors=True)
        with suppress(OSError):  # somebody else has put something there meanwhile
            for folder in new:
                folder.rmdir()


def remove_tryouts(runs: Path) -> None:
    """Removes what try-outs that were killed have left."""
    for folder in runs.glob(f"{_PREFIX}*"):
        if (folder / _LOCK).exists() and not locks.is_held(folder / _LOCK):
            shutil.rmtree(folder, ignore_errors=True)
