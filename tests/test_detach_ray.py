"""A study on a real Ray cluster: it prunes there, and its driver may end and finds its jobs again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray_cluster
from command import Bench, study, variant, wait_until
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
    asks = {"cpus": 1, "gpus": "none"}
    variant(tmp_path, lambda content: content.update(cluster=asks))
    file = study(tmp_path, n_trials=2, pruner=LOW)
    bench = Bench(synthetic_data, tmp_path / "results", file)
    options = (*ON_RAY, "--set", "train_cfg.max_epochs=12")
    first = bench.start("tune", *options, **ray.environment)
    wait_until(lambda: bool(list(bench.results.glob("runs/*/starts.jsonl"))), "a trial")
    first.send_signal(signal.SIGTERM)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 128 + signal.SIGTERM, output
    assert "left running: " in output
    again = bench.run("tune", *options, **ray.environment)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "found again: " in again.stdout
    assert states(bench) == [TrialState.COMPLETE, TrialState.PRUNED]
    for trial in trials(bench):
        assert len((folder_of(bench, trial) / "starts.jsonl").read_text().splitlines()) == 1
