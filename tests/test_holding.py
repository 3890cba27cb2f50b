"""A job holds its folder: by a lock on one machine, and on a cluster by a lease, over nodes that were given up."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import toy_rows
from command import TINY, Bench, variant, wait_until
from command import here as command_here
from leased_job import run_leased
from test_lease import leave
from test_locks import refuse, write_holder

from benchmark import locks
from benchmark.experiment.rows import RECIPES
from benchmark.files import append_jsonl, read_jsonl, write_json
from benchmark.job.holding import holding
from benchmark.job.made import MAKERS
from benchmark.job.several import GONE
from benchmark.job.told import leave_on_term
from benchmark.launchers.leased import LeaseHolder, lease_holder
from benchmark.launchers.living import lives, living_job, standing
from benchmark.launchers.local import LocalLauncher, _apart
from benchmark.lock_markers import marker_of
from benchmark.run import lease
from benchmark.run.address import write_address
from benchmark.run.folder import RunFolder
from benchmark.run.lease import glance, look
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.sweep.silence import _signs

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_POLL_S", 0.01)
    monkeypatch.setenv("DETBOARD_PATIENCE_S", "0.3")


@pytest.fixture(params=["locks", "no locks"])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system with locks, and one without."""
    if request.param == "no locks":
        monkeypatch.setattr(locks.fcntl, "flock", refuse(errno.EOPNOTSUPP))
    return str(request.param)


def names(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


class Jobs:
    """Processes of a test, which end with it."""

    def __init__(self) -> None:
        self._started: list[BaseProcess] = []

    def start(self, body: Callable[[], None]) -> BaseProcess:
        job = FORK.Process(target=body)
        job.start()
        return self.watched(job)

    def watched(self, job: BaseProcess) -> BaseProcess:
        self._started.append(job)
        return job

    def status_of(self, body: Callable[[], None]) -> int | None:
        job = self.start(body)
        job.join(30)
        return job.exitcode

    def end(self) -> None:
        for job in self._started:
            job.kill()
            job.join()


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    started = Jobs()
    yield started
    started.end()


def _hold(folder: RunFolder, leased: bool) -> Callable[[], None]:
    """Holds the folder until the process is killed."""

    def body() -> None:
        with holding(folder, leased):
            (folder.path / "begun").touch()
            time.sleep(60)

    return body


@pytest.fixture
def hold(folder: RunFolder, jobs: Jobs) -> Callable[[bool], BaseProcess]:
    """Starts a job that holds the folder."""

    def start(leased: bool) -> BaseProcess:
        job = jobs.start(_hold(folder, leased))
        wait_until((folder.path / "begun").exists, "the job")
        (folder.path / "begun").unlink()
        return job

    return start


def test_a_leased_job_has_a_lease_and_leaves_nothing(disk: str, folder: RunFolder) -> None:
    write_address(folder, "toy", "12")
    with holding(folder, leased=True):
        seen = look(folder.lease_file)
        assert seen is not None and seen.job == "12"
        assert lives(folder) and not marker_of(folder.lock_file).exists()
        assert not locks.is_held(folder.lock_file), (
            disk
        )  # it says nothing of a node that was given up
    assert not lives(folder)
    assert names(folder) == ["job.json", "job.lock"]


def test_a_lease_is_renewed_meanwhile(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_S", 0.3)
    with holding(folder, leased=True):
        first = look(folder.lease_file)
        assert first is not None
        wait_until(lambda: look(folder.lease_file) != first, "a renewal", 10)
        wait_until(lambda: glance(folder.lease_file) is not None, "a glance", 10)


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize("leased", [True, False])
def test_what_a_killed_job_of_another_node_leaves_is_taken_over_by_itself(
    leased: bool, folder: RunFolder
) -> None:
    leave(folder.lease_file, seconds=0.05)
    folder.lock_file.touch()
    write_holder(folder.lock_file.with_name("job.lock.holder"), by="lease")
    with holding(
        folder, leased
    ):  # a job without a lease, too: where one was left, another may live
        seen = look(folder.lease_file)
        assert seen is not None and seen.holder.pid == os.getpid()
    assert names(folder) == ["job.lock"]


def test_a_job_that_was_given_up_keeps_nobody_from_the_folder(
    hold: Callable[[bool], BaseProcess],
    folder: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(lease, "LEASE_S", 0.5)
    first = hold(True)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)  # it still has the lock
    began = time.monotonic()
    with holding(folder, leased=True):
        assert 0.4 < time.monotonic() - began < 30
        os.kill(first.pid, signal.SIGCONT)
        first.join(30)
        assert first.exitcode == GONE
        assert look(folder.lease_file) is not None
    told = capfd.readouterr().out.splitlines()
    assert f"another job (process {first.pid} on " in told[0]
    assert "this one waits until that has ended, or has not renewed its lease for 0.5 s" in told[0]
    assert f"the lease on this run's folder is lost (process {os.getpid()} on" in told[1]
    assert names(folder) == ["job.lock", "job.lock.holder"]
    assert not lives(folder)


def _lose_it_and_write(folder: RunFolder) -> Callable[[], None]:
    def body() -> None:
        with holding(folder, leased=True):
            append_jsonl(folder.metrics_file, {"iter": 1})
            leave(folder.lease_file)
            append_jsonl(folder.metrics_file, {"iter": 2})

    return body


def test_a_job_that_has_lost_its_folder_writes_nothing_before_it_is_told(
    folder: RunFolder, jobs: Jobs, capfd: pytest.CaptureFixture[str]
) -> None:
    assert jobs.status_of(_lose_it_and_write(folder)) == GONE  # renewed only in 10 s
    assert read_jsonl(folder.metrics_file) == [{"iter": 1}]
    lost = "is lost (process 1 on elsewhere, job 12 has it; this process last renewed it 0 s ago)"
    assert lost in capfd.readouterr().out
    left = look(folder.lease_file)
    assert left is not None and left.token == "theirs"


def test_a_job_that_only_its_lease_tells_of_ends_when_that_is_taken_away(
    hold: Callable[[bool], BaseProcess], folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_S", 1.5)
    job = hold(True)
    found = living_job(folder)
    assert found is not None and found.outlives_driver and not found.ended()
    assert (
        found.exit_text()
        == f"process {job.pid} on {os.uname().nodename}: it has let go of the folder"
    )
    assert found.cpu_seconds() is None and not found.met_fault()
    found.kill()
    assert found.ended()
    job.join(30)
    assert job.exitcode == GONE
    with holding(folder, leased=True):  # when the time of the lease is over
        assert lives(folder)


@pytest.mark.usefixtures("disk")
def test_a_job_without_a_lease_is_not_taken_for_gone(
    hold: Callable[[bool], BaseProcess], folder: RunFolder
) -> None:
    hold(False)
    with pytest.raises(locks.Held), holding(folder, leased=True):
        pass
    assert not folder.lease_file.exists()


def test_a_marker_of_a_job_without_a_lease_is_named(disk: str, folder: RunFolder) -> None:
    write_holder(marker_of(folder.lock_file), by="marker")
    advice = "process 1 on elsewhere; if that process is gone, remove"
    with pytest.raises(locks.Held, match=advice), holding(folder, leased=True):
        pass
    assert not folder.lease_file.exists(), disk


def wait_until_it_waits(capfd: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []

    def waits() -> bool:
        said.append(capfd.readouterr().out)
        return "holds this run's folder: this one waits" in "".join(said)

    wait_until(waits, "the word of the job that waits", 30)


def test_a_job_that_waits_leaves_where_a_user_ends_the_run(
    folder: RunFolder,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    leave(folder.lease_file)
    write_json(folder.stop_file, {"state": "interrupted", "again": True})  # the other's scheduler
    waiting = jobs.start(_hold(folder, True))
    wait_until_it_waits(capfd)
    time.sleep(0.1)
    assert waiting.is_alive()
    write_json(folder.stop_file, {"state": "interrupted"})
    waiting.join(30)
    assert waiting.exitcode == 0
    assert not (folder.path / "begun").exists()
    # Of several that train together the others would wait for it.
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert jobs.status_of(_hold(folder, True)) == GONE


def test_a_job_that_waits_is_ended_by_its_scheduler_alone(
    folder: RunFolder, jobs: Jobs, capfd: pytest.CaptureFixture[str]
) -> None:
    leave(folder.lease_file)

    def body() -> None:
        leave_on_term(folder)
        _hold(folder, True)()

    waiting = jobs.start(body)
    wait_until_it_waits(capfd)
    waiting.terminate()
    waiting.join(30)
    assert waiting.exitcode == -signal.SIGTERM
    assert names(folder) == ["lease.json"]  # the other goes on
    folder.lease_file.unlink()
    begun = jobs.start(body)
    wait_until((folder.path / "begun").exists, "the job")
    begun.terminate()
    wait_until(folder.stop_file.exists, "the word")  # it is asked itself again


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nothing")])
def test_what_lies_in_the_place_of_a_lease_is_named_and_waited_for_by_nobody(
    put: Callable[[Path], object],
    folder: RunFolder,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    put(folder.lease_file)
    assert jobs.status_of(_hold(folder, True)) == 1
    told = capfd.readouterr()
    assert "something else lies in the place of lease.json; move its folder away" in told.out
    assert "Traceback" not in told.err
    assert lease_holder(folder) is None
    assert LeaseHolder(folder, "a job of another node").ended()
    folder.lease_file.rename(folder.path / "gone")
    monkeypatch.setattr(lease, "LEASE_S", 0.3)

    def loses_it() -> None:
        with holding(folder, leased=True):
            folder.lease_file.unlink()
            put(folder.lease_file)
            time.sleep(60)

    assert jobs.status_of(loses_it) == GONE
    assert "is lost (something else lies in its place: " in capfd.readouterr().out


def test_a_lease_is_no_sign_of_life(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_S", 0.3)
    with holding(folder, leased=True):
        before, first = _signs(folder.path), look(folder.lease_file)
        wait_until(lambda: look(folder.lease_file) != first, "a renewal", 10)
        glance(folder.lease_file)
        assert _signs(folder.path) == before


@pytest.fixture
def bench(tmp_path: Path, synthetic_data: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An experiment of a row that needs no training."""
    monkeypatch.setitem(RECIPES, "truth", toy_rows.TruthRecipe)
    monkeypatch.setitem(MAKERS, "truth", "toy_rows:from_truth")
    rows = [{"name": "near", "truth": 1.0}]
    experiment = variant(tmp_path, lambda content: content.update(rows=rows))
    return Bench(synthetic_data, tmp_path / "results", experiment)


def prepared(bench: Bench, **request: Any) -> RunFolder:
    """The folder of the experiment's first run, ready to start."""
    asked = Request(bench.experiment, bench.results, data_root=bench.data, **request)
    run = make_plan(asked).runs[0]
    prepare(run)
    return run.folder


@pytest.mark.slow
def test_a_job_that_nobody_can_be_asked_of_is_known_by_its_lease(bench: Bench) -> None:
    folder = prepared(bench)
    write_json(folder.job_file, {"launcher": "of another site", "job": "12", "host": "elsewhere"})
    leave(folder.lease_file, seconds=600)
    found = standing(folder)
    assert found is not None
    assert (found.queued, found.words) == (False, "process 1 on elsewhere, job 12, by its lease")
    assert "running" in bench.here("plan").stdout
    name = folder.path.name
    runs = [["rm", name], ["list"], ["stop", name]]
    removed, listed, stopped = (
        command_here(["runs", *verb, "--results", str(bench.results)]) for verb in runs
    )
    assert removed.returncode == 2 and "is running" in removed.stderr
    assert "running" in listed.stdout and stopped.returncode == 0
    folder.stop_file.unlink()
    # The sweep waits for it, and goes on with its run when it is gone.
    leave(folder.lease_file, seconds=1)
    done = bench.here("sweep", "--launcher", "inprocess", "--wandb", "off")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "its lease has run out; it is queued again" in done.stdout
    assert folder.read_record().state == "complete"
    assert not folder.lease_file.exists()
    _check_leftovers_go(bench, folder)
    _check_it_is_moved(bench, folder)


def _check_leftovers_go(bench: Bench, folder: RunFolder) -> None:
    # A job that was killed between its record and its end.
    leave(folder.lease_file)
    assert "nothing to do" in bench.here("sweep", "--wandb", "off").stdout
    assert folder.lease_file.exists()
    leave(folder.lease_file, seconds=0)
    bench.here("sweep", "--wandb", "off")
    assert not folder.lease_file.exists()


def _check_it_is_moved(bench: Bench, folder: RunFolder) -> None:
    bench.experiment.write_text(bench.experiment.read_text().replace("near", "by"))
    moving = ["runs", "mv", str(bench.experiment), "near", "by", "--results", str(bench.results)]
    leave(folder.lease_file)
    assert "is running; end it first" in command_here(moving).stderr
    folder.record_file.unlink()  # whose lease would be removed before
    leave(folder.lease_file, seconds=0)
    done = command_here(moving)
    assert done.returncode == 0, done.stderr
    assert RunFolder(bench.folder("by")).spec_file.exists()
    assert not RunFolder(bench.folder("by")).lease_file.exists()


LEASE_S = 4.0


def _train(folder: RunFolder) -> BaseProcess:
    """A process of one that has loaded all, and has run nothing: forks of this one would wait for its threads."""
    launcher = LocalLauncher(1)
    process = launcher._context.Process(target=run_leased, args=(str(folder.path), LEASE_S))
    with _apart():
        process.start()
    return process


def _content(folder: RunFolder) -> dict[str, str]:
    """What lies in the folder, but for the log."""
    files = (path for path in folder.path.rglob("*") if path.is_file() and path.name != "log.txt")
    return {
        str(path.relative_to(folder.path)): sha256(path.read_bytes()).hexdigest() for path in files
    }


def _check_it_went_on(folder: RunFolder, reached: int) -> None:
    points = read_jsonl(folder.metrics_file)
    trained = [point["iter"] for point in points if point["kind"] == "train"]
    assert trained == sorted(set(trained)) and len(points) > reached
    starts = [point["iter"] for point in points if point["kind"] == "start"]
    assert len(starts) == 2 and starts[1] > 0
    assert [start["reached"] != "" for start in read_jsonl(folder.starts_file)] == [False, True]


@pytest.mark.slow
@pytest.mark.trains
def test_a_node_that_was_given_up_and_comes_back_writes_nothing_more(
    synthetic_data: Path, tmp_path: Path, jobs: Jobs
) -> None:
    tiny = Bench(synthetic_data, tmp_path / "results", TINY)
    folder = prepared(tiny, rows=("plain",), overrides={"train_cfg.max_epochs": 6})
    first = jobs.watched(_train(folder))
    wait_until((folder.checkpoints / "epoch_1.pth").exists, "a checkpoint")
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    reached = len(read_jsonl(folder.metrics_file))
    assert lives(folder)
    second = jobs.watched(_train(folder))
    second.join(120)
    assert second.exitcode == 0
    assert folder.read_record().state == "complete"
    assert not lives(folder) and living_job(folder) is None  # though the first has the lock
    _check_it_went_on(folder, reached)
    before = _content(folder)
    os.kill(first.pid, signal.SIGCONT)
    first.join(60)
    assert first.exitcode == GONE
    assert {name: _content(folder)[name] for name in before} == before
    assert [name for name in _content(folder) if name not in before and name[-4:] != ".tmp"] == []
    told = [line for line in folder.log_file.read_text().splitlines() if "the lease on" in line]
    assert len(told) == 1 and "it is gone; this process last renewed it" in told[0]
