"""Runs that share a device: who is told of whom, and what becomes of one that finds no memory there."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.errors import told
from benchmark.job.given_up import give_up
from benchmark.launchers import Pool
from benchmark.launchers.fitting import FittingPool
from benchmark.launchers.local import exit_text
from benchmark.launchers.machine import MachinePool
from benchmark.run.accumulation import Accumulation, read_accumulation, write_accumulation
from benchmark.run.company import note_company
from benchmark.run.folder import RunFolder
from benchmark.run.memory import Lack, read_memory
from benchmark.run.options import JobOptions, Resources
from benchmark.run.record import FailureKind, State
from benchmark.run.state import Planned
from benchmark.sweep.base import Watcher
from benchmark.sweep.progress import name_of

if TYPE_CHECKING:
    from benchmark.sweep.loop import Active


class Crowding:
    """Starts runs again that found no memory: alone, and then with batches that go through the model in parts.

    Only where who shares a device is found by what runs take: a fixed number of slots is the user's word.

    Args:
        watcher: Sees it.
        options: What a job is told.

    Attributes:
        runs: Those that wait to be started again, each alone on its device.
    """

    def __init__(self, watcher: Watcher, options: Callable[[Resources], JobOptions]) -> None:
        self._watcher = watcher
        self._options = options
        self.runs: list[Planned] = []

    def tell_company(self, new: Active, others: Sequence[Active], pool: Pool) -> None:
        """Notes in the folders of runs on one device of this machine how many they are, now that one more began."""
        if isinstance(pool, FittingPool):
            pool.say = self._watcher.say
        if not isinstance(pool, MachinePool):
            return  # a scheduler knows who shares a node
        there = [new, *(other for other in others if _share(new, other))]
        for one in there:
            beside = sum(_share(one, other) for other in there) - 1
            try:
                note_company(one.run.folder.company_file, beside)
            except OSError as error:  # its job meets it, too, and is started again then
                self._watcher.say(
                    f"{name_of(one.run)}: not noted that {beside} others share its device: {told(error)}"
                )

    def puts_back(self, active: Active, pool: Pool) -> bool:
        """Whether a job that has ended found no memory, and its run waits to be started again.

        One that cannot go on is given up: its record says what would help.
        """
        folder = active.run.folder
        if not isinstance(pool, FittingPool) or folder.finished:
            return False
        said = read_memory(folder.memory_file)
        lack = said.lack if said else None
        why = "out of memory" if lack else _killed(active)
        if why and pool.has_shared(active.resources):
            pool.set_apart(active.resources)
            return self._again(active.run, f"{why} beside others; it is started again alone")
        if lack is None or self._has_given_up(active, lack):
            return False
        return self._again(active.run, _halve(folder, lack))

    def _has_given_up(self, active: Active, lack: Lack) -> bool:
        """Whether no division of its batches helps a run: it is recorded then."""
        if not lack.whole and lack.images > 1:
            return False
        cause = f"{lack.message} (nothing ran beside it, and {_no_help(lack)})"
        options = self._options(active.resources)
        give_up(active.run.folder.path, options, cause, kind=FailureKind.OOM)
        return True

    def _again(self, run: Planned, why: str) -> bool:
        self._watcher.put_back(run, why)
        self.runs.append(replace(run, state=State.LOST, record=None, outdated=False))
        return True


def _killed(active: Active) -> str:
    """That nobody but the system has ended a job, which takes what holds most where the machine's memory ends."""
    asked = active.run.folder.stop_file.exists()
    killed = not asked and active.job.exit_text() == exit_text(-signal.SIGKILL)
    return "killed by the system, for want of memory perhaps," if killed else ""


def _share(one: Active, other: Active) -> bool:
    """Whether two runs are on one GPU, or both on the CPUs."""
    ours, theirs = one.resources.gpus, other.resources.gpus
    return bool({*ours} & {*theirs}) if ours else not theirs


def _halve(folder: RunFolder, lack: Lack) -> str:
    """Has a run go on with half as many images at once; in words."""
    known = read_accumulation(folder.accumulation_file)
    now = (known or Accumulation(lack.batch, lack.images)).halved
    write_accumulation(folder.accumulation_file, now)
    return f"out of memory with {lack.images} images at once and no run beside it; it goes on with {now.images} at once"


def _no_help(lack: Lack) -> str:
    """Why no division of its batches helps a run, and what does."""
    if lack.images == 1:
        return "one image at once finds no memory either: make images or the model smaller"
    smaller = f"; try train_dataloader.batch_size={lack.batch // 2}" if lack.batch > 1 else ""
    return f"its batches cannot go through the model in parts: {lack.whole}{smaller}"
