"""Clears away what killed processes have left in a results folder, finished runs and boards included."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from benchmark import locks
from benchmark.files import TEMPORARY, is_file, remove_leftovers
from benchmark.leaderboard.beside import remove_leftovers_of_boards
from benchmark.run import checkpoints
from benchmark.run.folder import Damaged, RunFolder
from benchmark.run.lease import glance
from benchmark.run.record import State
from benchmark.sweep.trying import remove_tryouts

# Folders within runs/ for a moment: no run is there, whatever a kill leaves in them.
COMING, LEAVING = ".coming", ".leaving"
_LEFT = re.compile(
    r"mmengine|stop|lease\.json|(left_epoch_\d+_)?(epoch|iter)_\d+\.pth"
    rf"|{checkpoints.SELECTED}_.*|.*{re.escape(TEMPORARY)}"
)


def tidy(results: Path) -> None:
    """Removes what nobody needs or writes any more: the caller is the folder's one driver.

    That are temporary files beside runs, boards and studies, and of finished runs what a job that was killed between
    its record and its end has left: checkpoints to resume from, mmengine's folder, a ``stop``. Folders of unfinished
    runs are seen to when they are gone on with. What cannot be removed stays.
    """
    remove_leftovers_of_boards(results)
    runs = results / "runs"
    for folder in (runs, *(path for path in (results / "studies").glob("*") if path.is_dir())):
        remove_leftovers(folder)
    for left in (COMING, LEAVING):
        shutil.rmtree(runs / left, ignore_errors=True)
    remove_tryouts(runs)
    for name in _folders(runs):
        with suppress(OSError, Damaged):
            if _holds_leftovers(name):
                _tidy(RunFolder(Path(name)))


def _folders(runs: Path) -> list[str]:
    with os.scandir(runs) as entries:
        return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def _tidy(folder: RunFolder) -> None:
    # A job that has just written its record may still be at it.
    if not is_file(folder.record_file) or _is_held(folder):
        return
    record = folder.read_record()  # of a damaged one nobody knows how it ended
    # A link may lead to another's checkpoints: a results folder may have come from anywhere.
    if record.state is not State.FAILED and not folder.checkpoints.is_symlink():
        checkpoints.remove_all_but_final(folder.checkpoints)
    shutil.rmtree(folder.path / "mmengine", ignore_errors=True)
    for left in (folder.stop_file, folder.lease_file):
        left.unlink(missing_ok=True)
    remove_leftovers(folder.path, deep=True)


def _is_held(folder: RunFolder) -> bool:
    return locks.is_held(folder.lock_file) or glance(folder.lease_file) is not None


def _holds_leftovers(folder: str) -> bool:
    """Whether a finished run's folder holds what a job removes at its end, by the names in it alone.

    With texts for paths: it is asked of ten thousand folders where there is nothing else to do.
    """
    names = os.listdir(folder)  # noqa: PTH208
    if "record.json" not in names:
        return False
    if "checkpoints" in names:
        names += os.listdir(f"{folder}/checkpoints")  # noqa: PTH208
    return any(map(_LEFT.fullmatch, names))
