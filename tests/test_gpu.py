"""What only a GPU can show; each test skips, with the reason, where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command import LEADERBOARD, Bench, study

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
ON_GPU = {"CUDA_VISIBLE_DEVICES": "0"}
SMOKE = ("--profile", "smoke", "--wandb", "off")


@pytest.fixture
def bench(synthetic_data: Path, tmp_path: Path) -> Bench:
    return Bench(synthetic_data, tmp_path / "results", LEADERBOARD)


def test_nine_rows_on_a_gpu(bench: Bench) -> None:
    done = bench.run("sweep", *SMOKE, **ON_GPU)
    assert done.returncode == 0, done.stdout + done.stderr
    for row in yaml.safe_load(LEADERBOARD.read_text())["rows"]:
        record = bench.record(row["name"])
        assert record["state"] == "complete"
        assert record["provenance"]["device"] == torch.cuda.get_device_name(0)
        # Weights, gradients and what the optimizer keeps for each: what a training holds at the least.
        assert record["peak_memory_gib"] > 12 * record["params"] / 2**30


def test_mixed_precision(bench: Bench) -> None:
    amp = ("--set", "optim_wrapper.type=AmpOptimWrapper", "--rows", "r50_fpn_3x")
    done = bench.run("sweep", *SMOKE, *amp, **ON_GPU)
    assert done.returncode == 0, done.stdout + done.stderr
    assert bench.record("r50_fpn_3x")["state"] == "complete"


def test_two_jobs_share_the_gpu(bench: Bench) -> None:
    rows = ("--rows", "r50_fpn_3x,r50_fpn_90k", "--slots", "2")
    done = bench.run("sweep", *SMOKE, *rows, **ON_GPU)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (bench.record(row) for row in ("r50_fpn_3x", "r50_fpn_90k"))
    assert first["started_at"] <= second["finished_at"]
    assert second["started_at"] <= first["finished_at"]


def test_running_out_of_memory_spares_the_next_row(synthetic_data: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(LEADERBOARD.read_text())
    row = next(row for row in content["rows"] if row["name"] == "r50_fpn_pisa_1x")
    huge = {"train_dataloader.dataset.pipeline.2.scale": [12000, 12000]}
    content["rows"] = [{**row, "name": "huge", "set": huge}, {**row, "name": "small"}]
    content["dataset"] = {"root": str(synthetic_data)}
    folder = tmp_path / "experiments"
    folder.mkdir()
    path = folder / "memory.yaml"
    path.write_text(yaml.safe_dump(content))
    bench = Bench(synthetic_data, tmp_path / "results", path)
    done = bench.run("sweep", *SMOKE, **ON_GPU)
    assert done.returncode == 1
    assert bench.record("huge")["failure"]["kind"] == "oom"
    assert bench.record("small")["state"] == "complete"


def test_study_on_a_gpu_counts_its_seconds_and_measures_its_latency(
    synthetic_data: Path, tmp_path: Path
) -> None:
    file = study(tmp_path, n_trials=2, objective=["mAP50", "latency"])
    bench = Bench(synthetic_data, tmp_path / "results", file)
    done = bench.run("tune", "--slots", "2", "--wandb", "off", **ON_GPU)
    assert done.returncode == 0, done.stdout + done.stderr
    records = [json.loads(path.read_text()) for path in bench.results.glob("runs/*/record.json")]
    assert len(records) == 2
    for record in records:
        assert record["latency_ms"]["device"] == torch.cuda.get_device_name(0)
        assert record["latency_ms"]["p95"] >= record["latency_ms"]["median"] > 0
    summary = (bench.results / "studies" / "tune" / "summary.md").read_text()
    assert torch.cuda.get_device_name(0) in summary


def _rows(folder: Path, data: Path, rows: dict[str, dict[str, Any]]) -> Path:
    """An experiment of rows like ``r50_fpn_3x`` in which something is changed."""
    content = yaml.safe_load(LEADERBOARD.read_text())
    row = next(row for row in content["rows"] if row["name"] == "r50_fpn_3x")
    content["rows"] = [{**row, "name": name, "set": changed} for name, changed in rows.items()]
    content["dataset"] = {"root": str(data)}
    path = folder / "experiments" / "memory.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(content))
    return path


def test_runs_share_the_gpu_as_far_as_its_memory_goes(synthetic_data: Path, tmp_path: Path) -> None:
    longer = {"+train_cfg.max_epochs": 12}
    path = _rows(tmp_path, synthetic_data, {"first": longer, "second": longer})
    bench = Bench(synthetic_data, tmp_path / "results", path)
    done = bench.run("sweep", *SMOKE, "--slots", "auto", **ON_GPU)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GiB of a GPU's" in done.stdout
    for row in ("first", "second"):
        said = json.loads((bench.folder(row) / "memory.json").read_text())
        record = bench.record(row)
        assert said["reserved_mib"] >= 1024 * record["peak_memory_gib"] * 0.9
        assert 0 < said["beyond_mib"] < said["total_mib"]
        assert record["provenance"]["beside"] == 1


def test_what_the_gpu_has_no_memory_for_goes_through_the_model_in_parts(
    synthetic_data: Path, tmp_path: Path
) -> None:
    """Batches of images that are so large that a few of them find memory, and eight do not."""
    free, _ = torch.cuda.mem_get_info()
    # A ResNet-50 with an FPN keeps about 1.2 KiB a pixel for its gradients: the batch takes twice what there is.
    side = int((2 * free / 8 / 1200) ** 0.5) // 32 * 32
    large = {
        "train_dataloader.batch_size": 8,
        "train_dataloader.dataset.pipeline.2.scale": [side, side],
    }
    path = _rows(tmp_path, synthetic_data, {"large": large})
    bench = Bench(synthetic_data, tmp_path / "results", path)
    done = bench.run("sweep", *SMOKE, "--slots", "auto", **ON_GPU)
    assert done.returncode == 0, done.stdout + done.stderr
    accumulation = bench.record("large")["accumulation"]
    assert accumulation["batch"] == 8
    assert 1 <= accumulation["images"] < 8
    assert "for want of memory its batches of 8 images" in done.stdout
