"""What a run costs beyond its work: what is done once for all jobs, and what waits until the next one has begun."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from command import TINY
from test_pause import Ended, Scripted, Told, completes

from benchmark import locks
from benchmark.experiment.experiment import Tracking
from benchmark.files import write_json
from benchmark.job import place
from benchmark.job.base import RunJob
from benchmark.job.measure import measuring
from benchmark.job.place import Place
from benchmark.launchers.base import HandsOver
from benchmark.run import provenance
from benchmark.run.devices import Room
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.record import Failure, RunRecord, State
from benchmark.run.state import Planned
from benchmark.sweep.base import Listed
from benchmark.sweep.loop import Sweep


def test_versions_are_looked_up_once_for_all_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def noted(name: str) -> str:
        asked.append(name)
        return metadata.version(name)

    provenance.versions.cache_clear()
    monkeypatch.setattr(provenance, "version", noted)
    assert provenance.versions() == provenance.versions()
    assert sorted(asked) == sorted(provenance.PACKAGES)


@dataclass
class Leaving(Ended):
    """A job that leaves its place at once, and ends when it is told to."""

    folder: RunFolder | None = None
    pipe: tuple[Connection, Connection] = field(default_factory=Pipe)
    done: bool = False
    heard: int = 0

    def has_left_place(self) -> bool:
        self.heard += 1
        return True

    def signs(self) -> list[Connection | int]:
        return [self.pipe[0]]

    def end(self) -> None:
        assert self.folder is not None
        completes(self.folder)
        self.done = True
        self.pipe[1].send_bytes(b"ended")

    def ended(self) -> bool:
        return self.done


@dataclass
class Handing(Scripted):
    """A launcher with one slot, whose jobs leave their places at once."""

    jobs: list[Leaving] = field(default_factory=list)
    told: list[JobOptions] = field(default_factory=list)

    def submit(self, path: Path, options: JobOptions) -> Leaving:
        self.submitted.append(path.name)
        self.told.append(options)
        self.jobs.append(Leaving(folder=RunFolder(path)))
        return self.jobs[-1]


@pytest.fixture(name="runs")
def fixture_runs(synthetic_data: Path, tmp_path: Path) -> Sequence[Planned]:
    """Three runs of one row."""
    seeds = (0, 1, 2)
    request = Request(TINY, tmp_path, data_root=synthetic_data, rows=("plain",), seeds=seeds)
    return make_plan(request).runs


def swept(launcher: Scripted, watcher: Told, source: Listed) -> list[Planned]:
    return Sweep(launcher, partial(JobOptions, Tracking(mode="off")), watcher).run(source)


def test_the_next_job_begins_where_one_has_left_its_place(runs: Sequence[Planned]) -> None:
    """One goes on beside it for each slot: the third waits for the end of the first."""
    launcher, seen = Handing(), []

    def look() -> None:
        seen.append((len(launcher.jobs), [job.done for job in launcher.jobs]))
        waiting = [job for job in launcher.jobs if not job.done]
        if waiting and len(launcher.jobs) > 1:
            waiting[0].end()

    ended = swept(launcher, Told(ticked=look), Listed(runs))
    assert isinstance(launcher.jobs[0], HandsOver)
    assert [run.record is not None for run in ended] == [True] * 3
    assert (2, [False, False]) in seen  # two live, with one slot
    assert not [done for count, done in seen if done.count(False) > 2]
    names = [run.folder.path.name for run in runs]
    assert launcher.submitted == names
    assert [options.beside for options in launcher.told] == [(), (names[0],), (names[1],)]
    assert launcher.pool.acquire(1) is not None  # each place was given back once
    assert launcher.pool.acquire(1) is None


def test_a_source_that_learns_from_ends_waits_for_them(runs: Sequence[Planned]) -> None:
    """As a study does: a trial that is asked for before the one before is told would be another."""
    launcher, most = Handing(), []

    class Learning(Listed):
        takes_early = False

    def look() -> None:
        waiting = [job for job in launcher.jobs if not job.done]
        most.append(len(waiting))
        if waiting:
            waiting[0].end()

    swept(launcher, Told(ticked=look), Learning(runs))
    assert max(most) == 1
    assert all(job.heard for job in launcher.jobs)  # or its word would keep the driver from dozing
    assert [options.beside for options in launcher.told] == [(), (), ()]


@pytest.fixture(name="free")
def fixture_free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is said to be free, in MiB: the last of these; the job had 1,000 at most."""
    free = [2000]
    monkeypatch.setattr(place, "memory_room", lambda: Room(4000, free[-1]))
    monkeypatch.setattr(place, "_peak_mib", lambda: 1000)
    return free


def test_a_place_is_left_where_the_next_job_has_room(free: list[int]) -> None:
    left: list[str] = []
    one = Place(lambda: left.append("left"), ())
    one.leave(on_gpu=True)  # its memory there is free when the process has ended
    free.append(900)
    one.leave(on_gpu=False)
    assert left == []
    free.append(1100)
    one.leave(on_gpu=False)
    assert left == ["left"]
    Place(None, ()).leave(on_gpu=False)  # nobody listens


def test_a_job_waits_until_those_beside_it_have_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path / "other")
    lock, seen = locks.acquire(folder.lock_file), []

    def end() -> None:
        seen.append("ended")
        lock.release()

    threading.Timer(0.2, end).start()
    Place(None, (folder.path, tmp_path / "gone")).wait_until_alone(lambda: None)
    assert seen == ["ended"]
    assert "waits for the end of other beside it" in capsys.readouterr().out


def test_a_job_waits_for_no_later_job_of_the_same_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job beside it met a full disk, and its run was started again elsewhere: that one trains for hours."""
    folder = RunFolder(tmp_path / "other")
    lock = locks.acquire(folder.lock_file)
    waiting = Place(None, (folder.path,))
    holder = folder.path / "job.lock.holder"
    another = json.loads(holder.read_text()) | {"pid": os.getppid()}
    holder.write_text(json.dumps(another))
    waiting.wait_until_alone(lambda: None)
    lock.release()
    assert capsys.readouterr().out == ""


class Measuring(RunJob):
    """A job that has nothing to do but what needs the machine alone."""

    def work(self) -> None:
        with self.alone():
            pytest.fail("it is not alone")

    def record(self, state: State, why: Failure | None) -> RunRecord:
        return self.outcome(state, why, now())


@pytest.mark.parametrize("state", [State.INTERRUPTED, State.PRUNED])
def test_a_job_that_waits_to_be_alone_leaves_when_it_is_asked_to(
    state: State, runs: Sequence[Planned], capsys: pytest.CaptureFixture[str]
) -> None:
    run, other, _ = runs
    prepare(run)
    lock = locks.acquire(other.folder.lock_file)
    resources = Resources(gpus=(), threads=1)
    options = JobOptions(Tracking(mode="off"), resources, beside=(other.folder.path.name,))
    job = Measuring(run.folder, options)
    stop = partial(write_json, run.folder.stop_file, {"state": state.value})
    threading.Timer(0.1, stop).start()
    job.run()
    lock.release()
    out = capsys.readouterr().out
    assert f"waits for the end of {other.folder.path.name} beside it" in out
    assert f"stopped early: {state.value}" in out
    record = run.folder.record_if_ended()
    assert (record and record.state) == (State.PRUNED if state is State.PRUNED else None)


def test_times_are_taken_first_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Evaluated:
        folder = RunFolder(Path("nowhere"))
        evaluation = type("Evaluation", (), {"image_ids": measuring.np.zeros(0)})()

    @contextmanager
    def alone() -> object:  # type: ignore[misc]
        done.append("waits")
        yield
        done.append("leaves")

    monkeypatch.setattr(measuring, "_wanted", lambda *_: list(measuring.MEASUREMENTS.values()))
    monkeypatch.setattr(measuring, "_measure", lambda one, *_: done.append(one.key))
    measuring.measure(Evaluated(), cost=True, alone=alone())  # type: ignore[arg-type]
    assert done[:3] == ["waits", "latency_ms", "leaves"]
    assert {*done[3:]} == measuring.MEASUREMENTS.keys() - {"latency_ms"}
