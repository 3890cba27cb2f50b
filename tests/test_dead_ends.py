"""Jobs of a cluster that end before DetBoard begins in them: the sweep says why, and sends no others after them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from command import TINY
from rich.console import Console
from test_cut_off import Lost, Queue
from test_pause import completes

from benchmark.errors import MachineError
from benchmark.experiment.experiment import Tracking
from benchmark.launchers import Job
from benchmark.launchers.places import Places
from benchmark.run.address import write_address
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.record import State
from benchmark.run.standing import Standing
from benchmark.run.starts import note_start
from benchmark.run.state import Planned
from benchmark.sweep.base import Listed
from benchmark.sweep.loop import Sweep
from benchmark.sweep.progress import SweepProgress
from benchmark.sweep.watchers import LineWatcher

Act = Callable[[RunFolder], Job]


@pytest.fixture
def runs(synthetic_data: Path, tmp_path: Path) -> Sequence[Planned]:
    """Six runs, of two rows."""
    request = Request(TINY, tmp_path / "results", data_root=synthetic_data, seeds=(0, 1, 2))
    return make_plan(request).runs


def swept(runs: Sequence[Planned], slots: int, *acts: Act) -> tuple[Queue, list[State], str, str]:
    """The launcher, how the runs ended, what was said, and the error at the end."""
    launcher, console = Queue(list(acts)), Console(record=True, width=300)
    launcher.pool = Places(slots, threads=1, has_gpus=False)
    watcher = LineWatcher(console, SweepProgress(len(runs)))
    sweep, error = Sweep(launcher, partial(JobOptions, Tracking(mode="off")), watcher), ""
    ended: list[State] = []
    try:
        ended = [run.state for run in sweep.run(Listed(runs))]
    except MachineError as end:
        error = str(end)
    return launcher, ended, console.export_text(), error


def dies(folder: RunFolder) -> Job:
    write_address(folder, "queue", "7")
    folder.log_file.write_text("one\nslurm_script: line 9: module: command not found\n")
    return Lost(why="")


def begins(folder: RunFolder) -> Job:
    note_start(folder, "job 8")
    return completes(folder)


@dataclass
class Waits(Lost):
    """A job that is queued until it is killed."""

    why: str = ""
    killed: bool = False

    def ended(self) -> bool:
        return self.killed

    def standing(self) -> Standing:
        return Standing(queued=True, words="job 9: Resources")

    def kill(self) -> None:
        self.killed = True


@dataclass
class Slow(Lost):
    """A job that runs for some looks before it begins, and then is complete."""

    folder: RunFolder | None = None
    looks: int = 4
    why: str = ""

    def ended(self) -> bool:
        self.looks -= 1
        if self.looks == 1 and self.folder is not None:
            begins(self.folder)
        return self.looks <= 0


class Later(Slow):
    """As it is, after some time in the queue."""

    def standing(self) -> Standing:
        return Standing(queued=self.looks > 1)


def test_the_first_one_stops_the_sweep_and_says_what_to_do(runs: Sequence[Planned]) -> None:
    launcher, _, said, error = swept(runs, 1, dies)
    assert len(launcher.submitted) == 1
    assert said.count("its job ended before DetBoard began: its log ends:") == 1
    assert "\n    slurm_script: line 9: module: command not found" in said
    assert "and so would those of other runs: job 7: NODE_FAIL; a batch job reads no" in error
    assert "'detboard doctor --launcher queue' tries that with one job" in error
    assert swept(runs[1:2], 1, dies)[3], "of the last run, too"


def test_jobs_that_are_queued_are_not_left_to_the_same_end(runs: Sequence[Planned]) -> None:
    waits: list[Waits] = []

    def queued(_folder: RunFolder) -> Job:
        waits.append(Waits())
        return waits[-1]

    launcher, _, said, error = swept(runs, 4, dies, queued, queued, queued)
    assert len(launcher.submitted) == 4
    assert all(job.killed for job in waits)
    assert said.count("its job ended before DetBoard began") == 1
    assert said.count("lost (its job was ended before it began, for that of plain-s0") == 3
    assert "a batch job reads no" in error, "of the first, not of those that were ended"


def test_one_that_is_refused_ends_no_other(runs: Sequence[Planned]) -> None:
    """What asks for something else, the scheduler has taken."""

    def refused(folder: RunFolder) -> Job:
        write_address(folder, "queue", "")
        return Lost(why="")

    _, ended, _, error = swept(runs, 2, refused, lambda folder: Later(folder=folder))
    assert not error
    assert sorted(ended) == sorted([State.LOST, *[State.COMPLETE] * 5])
    assert swept(runs[:1], 1, refused)[3].count("the scheduler did not take it") == 1


def test_one_that_dies_on_a_bad_node_ends_no_sweep(runs: Sequence[Planned]) -> None:
    _, ended, said, error = swept(runs, 2, dies, lambda folder: Slow(folder=folder))
    assert not error
    assert sorted(ended) == sorted([State.LOST, *[State.COMPLETE] * 5])
    assert "other jobs have begun: going on" in said


def test_one_that_had_begun_when_it_was_found_is_none(runs: Sequence[Planned]) -> None:
    """A driver that comes later counts no start of it."""
    run = runs[0]

    def found(folder: RunFolder) -> Job:
        return Lost(why="")

    prepare(run)
    write_address(run.folder, "queue", "7")
    note_start(run.folder, "job 7")
    _, ended, _, error = swept([run], 1, found)
    assert (ended, error) == ([State.LOST], "")


def test_a_node_that_swallows_jobs_ends_the_sweep_at_the_third(runs: Sequence[Planned]) -> None:
    launcher, _, said, error = swept(runs, 1, begins, dies, dies, dies)
    assert len(launcher.submitted) == 4
    assert "module: command not found" in said
    assert "its job ended before DetBoard began in it" in error


def test_two_of_them_between_others_end_no_sweep(runs: Sequence[Planned]) -> None:
    acts = (begins, dies, dies, begins, dies, dies)
    launcher, ended, _, error = swept(runs, 1, *acts)
    assert not error
    assert (len(launcher.submitted), ended.count(State.LOST)) == (6, 4)
