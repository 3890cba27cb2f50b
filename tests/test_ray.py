"""Jobs on a real Ray cluster of two nodes: as locally, and on when a node, a worker or the driver is gone."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command import Bench

from benchmark.experiment.cluster import Cluster
from benchmark.launchers import make_launcher
from benchmark.launchers.ray_cluster.capacity import Ask, Node, ask_of, bytes_of, obstacle


def test_an_address_where_nobody_answers_is_one_message_at_once(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself tries for two minutes, and then ends the process."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    began = time.monotonic()
    done = Bench(synthetic_data, tmp_path / "results").here("sweep", "--launcher", "ray")
    assert done.returncode == 2
    assert (
        "--launcher ray: nobody answers at 127.0.0.1:1 (cluster.address, or RAY_ADDRESS)"
        in done.stderr
    )
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - began < 30
    assert not list((tmp_path / "results").glob("runs/plain*"))


def test_without_ray_it_is_said_what_to_install(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    bench = Bench(synthetic_data, tmp_path / "results")
    done = bench.here("sweep", "--launcher", "ray")
    assert done.returncode == 2
    assert "pip install 'detboard[ray]'" in done.stderr
    assert not list((tmp_path / "results").glob("runs/plain*"))


NODES = [
    Node("cpu", {"CPU": 16.0, "memory": 2.0**35}),
    Node("gpu", {"CPU": 32.0, "GPU": 4.0, "memory": 2.0**37, "accelerator_type:A100": 1.0}),
]


@pytest.mark.parametrize(
    ("asked", "processes", "slots", "ask"),
    [
        ({}, 1, None, Ask(4, 1)),
        ({}, 4, None, Ask(16, 4)),
        ({"cpus": 8, "gpus": "a100", "memory": "32G"}, 2, None, Ask(16, 2, "A100", 32 << 30)),
        ({"gpus": "none"}, 2, None, Ask(8, 0)),
        ({}, 1, 24, Ask(2, 1)),  # 24 runs share 48 CPUs
        ({"cpus": 6}, 1, 24, Ask(6, 1)),
    ],
)
def test_a_row_asks_for_what_its_processes_need(
    asked: dict[str, Any], processes: int, slots: int | None, ask: Ask
) -> None:
    assert ask_of(Cluster(**asked), processes, NODES, slots) == ask


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (Ask(4, 4), ""),
        (
            Ask(4, 5),
            "asks for 5 GPUs, 4 CPUs on one node; the largest node of C has 4 GPUs, 32 CPUs",
        ),
        (Ask(40, 1), "asks for 1 GPU, 40 CPUs on one node"),
        (Ask(4, 1, "h100"), "cluster.gpus: h100: C has no such GPUs; there are A100"),
        (Ask(4, 0, "", 1 << 40), "asks for 4 CPUs, 1024 GiB of memory on one node"),
    ],
)
def test_what_no_node_has_is_said_before_anything_starts(ask: Ask, words: str) -> None:
    found = obstacle("plain", ask, NODES, "C")
    assert words in found
    assert bool(found) == bool(words)


def test_memory_is_written_as_for_sbatch() -> None:
    sizes = {"32G": 32 << 30, "4000": 4000 << 20, "1t": 1 << 40, "64GB": 64 << 30, "much": 0}
    assert {text: bytes_of(text) for text in sizes} == sizes
    wrong = make_launcher("ray", cluster=Cluster(memory="much"))
    assert wrong.obstacles({"plain": 1}) == [
        "cluster.memory: much: write a number with K, M, G or T: 32G"
    ]
