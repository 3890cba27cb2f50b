"""Rows of several GPUs on a real Slurm cluster: processes on two nodes train together, and a node is lost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import slurm_cluster
from command import Bench, run, variant, wait_until
from several import made_here, processes_of

from benchmark.experiment.cluster import Cluster
from benchmark.experiment.experiment import Tracking
from benchmark.files import read_jsonl
from benchmark.launchers.slurm import SlurmLauncher
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.record import State

EPOCHS, ITERATIONS = 8, 3  # two processes share the 24 images in batches of 4
SETTINGS = {"train_cfg.max_epochs": EPOCHS, "train_cfg.val_interval": 4}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm_cluster.SlurmCluster]:
    """A Slurm cluster of three nodes: one is to spare."""
    obstacle = slurm_cluster.obstacle()
    if obstacle:
        pytest.skip(f"no Slurm cluster: {obstacle}")
    with slurm_cluster.slurm_cluster(tmp_path_factory.mktemp("slurm"), nodes=3) as running:
        yield running


def _bench(data: Path, folder: Path, number: int, **cluster: Any) -> Bench:
    """The tiny experiment with one row, of several GPUs."""

    def several(content: dict[str, Any]) -> None:
        content["rows"] = [{**content["rows"][0], "gpus": number}]
        content["cluster"] = {"cpus": 1, **cluster}

    folder.mkdir()
    return Bench(data, folder / "results", variant(folder, several))


@pytest.mark.trains
@pytest.mark.slow
def test_a_row_trains_on_two_nodes_and_goes_on_when_one_is_lost(
    nodes: slurm_cluster.SlurmCluster, synthetic_data: Path, tmp_path: Path
) -> None:
    bench = _bench(synthetic_data, tmp_path / "two", 2, gpus="none", gpus_per_node=1)
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    with nodes.hurrying():
        asked = ("--launcher", "slurm", "--wandb", "off", *settings)
        sweep = bench.start("sweep", *asked, **nodes.environment)
        made = bench.results / "runs"
        wait_until(lambda: any(made.glob("*/checkpoints/epoch_*.pth")), "a checkpoint", 200)
        nodes.kill_node("n2")
        said, _ = sweep.communicate(timeout=280)
    folder = RunFolder(bench.folder("plain"))
    assert sweep.returncode == 0, said + folder.log_file.read_text()
    _assert_went_on(folder)
    assert set(nodes.jobs().values()) == {"COMPLETED"}
    assert not processes_of(folder)
    assert folder.read_record().metrics == made_here(bench, tmp_path / "here", SETTINGS).metrics


def _assert_went_on(folder: RunFolder) -> None:
    """It has begun twice, the second time where it was, and has trained each iteration once."""
    assert folder.read_record().state is State.COMPLETE
    points = read_jsonl(folder.metrics_file)
    starts = [point["iter"] for point in points if point["kind"] == "start"]
    assert len(starts) == len(read_jsonl(folder.starts_file)) == 2
    assert starts[1] > 0
    trained = [point["iter"] for point in points if point["kind"] == "train"]
    assert trained == sorted(set(trained))
    assert trained[-1] == EPOCHS * ITERATIONS


def _plan(nodes: slurm_cluster.SlurmCluster, bench: Bench) -> tuple[int, str]:
    arguments = bench.arguments("plan", "--launcher", "slurm")
    done = run(arguments, **nodes.environment)
    return done.returncode, done.stdout + done.stderr


def test_processes_lie_on_as_few_nodes_as_have_gpus_for_them(
    nodes: slurm_cluster.SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node has two GPUs, which Slurm says; each makes its own known to the processes there."""
    for key, value in nodes.environment.items():
        monkeypatch.setenv(key, value)
    four = JobOptions(Tracking(mode="off"), Resources((), 1, processes=4))
    script = SlurmLauncher(cluster=Cluster(cpus=1)).script(tmp_path, four)
    asked = ("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=2", "--gres=gpu:2")
    assert all(f"#SBATCH {flag}\n" in script for flag in asked), script
    assert "torchrun --nnodes 2 --nproc-per-node 2 " in script

    (tmp_path / "job.json").touch()
    python = f"python={sys.executable}"
    assert python in script
    told = tmp_path / "told"
    told.write_text(
        '#!/bin/bash\necho "$PET_NODE_RANK $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES $*"\n'
    )
    told.chmod(0o755)
    (tmp_path / "job.sh").write_text(script.replace(python, f"python={told}"))
    nodes.call("sbatch", "--wait", str(tmp_path / "job.sh"))
    lines = [line.split() for line in (tmp_path / "log.txt").read_text().splitlines()]
    ranks = sorted(line for line in lines if "torchrun" in line)
    first, second = (line[1] for line in ranks)
    assert [line[:3] for line in ranks] == [["0", first, "0,1"], ["1", second, "0,1"]]
    assert first != second
    assert {line[line.index("--master-addr") + 1] for line in ranks} == {first}
    assert len({line[line.index("--master-port") + 1] for line in ranks}) == 1


@pytest.mark.parametrize(
    ("gpus", "cluster", "problem"),
    [
        (
            3,
            {},
            "row plain: gpus: 3: they are not as many on each of 2 nodes, which have room for 2 ",
        ),
        (8, {"gpus_per_node": 4}, "row plain: asks for 4 GPUs of a node"),
        (8, {}, "row plain: sbatch would refuse it: "),
    ],
)
def test_rows_that_no_nodes_have_room_for_are_refused(
    gpus: int,
    cluster: dict[str, Any],
    problem: str,
    nodes: slurm_cluster.SlurmCluster,
    synthetic_data: Path,
    tmp_path: Path,
) -> None:
    if "n2" not in nodes._living:  # while a node is away, only submitting tells
        nodes.start_node("n2")
    nodes.wait_until_up()
    status, said = _plan(nodes, _bench(synthetic_data, tmp_path / "many", gpus, **cluster))
    assert (status, problem in said) == (2, True), said
