"""A study on a real Ray cluster: it prunes there, and its driver may end and finds its jobs again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray_cluster
from command import Bench, job_pid, study, variant, wait_until
from optuna.trial import TrialState
from studies import folder_of, states, trials

ON_RAY = ("--launcher", "ray", "--wandb", "off", "--slots", "1")
LOW = {"type": "ThresholdPruner", "lower": 0.999}  # every trial but the first, which no pruner ends


@pytest.fixture
def ray() -> Iterator[ray_cluster.RayCluster]:
    if obstacle := ray_cluster.obstacle():
        pytest.skip(f"no Ray cluster: {obstacle}")
    with ray_cluster.ray_cluster() as running:
        yield running


@pytest.mark.trains
def test_a_study_prunes_and_its_driver_finds_its_jobs(
    ray: ray_cluster.RayCluster, synthetic_data: Path, tmp_path: Path
) -> None:
    variant(tmp_path, lambda content: content.update(cluster={"cpus": 1, "gpus": "none"}))
    file = study(tmp_path, n_trials=2, pruner=LOW)
    bench = Bench(synthetic_data, tmp_path / "results", file)
    options = (*ON_RAY, "--set", "train_cfg.max_epochs=6")
    first = bench.start("tune", *options, **ray.environment)
    wait_until(lambda: bool(list(bench.results.glob("runs/*/starts.jsonl"))), "a trial")
    (started,) = bench.results.glob("runs/*/starts.jsonl")
    job = job_pid(started.parent)
    os.kill(job, signal.SIGSTOP)  # until there is another driver, however long that takes here
    first.send_signal(signal.SIGTERM)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 128 + signal.SIGTERM, output
    assert "left running: " in output
    again = bench.start("tune", *options, **ray.environment)
    assert again.stdout is not None
    said = ""
    while "found again: " not in said:
        line = again.stdout.readline()
        assert line, said
        said += line
    os.kill(job, signal.SIGCONT)
    output, _ = again.communicate(timeout=200)
    assert again.returncode == 0, output
    assert states(bench) == [TrialState.COMPLETE, TrialState.PRUNED]
    for trial in trials(bench):
        assert len((folder_of(bench, trial) / "starts.jsonl").read_text().splitlines()) == 1
