"""Rows of several GPUs on a real Ray cluster: a task on each node in a placement group, and a worker is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray_cluster
from command import Bench, alive, variant, wait_until
from ray_cluster import RayCluster
from several import made_here, processes_of

from benchmark.errors import UserError
from benchmark.experiment.cluster import Cluster
from benchmark.files import read_jsonl
from benchmark.launchers.layout import Layout, Part, lay_out
from benchmark.launchers.ray_cluster.capacity import Ask, Node, obstacle, room
from benchmark.run.folder import RunFolder
from benchmark.run.record import State

EPOCHS = 8
SETTINGS = {"train_cfg.max_epochs": EPOCHS, "train_cfg.val_interval": 4}
NODES = [
    Node("a", {"CPU": 32.0, "GPU": 4.0, "accelerator_type:A100": 1.0}),
    Node("b", {"CPU": 32.0, "GPU": 4.0, "accelerator_type:A100": 1.0}),
    Node("c", {"CPU": 64.0}),
]


@pytest.fixture
def cluster() -> Iterator[RayCluster]:
    if lacking := ray_cluster.obstacle():
        pytest.skip(lacking)
    with ray_cluster.ray_cluster() as made:
        yield made


def _bench(data: Path, folder: Path) -> Bench:
    def several(content: dict[str, Any]) -> None:
        content["rows"] = [{**content["rows"][0], "gpus": 2}]
        content["cluster"] = {"cpus": 1, "gpus": "none", "gpus_per_node": 1}

    folder.mkdir()
    return Bench(data, folder / "results", variant(folder, several))


@pytest.mark.trains
@pytest.mark.slow
def test_a_row_trains_on_two_nodes_and_goes_on_when_a_part_of_it_is_lost(
    cluster: RayCluster, synthetic_data: Path, tmp_path: Path
) -> None:
    bench = _bench(synthetic_data, tmp_path / "two")
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    asked = ("--launcher", "ray", "--wandb", "off", *settings)
    sweep = bench.start("sweep", *asked, **cluster.environment)
    made = bench.results / "runs"
    wait_until(lambda: any(made.glob("*/checkpoints/epoch_*.pth")), "a checkpoint", 200)
    (second,) = _workers("ray::part", number=1)
    os.kill(second, signal.SIGKILL)
    said, _ = sweep.communicate(timeout=280)
    folder = RunFolder(bench.folder("plain"))
    assert sweep.returncode == 0, said + folder.log_file.read_text()
    assert folder.read_record().state is State.COMPLETE
    starts = [p["iter"] for p in read_jsonl(folder.metrics_file) if p["kind"] == "start"]
    assert len(starts) == len(read_jsonl(folder.starts_file)) == 2
    assert starts[1] > 0
    wait_until(lambda: not processes_of(folder), "the end of its processes", 30)
    assert folder.read_record().metrics == made_here(bench, tmp_path / "here", SETTINGS).metrics


def _workers(title: str, number: int) -> list[int]:
    """Ray's workers at a task of this name whose torchrun is that of one of the nodes."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            told = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            named = Path(f"/proc/{parent}/cmdline").read_text().startswith(title)
        except OSError:
            continue
        rank = told[told.index(b"--node-rank") + 1] if b"--node-rank" in told else b""
        if named and alive(parent) and rank == str(number).encode():
            found.append(parent)
    return found


@pytest.mark.parametrize(
    ("asked", "processes", "layout"),
    [
        ({}, 4, Layout(1, 4)),
        ({}, 8, Layout(2, 4)),
        ({}, 6, Layout(2, 3)),
        ({"gpus_per_node": 2}, 8, Layout(4, 2)),
        ({"gpus": "none"}, 8, Layout(1, 8)),
        ({"gpus": "none"}, 16, Layout(2, 8)),
    ],
)
def test_processes_lie_on_as_few_nodes_as_have_gpus_for_them(
    asked: dict[str, Any], processes: int, layout: Layout
) -> None:
    assert lay_out(processes, room(Cluster(**asked), NODES)) == layout


def test_processes_are_as_many_on_each_node() -> None:
    with pytest.raises(
        UserError, match=r"7: they are not as many on each of 2 nodes.*write 6 or 8"
    ):
        lay_out(7, 4)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (2, ""),
        (3, "row plain: asks for 4 A100 GPUs, 16 CPUs on each of 3 nodes; C has 2 such nodes"),
    ],
)
def test_a_group_that_can_never_be_placed_is_refused(nodes: int, words: str) -> None:
    assert obstacle("plain", Ask(16, 4, "A100"), NODES, "C", nodes) == words


def test_each_node_of_a_run_has_a_log_and_meets_the_others_at_the_first() -> None:
    parts = [Part(Layout(2, 4), number, "n1", 12345) for number in range(2)]
    assert [part.log for part in parts] == ["log.txt", "log-node1.txt"]
    told = "--nnodes 2 --nproc-per-node 4 --node-rank 1 --master-addr n1 --master-port 12345"
    assert parts[1].flags == told.split()
