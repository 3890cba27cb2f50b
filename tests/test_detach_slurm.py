"""Jobs that are left on a real Slurm cluster: seen, stopped and found again; a study that prunes there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import Bench, here, study, variant, wait_until
from optuna.trial import TrialState
from slurm_cluster import SlurmCluster
from studies import folder_of, states, trials

from benchmark.launchers import living

ON_SLURM = ("--launcher", "slurm", "--wandb", "off")
LOW = {"type": "ThresholdPruner", "lower": 0.999}  # every trial but the first, which no pruner ends


@pytest.fixture
def bench(
    slurm: SlurmCluster, synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    """The tiny experiment, and a cluster that commands find."""
    for key, value in slurm.environment.items():
        monkeypatch.setenv(key, value)
    asks = {"cpus": 1, "gpus": "none"}
    file = variant(tmp_path, lambda content: content.update(cluster=asks))
    return Bench(synthetic_data, tmp_path / "results", file)


def told(bench: Bench, verb: str, *more: str) -> str:
    """A command that knows nothing of those before it."""
    living._launchers.clear()
    done = bench.here(verb, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def nothing_starts(slurm: SlurmCluster) -> Iterator[None]:
    slurm.call("scontrol", "update", "PartitionName=low", "State=DOWN")
    yield
    slurm.call("scontrol", "update", "PartitionName=low", "State=UP")


def test_left_jobs_are_seen_stopped_and_submitted_once(slurm: SlurmCluster, bench: Bench) -> None:
    asked = told(bench, "plan", "--launcher", "slurm")
    assert "2 jobs would be submitted to slurm; of plain-s0" in asked
    assert "\n#!/bin/bash\n#SBATCH " in asked
    with nothing_starts(slurm):
        first = told(bench, "sweep", *ON_SLURM, "--detach", "--slots", "1")
        (number,) = slurm.jobs()
        plain = bench.folder("plain").name
        assert f"1 job queued or running:\n  {plain}: queued, Slurm job {number}" in first
        told(bench, "sweep", *ON_SLURM, "--detach")
        both = slurm.jobs("PD")
        assert len(both) == 2 and number in both
        assert f"Slurm job {number}: PartitionDown" in told(bench, "plan")
        ended = here(["stop", plain, "--as-is", "--results", str(bench.results)])
        assert f"{plain}: recorded as pruned; " in ended.stdout
        assert set(slurm.jobs("PD")) == {*both} - {number}
        (other,) = {*both} - {number}
        again = told(bench, "sweep", *ON_SLURM, "--detach")
        assert f"queued, Slurm job {other}: PartitionDown" in again
        assert set(slurm.jobs("PD")) == {other}
        ended = here(["stop", bench.folder("momentum").name, "--results", str(bench.results)])
        assert "taken out of the queue" in ended.stdout
        assert not slurm.jobs("PD")


@pytest.mark.trains
def test_a_study_prunes_and_its_driver_finds_its_jobs(slurm: SlurmCluster, bench: Bench) -> None:
    bench.experiment = study(bench.experiment.parent, n_trials=2, pruner=LOW)
    known = set(slurm.jobs())
    options = (*ON_SLURM, "--set", "train_cfg.max_epochs=12", "--slots", "1")
    first = bench.start("tune", *options)
    wait_until(lambda: len(slurm.jobs("R")) == 1, "a trial")
    first.send_signal(signal.SIGHUP)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 128 + signal.SIGHUP, output
    assert "left running: 1 job" in output
    again = bench.run("tune", *options)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "found again: " in again.stdout
    assert states(bench) == [TrialState.COMPLETE, TrialState.PRUNED]
    assert len(set(slurm.jobs()) - known) == 2
    for trial in trials(bench):
        assert len((folder_of(bench, trial) / "starts.jsonl").read_text().splitlines()) == 1
    assert not slurm.jobs("R,PD")
