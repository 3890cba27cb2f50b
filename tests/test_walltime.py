"""Limits of a real Slurm: a run outlives its time, preemption, requeueing and scancel, and goes on where it was."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Bench, variant, wait_until
from slurm_cluster import SlurmCluster

from benchmark.files import read_jsonl

pytestmark = [pytest.mark.trains, pytest.mark.slow]

# A hook beside the experiment: three times a run trains three iterations, and waits until it is asked to leave.
HOOK = """
import gc
import time
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class WaitingHook(Hook):
    priority = "VERY_HIGH"

    def before_train(self, runner):
        self.folder = Path(runner.work_dir).parent
        collector = f"{gc.get_threshold()[0]} {gc.get_freeze_count() > 100_000}"
        (self.folder / "collector.txt").write_text(collector)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        done = runner.iter + 1
        with (self.folder / "trained.txt").open("a") as file:
            print(done, batch_idx, file=file)
        if done in (3, 6, 9):
            (self.folder / f"waits-{done}").touch()
            while not (self.folder / "stop").exists():
                time.sleep(0.05)
"""
ITERATIONS, BATCHES = 18, 6
SECONDS = 150


@pytest.fixture
def bench(synthetic_data: Path, tmp_path: Path) -> Bench:
    return made(synthetic_data, tmp_path)


def made(data: Path, folder: Path, **cluster: Any) -> Bench:
    """Two rows that wait three times; each has a node for itself, for a minute."""

    def change(content: dict[str, Any]) -> None:
        asked = {"time": 1, "warn_s": 25, "cpus": 1, "gpus": "none", "sbatch": ["--exclusive"]}
        content["cluster"] = {**asked, **cluster}
        for row in content["rows"]:
            row["set"] = {
                **row.get("set", {}),
                "train_cfg.max_epochs": ITERATIONS // BATCHES,
                "train_cfg.val_interval": 3,
                "default_hooks.checkpoint": {"type": "CheckpointHook", "interval": 3},
                "+custom_imports": {"imports": ["waiting"]},
                "+custom_hooks": [{"type": "WaitingHook"}],
            }

    experiment = folder / "experiment"
    experiment.mkdir()
    (experiment / "waiting.py").write_text(HOOK)
    return Bench(data, folder / "results", variant(experiment, change))


def sweep(bench: Bench, slurm: SlurmCluster, *options: str) -> subprocess.Popen[str]:
    arguments = ("--launcher", "slurm", "--wandb", "off", *options)
    return bench.start("sweep", *arguments, **slurm.environment)


def job_of(bench: Bench, slurm: SlurmCluster, row: str) -> Callable[[], str]:
    """The number of the job of a row that runs now; empty if none does."""

    def number() -> str:
        running = slurm.jobs("R")
        address = bench.folder(row) / "job.json"
        found = json.loads(address.read_text())["job"] if address.exists() else ""
        return found if found in running else ""

    return number


def test_a_run_outlives_its_limit_three_times_and_another_all_else(
    bench: Bench, slurm: SlurmCluster
) -> None:
    driver = sweep(bench, slurm)
    running = job_of(bench, slurm, "momentum")

    def trained(iterations: int) -> None:
        found = f"runs/momentum-s*/waits-{iterations}"
        wait_until(lambda: bool(list(bench.results.glob(found))), f"{found} of momentum", SECONDS)

    with slurm.hurrying():
        trained(3)
        node = slurm.call("squeue", "-h", "-o", "%N", "-j", running())
        high = ["sbatch", "-p", "high", "-w", node, "--exclusive", "-o", "/dev/null"]
        slurm.call(*high, "--wrap", "sleep 1")
        trained(6)
        slurm.call("scontrol", "requeue", running())
        trained(9)
        slurm.call("scancel", running())
        said, _ = driver.communicate(timeout=SECONDS)
    assert driver.returncode == 0, said
    assert "momentum-s0" in said and "it is queued again" in said
    # The job has imported all with the garbage collector looking seldom, and trains as any process does.
    assert (bench.folder("plain") / "collector.txt").read_text() == "700 True"
    _assert_went_on(bench, "plain", said)
    _assert_went_on(bench, "momentum", said)
    plain = (bench.folder("plain") / "log.txt").read_text()
    assert plain.count("ahead of its time limit, and is queued again") == 3
    assert "PREEMPTION" in (bench.folder("momentum") / "log.txt").read_text()


def _assert_went_on(bench: Bench, row: str, said: str) -> None:
    """The run is complete, and trained each batch of each epoch once, in four starts or in more that were too slow."""
    folder = bench.folder(row)
    assert bench.record(row)["state"] == "complete", said
    lines = [line.split() for line in (folder / "trained.txt").read_text().splitlines()]
    trained = [(int(done), int(batch)) for done, batch in lines]
    assert trained == [(done + 1, done % BATCHES) for done in range(ITERATIONS)]
    begun = [point["iter"] for point in bench.points(row, "start")]
    assert begun == sorted(begun)
    assert set(begun) == {0, 3, 6, 9}
    assert len(read_jsonl(folder / "starts.jsonl")) >= 4
    steps = [point["iter"] for point in bench.points(row, "train")]
    assert steps == sorted(set(steps))
    assert not (folder / "stop").exists()


def test_a_run_that_is_ended_three_times_before_it_comes_further_has_failed(
    synthetic_data: Path, tmp_path: Path, slurm: SlurmCluster
) -> None:
    bench = made(synthetic_data, tmp_path, setup=["sleep 100"])  # it never comes to Python
    driver = sweep(bench, slurm, "--rows", "plain")
    ended: set[str] = set()
    running = job_of(bench, slurm, "plain")
    for _ in range(3):
        wait_until(lambda: bool(list(bench.results.glob("runs/plain-s*"))), "the run", 30)
        wait_until(lambda: running() not in ("", *ended), "the next job", 30)
        ended.add(running())
        slurm.call("scancel", "--full", "--signal=KILL", running())
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 1, said
    failure = bench.record("plain")["failure"]
    assert failure["message"].startswith("no progress over 3 starts"), said
