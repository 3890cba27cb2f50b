"""Kill anything at any moment: the same command again ends with the same set of records."""

from __future__ import annotations

import math
import os
import signal
import subprocess
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from command import Bench, alive, job_pid, kill_group, run, wait_until

from benchmark import locks

pytestmark = pytest.mark.trains

# Long enough to be caught in the middle, with a checkpoint after every epoch.
EPOCHS = 6
LONG = ("--set", f"train_cfg.max_epochs={EPOCHS}", "--wandb", "off")


@pytest.fixture
def bench(synthetic_data: Path, tmp_path: Path) -> Bench:
    return Bench(synthetic_data, tmp_path / "results")


def _validated(bench: Bench, row: str, times: int) -> Callable[[], bool]:
    def enough() -> bool:
        folders = list(bench.results.glob(f"runs/{row}-s*"))
        return bool(folders) and len(bench.points(row, "val")) >= times

    return enough


def _last_trained(bench: Bench, row: str) -> dict[str, Any]:
    """The point of the iteration that a run was left at; at an epoch's end that of the training says it already."""
    return max(
        (p for kind in ("train", "stop") for p in bench.points(row, kind)), key=itemgetter("iter")
    )


def _start_and_wait(bench: Bench, row: str, times: int) -> subprocess.Popen[str]:
    driver = bench.start("sweep", *LONG)
    wait_until(_validated(bench, row, times), f"{times} validations of {row}")
    return driver


def _assert_whole(bench: Bench, row: str) -> None:
    """Every epoch was validated once, and every iteration stands in the journal once."""
    assert bench.record(row)["state"] == "complete"
    assert [point["epoch"] for point in bench.points(row, "val")] == list(range(1, EPOCHS + 1))
    steps = [point["iter"] for point in bench.points(row, "train")]
    assert steps == sorted(set(steps))


def test_killed_job_is_continued_by_the_next_sweep(bench: Bench) -> None:
    driver = _start_and_wait(bench, "plain", 2)
    os.kill(job_pid(bench.folder("plain")), signal.SIGKILL)
    output, _ = driver.communicate(timeout=200)
    assert driver.returncode == 1
    assert "killed by signal 9" in output
    assert "momentum-s0" in output
    _assert_whole(bench, "momentum")  # the sweep went on with the other row
    untouched = (bench.folder("momentum") / "record.json").stat().st_mtime_ns

    name = bench.folder("plain").name
    assert "lost" in bench.here("plan", *LONG[:2]).stdout
    again = bench.here("sweep", *LONG)
    assert again.returncode == 0, again.stdout + again.stderr
    assert bench.folder("plain").name == name
    _assert_whole(bench, "plain")
    starts = bench.points("plain", "start")
    assert len(starts) == 2
    assert starts[1]["iter"] > 0
    assert bench.record("plain")["started_at"] == starts[0]["time"]
    assert (bench.folder("momentum") / "record.json").stat().st_mtime_ns == untouched


def test_killed_driver_takes_its_job_along(bench: Bench) -> None:
    driver = _start_and_wait(bench, "momentum", 1)
    plain = (bench.folder("plain") / "record.json").stat().st_mtime_ns
    job = job_pid(bench.folder("momentum"))
    driver.kill()
    driver.wait()
    _assert_job_ends(bench, job)
    _assert_goes_on_with_momentum(bench, plain)


def test_killed_group_is_continued_from_the_checkpoint_before_a_damaged_one(bench: Bench) -> None:
    driver = _start_and_wait(bench, "momentum", 3)
    plain = (bench.folder("plain") / "record.json").stat().st_mtime_ns
    job = job_pid(bench.folder("momentum"))
    kill_group(driver)
    _assert_job_ends(bench, job)
    folder = bench.folder("momentum") / "checkpoints"
    newest, before, *_ = sorted(folder.glob("epoch_*.pth"), reverse=True)
    os.truncate(newest, newest.stat().st_size // 2)
    half_written = folder / ".epoch_9.pth.x1y2z3.tmp"
    half_written.write_bytes(b"PK")
    _assert_goes_on_with_momentum(bench, plain)
    assert not half_written.exists()
    continued_from = bench.points("momentum", "start")[1]["iter"]
    assert continued_from == int(before.stem.removeprefix("epoch_")) * 6


def _assert_job_ends(bench: Bench, job: int) -> None:
    """The job of ``momentum`` notices that its driver is gone, and leaves no record."""
    wait_until(lambda: not alive(job), "the job to notice", 30)
    assert not (bench.folder("momentum") / "record.json").exists()


def _assert_goes_on_with_momentum(bench: Bench, plain: int) -> None:
    """The same command ends ``momentum``, and leaves ``plain`` and its record of that time alone."""
    again = bench.here("sweep", *LONG)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 of 2 runs to do" in again.stdout
    _assert_whole(bench, "momentum")
    assert (bench.folder("plain") / "record.json").stat().st_mtime_ns == plain


def test_ctrl_c_ends_the_jobs_and_keeps_the_run(bench: Bench) -> None:
    driver = _start_and_wait(bench, "plain", 1)
    job = job_pid(bench.folder("plain"))
    os.killpg(driver.pid, signal.SIGINT)
    output, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "Traceback" not in output
    name, stop = bench.folder("plain").name, _last_trained(bench, "plain")
    epoch = math.ceil(stop["epoch"])
    where = f"interrupted, epoch {epoch} of {EPOCHS}"
    *_, waits, ends, last = output.splitlines()
    assert (
        waits
        == f"interrupted: waiting up to 60 s for 1 job to end ({name}); Ctrl-C ends that at once"
    )
    assert ends == f"{name}: {where}"
    assert last == "interrupted: the same command continues where it was"
    assert not alive(job)
    assert not (bench.folder("plain") / "record.json").exists()
    assert where in bench.here("plan", *LONG[:2]).stdout
    # The standard streams of a script that lets go of its terminal.
    closed = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh"]
    again = run([*closed, *bench.arguments("sweep", *LONG, "--rows", "plain")])
    assert again.returncode == 0, (bench.folder("plain") / "log.txt").read_text()
    _assert_whole(bench, "plain")
    assert [start["iter"] for start in bench.points("plain", "start")] == [0, stop["iter"]]


@pytest.mark.slow
def test_live_job_of_a_dead_driver_is_ended(bench: Bench) -> None:
    driver = _start_and_wait(bench, "plain", 1)
    job = job_pid(bench.folder("plain"))
    os.kill(job, signal.SIGSTOP)  # it cannot notice that its driver is gone
    kill_group(driver)
    assert locks.is_held(bench.folder("plain") / "job.lock")
    again = bench.run("sweep", *LONG, "--rows", "plain", DETBOARD_PATIENCE_S="1")
    assert again.returncode == 0, again.stdout + again.stderr
    assert not alive(job)
    _assert_whole(bench, "plain")


def test_second_driver_is_told_and_a_stop_file_prunes_the_run_of_the_first(bench: Bench) -> None:
    driver = bench.start("sweep", *LONG)
    wait_until((bench.results / "runs" / ".driver.lock.holder").exists, "the first driver")
    second = bench.here("sweep", *LONG)
    assert second.returncode == 2
    assert f"process {driver.pid}" in second.stderr

    wait_until(_validated(bench, "plain", 2), "2 validations of plain")
    (bench.folder("plain") / "stop").write_text('{"state": "pruned"}')
    output, _ = driver.communicate(timeout=200)
    record = bench.record("plain")
    assert record["state"] == "pruned", output
    validations = bench.points("plain", "val")
    assert len(validations) < EPOCHS
    assert record["metrics"]["mAP50"] == validations[-1]["mAP50"]
    assert "1 complete, 1 pruned" in output


@pytest.mark.slow
def test_kill_between_checkpoint_and_validation_loses_no_number(bench: Bench) -> None:
    """All that is left of a run is its last checkpoint: its evaluation is made up for."""
    driver = bench.start("sweep", *LONG, "--rows", "momentum")
    wait_until(_validated(bench, "momentum", EPOCHS), "the last validation of momentum")
    kill_group(driver)
    folder = bench.folder("momentum")
    if (folder / "record.json").exists():
        pytest.skip("the run was over before it could be killed")
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:-1]))
    again = bench.here("sweep", *LONG, "--rows", "momentum")
    assert again.returncode == 0, again.stdout + again.stderr
    _assert_whole(bench, "momentum")
