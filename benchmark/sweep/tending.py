"""Ends runs early and removes run folders, by their ids.

All that is wrong with the ids is said before anything is done.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.errors import UserError, attempt, nearest
from benchmark.launchers.living import is_out_of_reach, lives
from benchmark.run.folder import RunFolder
from benchmark.run.record import State
from benchmark.run.runs import Runs
from benchmark.sweep.ending import end_job
from benchmark.sweep.holders import has_driver, only_driver
from benchmark.sweep.tidying import LEAVING


def stop(on_disk: Runs, ids: Sequence[str], as_is: bool, told: Callable[[str, str], None]) -> None:
    """Ends runs early: their jobs are asked to, and those that are queued taken out of the queue.

    Args:
        on_disk: The runs.
        ids: Their ids.
        as_is: Whether they are recorded as ``pruned``, also those that no job works on; else the next sweep goes on
            with them.
        told: Hears of each run, and in words what was done: see `benchmark.sweep.ending.end_job`.

    Raises:
        UserError: With every id that is no run's, and every run that cannot be ended.
    """
    state = State.PRUNED if as_is else State.INTERRUPTED
    for folder in _folders(on_disk, ids, _ended if as_is else _idle):
        told(folder.path.name, end_job(folder, state.value))


def remove(on_disk: Runs, ids: Sequence[str], told: Callable[[str], None]) -> None:
    """Removes run folders, damaged ones too; ``told`` hears of each that is gone.

    Raises:
        UserError: With every id that is no run's, and every run that a job works on; or a sweep or study works on the
            results folder.
    """
    _folders(on_disk, ids, busy)
    with only_driver(on_disk.results, makes_room=True):
        for folder in _folders(on_disk, ids, busy):
            discard(folder.path)
            told(folder.path.name)


def discard(path: Path) -> None:
    """Removes a run folder: it is gone as a whole, in one step, before its files are removed."""
    leaving = path.parent / LEAVING
    shutil.rmtree(leaving, ignore_errors=True)  # of one that was killed
    leaving.mkdir()
    gone = path.rename(leaving / path.name)
    if gone.is_symlink():
        gone.unlink()
    shutil.rmtree(leaving)


def _folders(
    on_disk: Runs, ids: Sequence[str], objection: Callable[[RunFolder], str]
) -> list[RunFolder]:
    """The folders of some ids, each once.

    Raises:
        UserError: With every id that is no run's, and every objection.
    """
    problems: list[str] = []
    found = [attempt(problems, folder_of, on_disk, run_id) for run_id in dict.fromkeys(ids)]
    folders = [folder for folder in found if folder is not None]
    problems += [why for folder in folders if (why := objection(folder))]
    if problems:
        raise UserError(problems)
    return folders


def folder_of(on_disk: Runs, run_id: str) -> RunFolder:
    """The folder of a run that is there, damaged or not.

    Raises:
        UserError: There is none.
    """
    folder = on_disk.folder(run_id)
    is_name = bool(run_id) and run_id == Path(run_id).name and not run_id.startswith(".")
    if is_name and folder.path.is_dir():
        return folder
    hint = nearest(run_id, on_disk.ids())
    where = on_disk.results / "runs"
    raise UserError(f"{run_id}: no such run in {where}, see 'detboard runs list'{hint}")


def _ended(folder: RunFolder) -> str:
    """Why a run cannot be recorded as it is; empty if it can."""
    if folder.finished:
        return f"{folder.path.name}: it has ended"
    folder.read_spec()  # which says what it is
    return ""


def _idle(folder: RunFolder) -> str:
    if lives(folder) or is_out_of_reach(folder):
        return ""
    why = "it has ended" if folder.finished else "no job works on it"
    if not folder.finished and has_driver(folder.path.parents[1]):
        why += " yet: a sweep or study has the results folder, and may be starting one; try again in a moment"
    return f"{folder.path.name}: is not running, {why}"


def busy(folder: RunFolder) -> str:
    """Why a run can be neither removed nor renamed now; empty if it can."""
    name = folder.path.name
    return f"{name}: is running; end it first: detboard runs stop {name}" if lives(folder) else ""
