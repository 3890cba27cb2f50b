"""What `plan` foresees: weights to be fetched, long trainings on a CPU, shared memory, time, packages that clash."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import TINY, Bench, variant
from records import record
from rich.console import Console

from benchmark.cli import doctor
from benchmark.data.memory import Memory
from benchmark.files import write_json
from benchmark.job import looks
from benchmark.launchers import AUTO, make_launcher
from benchmark.run import fetched
from benchmark.run.devices import Room
from benchmark.run.fetched import to_fetch
from benchmark.run.finding import Finding
from benchmark.run.plan import Request, make_plan
from benchmark.run.runs import Runs
from benchmark.sweep import foresight
from benchmark.sweep.expected import expected_time

HTTPS = "https://example.org/weights/net-0a1b.pth?download=1"
NAMED = {
    HTTPS: "net-0a1b.pth",
    "torchvision://resnet50": "resnet50-0676ba61.pth",
    "torchvision://ResNet50_Weights.IMAGENET1K_V1": "resnet50-0676ba61.pth",
    "open-mmlab://resnext101_64x4d": "resnext101_64x4d-ee2c6f71.pth",
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(("address", "file"), NAMED.items())
def test_weights_are_on_this_machine_or_to_be_fetched(hub: Path, address: str, file: str) -> None:
    init = {"type": "Pretrained", "checkpoint": address}
    config = {"model": {"backbone": {"init_cfg": init}}, "load_from": address}
    assert list(to_fetch(config)) == [
        ("load_from", address),
        ("model.backbone.init_cfg.checkpoint", address),
    ]
    (hub / "resnet501-1.pth").touch()
    assert len(list(to_fetch(config))) == 2
    (hub / file).touch()
    assert list(to_fetch(config)) == []


@pytest.mark.parametrize(
    "config",
    [
        {"load_from": None},
        {"load_from": "weights.pth"},
        {"model": {"pretrained": "resnet50", "url": HTTPS}},
        {"load_from": "open-mmlab://no_such_model"},  # of which nothing is known here
        {"load_from": "s3://bucket/net.pth"},
    ],
)
def test_nothing_else_is_to_be_fetched(hub: Path, config: dict[str, Any]) -> None:
    assert list(to_fetch(config)) == []


def test_torchs_hub_is_where_torch_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/somebody")
    assert str(fetched.hub()) == "/somebody/.cache/torch/hub/checkpoints"
    monkeypatch.setenv("XDG_CACHE_HOME", "~/caches")
    assert str(fetched.hub()) == "/somebody/caches/torch/hub/checkpoints"


def test_plan_tells_what_a_newcomer_would_meet(
    synthetic_data: Path, tmp_path: Path, hub: Path
) -> None:
    def at_full_length(content: dict[str, Any]) -> None:
        for row in content["rows"]:
            row["set"] = {
                "+load_from": HTTPS,
                "train_cfg.max_epochs": 500,
                "param_scheduler": [],
            }

    experiment = variant(tmp_path, at_full_length)
    bench = Bench(synthetic_data, tmp_path / "results", experiment)
    planned = bench.run("plan", TORCH_HOME=str(tmp_path / "torch"))
    assert planned.returncode == 0, planned.stderr
    rows = "rows plain, momentum"
    assert f"warning: {rows}: the weights {HTTPS} are not in {hub}" in planned.stderr
    assert "no GPU: 2 trainings of up to 3000 iterations are to run on " in planned.stderr
    assert "Training time: unknown" in planned.stdout


@pytest.mark.parametrize(("threads", "told"), [(3, "row plain: runs that are there"), (1, "")])
def test_other_numbers_of_threads_are_told_where_they_would_change_numbers(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, told: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    request = Request(TINY, tmp_path, data_root=synthetic_data, rows=("plain",), seeds=(0, 1))
    done, waiting = make_plan(request).runs
    made = record(provenance={"device": "CPU: abacus", "threads": threads})
    runs = [replace(done, record=made), waiting]
    (said,) = [*foresight._other_threads(runs, [waiting], make_launcher("local", AUTO))] or [""]
    assert said.startswith(told) and bool(said) == bool(told)
    assert not list(foresight._other_threads(runs, [waiting], make_launcher("local", 2)))


def finished(bench: Bench, **changes: Any) -> None:
    """A complete run of the row ``plain`` of half the iterations, 12 of them in 60 s."""
    run_id = changes.setdefault("run_id", "plain-s7-tiny-0123abcd")
    folder = bench.results / "runs" / run_id
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("{}")
    (folder / "metrics.jsonl").write_text('{"kind": "start", "iter": 0, "max_iters": 12}\n')
    write_json(folder / "record.json", record(train_seconds=60.0, **changes).to_json())


GPU = {"git": None, "device": "NVIDIA H100", "hashes": {}}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "about 2 min 00 s for 1 of 2 runs, one after the other"),
        ({"state": "failed", "failure": {"kind": "oom", "message": "", "log_tail": ""}}, "unknown"),
        ({"profile": "smoke", "run_id": "plain-s7-smoke-0123abcd"}, "unknown"),
        ({"row": "plain-s", "run_id": "plain-s-s7-tiny-0123abcd"}, "unknown"),
        ({"provenance": GPU}, "unknown"),
    ],
)
def test_time_is_estimated_from_runs_of_the_same_row(
    synthetic_data: Path, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results")
    finished(bench, **changes)
    request = Request(TINY, bench.results, data_root=synthetic_data)
    made = make_plan(request)
    said = expected_time(made.runs, Runs(bench.results), Memory(made.cache), has_gpus=False)
    assert said.startswith(f"Training time: {told}")
    assert ("unknown for momentum" in said) == (told != "unknown")


def test_time_on_a_cluster_with_gpus_is_told_from_runs_on_gpus(
    synthetic_data: Path, tmp_path: Path
) -> None:
    """Whatever this machine has: a login node has none."""
    bench = Bench(synthetic_data, tmp_path / "results")
    finished(bench, provenance=GPU)
    made = make_plan(Request(TINY, bench.results, data_root=synthetic_data))
    runs, memory = Runs(bench.results), Memory(made.cache)
    assert "about 2 min 00 s" in expected_time(made.runs, runs, memory, has_gpus=True)
    assert "unknown;" in expected_time(made.runs, runs, memory, has_gpus=False)


@pytest.mark.parametrize(
    ("room", "told"),
    [
        (Room(64, 64), "workers of the data loaders hold up to 768 MiB of images"),
        (Room(1 << 10, 1 << 10), ""),
        (Room(1 << 20, 1 << 20), ""),
        (None, ""),
    ],
)
def test_loaders_that_need_more_shared_memory_are_told(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: Room, told: str
) -> None:
    monkeypatch.setattr(foresight, "shared_memory_room", lambda: room)
    size = {"train_dataloader.dataset.pipeline.2.scale": (1024, 1024)}
    workers = {"train_dataloader.num_workers": 16, "train_dataloader.batch_size": 8}
    request = Request(TINY, tmp_path, data_root=synthetic_data, overrides={**size, **workers})
    rows = {run.spec.row: run for run in make_plan(request).runs}
    (message,) = list(foresight._beyond_shared_memory(rows, make_launcher("local"))) or [""]
    assert told in message
    assert bool(told) == ("/dev/shm has 64 MiB" in message)


def installed(folder: Path, package: str, version: str) -> None:
    metadata = folder / f"{package.replace('-', '_')}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")


@pytest.mark.parametrize(
    ("transformers", "mmpretrain", "clash"),
    [("5.1.0", "1.3.6", True), ("4.57.1", "1.3.6", False), ("5.1.0", "1.3.7", False)],
)
def test_packages_that_end_every_job_are_refused(
    synthetic_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    transformers: str,
    mmpretrain: str,
    clash: bool,
) -> None:
    packages = tmp_path / "packages"
    installed(packages, "transformers", transformers)
    installed(packages, "onedl-mmpretrain", mmpretrain)
    monkeypatch.syspath_prepend(str(packages))
    found = list(looks.clashes())
    assert [finding.problem for finding in found] == ([True] if clash else [])
    if clash:
        path = f"{packages}:{Path(doctor.__file__).parents[2]}"
        bench = Bench(synthetic_data, tmp_path / "results")
        planned = bench.run("plan", PYTHONPATH=path)
        assert planned.returncode == 2
        assert "'NoneType takes no arguments'; pip uninstall transformers" in planned.stderr


def test_doctor_tells_of_shared_memory_and_weights(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.run.devices.shared_memory_room", lambda: Room(64, 0))
    (memory,) = looks.shared_memory()
    assert memory.found == "64 MiB" and "--shm-size" in memory.remedy
    (weights,) = doctor._weights()
    assert f"not in {hub}: those of convnext_large, convnext_tiny, resnet101" in weights.found
    (hub / "resnet101-63fe2227.pth").touch()  # the very file that mmengine looks for
    (weights,) = doctor._weights()
    assert "convnext_tiny, resnet18" in weights.found


def test_doctor_breaks_no_path_in_80_columns() -> None:
    path = "/home/somebody/.cache/torch/hub/checkpoints"
    text = io.StringIO()
    found = [Finding("onedl-mmdetection", f"not in {path}: resnet50", "fetch them", True)]
    Console(file=text, width=80).print(doctor.table(found))
    assert f"not in {path}:" in text.getvalue()
    assert "to do: fetch them" in text.getvalue()
