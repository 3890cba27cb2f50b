"""From outside in: what ``detboard sweep`` leaves on disk, and what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mmdet
import numpy as np
import pytest
from command import COUNTED, Bench, here, installed_command, opened, run, variant
from held_out import give_test, with_test
from wandb_file import offline_folders, read_run

from benchmark.data.annotations import read_annotations
from benchmark.run.folder import RunFolder
from benchmark.run.identity import identity
from benchmark.statistics.evaluation import Detections, GroundTruth

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def swept(
    synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Bench, subprocess.CompletedProcess[str]]:
    """A sweep of both rows, side by side, tracked offline; one of them saves its best checkpoint, too.

    They share the images that either has decoded.
    """
    folder = tmp_path_factory.mktemp("swept")

    def saving(content: dict[str, Any]) -> None:
        content["rows"][1]["set"]["+default_hooks.checkpoint.save_best"] = "coco/bbox_mAP_50"

    bench = Bench(synthetic_data, folder / "results", variant(folder, saving))
    options = ("--slots", "2", "--wandb", "online", "--cache", "ram:0.5")
    return bench, bench.run("sweep", *options, WANDB_MODE="")


def test_every_row_is_complete(swept: tuple[Bench, subprocess.CompletedProcess[str]]) -> None:
    bench, done = swept
    assert done.returncode == 0, done.stdout + done.stderr
    for row in ("plain", "momentum"):
        record = bench.record(row)
        assert record["state"] == "complete"
        assert 0 <= record["metrics"]["mAP50"] <= 1
        assert record["params"] > 100_000
        assert record["peak_memory_gib"] > 0
        assert record["provenance"]["hashes"]["train"]
        assert record["provenance"]["device"]
        assert str(bench.experiment) in record["provenance"]["git"]["changed"]  # in no commit
    assert "2 complete" in done.stdout
    assert "decoded images are kept in memory: up to 0.5 GiB\n" in done.stdout
    kept = re.findall(r"^36 decoded images were kept in (\S+) [kM]B of memory$", done.stdout, re.M)
    assert [float(each) > 0 for each in kept] == [True]  # once for both
    assert "cache:" not in RunFolder(bench.folder("plain")).log_file.read_text()


def test_run_folder_holds_what_the_docs_say(swept: tuple[Bench, object]) -> None:
    bench, _ = swept
    folder = RunFolder(bench.folder("plain"))
    for path in (folder.spec_file, folder.config_file, folder.metrics_file, folder.log_file):
        assert path.stat().st_size > 0, path
    assert [path.name for path in folder.checkpoints.iterdir()] == ["final.pth"]
    assert not folder.stop_file.exists()
    validations = bench.points("plain", "val")
    assert [point["epoch"] for point in validations] == [1, 2, 3, 4]
    assert validations[-1]["mAP50"] == bench.record("plain")["metrics"]["mAP50"]
    assert {"loss", "lr", "memory_mib", "iter", "epoch"} <= set(bench.points("plain", "train")[0])


def test_best_checkpoint_is_there_at_the_end(swept: tuple[Bench, object]) -> None:
    bench, _ = swept
    values = [point["mAP50"] for point in bench.points("momentum", "val")]
    best = values.index(max(values)) + 1
    checkpoints = bench.folder("momentum") / "checkpoints"
    names = {path.name for path in checkpoints.iterdir()}
    assert names == {"final.pth", f"best_coco_bbox_mAP_50_epoch_{best}.pth"}
    said = bench.record("momentum")["validations"]
    assert (said["select"], said["count"], said["epoch"]) == ("last", 4, 4)
    assert (said["best_epoch"], said["best_mAP50"]) == (best, max(values))
    told = "momentum, seed 0: best of 4 validations" in (bench.results / "tiny.md").read_text()
    assert told == (max(values) > values[-1])


def test_predictions_give_the_recorded_number(swept: tuple[Bench, object]) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    bench, _ = swept
    truth = COCO(str(bench.data / "val.json"))
    found = truth.loadRes(str(bench.folder("plain") / "predictions.json"))
    evaluation = COCOeval(truth, found, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert abs(evaluation.stats[1] - bench.record("plain")["metrics"]["mAP50"]) < 1e-12


def test_run_id_can_be_computed_from_the_folder(swept: tuple[Bench, object]) -> None:
    from mmengine.config import Config

    bench, _ = swept
    folder = RunFolder(bench.folder("momentum"))
    spec = folder.read_spec()
    config = Config.fromfile(str(folder.config_file)).to_dict()
    digest = identity(config, spec.dataset, spec.seed, spec.profile, spec.gpus)
    assert spec.run_id == folder.path.name == f"momentum-s0-tiny-{digest}"


def test_nothing_to_do_touches_nothing_and_loads_nothing(
    swept: tuple[Bench, subprocess.CompletedProcess[str]],
) -> None:
    bench, _ = swept
    before = {path: path.stat().st_mtime_ns for path in bench.results.glob("runs/*-s*/*")}
    arguments = bench.arguments("sweep")
    done = run([arguments[0], "-X", "importtime", *arguments[1:]])
    assert done.returncode == 0
    assert "nothing to do: 2 complete" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"torch", "mmdet", "mmengine", "wandb", "optuna", "pandas"}
    assert {p: p.stat().st_mtime_ns for p in bench.results.glob("runs/*-s*/*")} == before


def test_table_is_written(swept: tuple[Bench, object]) -> None:
    bench, _ = swept
    table = (bench.results / "tiny.md").read_text()
    assert f"{bench.record('plain')['metrics']['mAP50']:.4f}" in table
    assert "not comparable" in table
    assert (bench.results / "tiny.csv").exists()


def test_report_needs_neither_options_nor_data(swept: tuple[Bench, object], tmp_path: Path) -> None:
    bench, _ = swept
    command = ["report", str(bench.experiment), "--results", str(bench.results)]
    same = here([*command, "--check"])
    assert same.returncode == 0, same.stdout + same.stderr
    (bench.results / "tiny.md").write_text("by hand\n")
    differs = here([*command, "--check"])
    assert differs.returncode == 1
    assert "-by hand" in differs.stdout
    assert here(command).returncode == 0
    assert here([*command, "--check"]).returncode == 0


def test_what_hinders_tracking_is_said_before_and_after(swept: tuple[Bench, Any]) -> None:
    bench, done = swept
    lines = done.stderr.splitlines()
    why = "WANDB_MODE: '' is none of online, offline, shared, disabled, dryrun, run"
    assert f"warning: W&B: {why}; runs are tracked offline" in lines
    assert lines[-1] == f"warning: W&B: 2 of 2 runs are tracked offline only: {why}"
    assert bench.record("plain")["tracking"]["mode"] == "offline"


def test_wandb_holds_the_points_the_config_and_the_record(swept: tuple[Bench, object]) -> None:
    bench, _ = swept
    folder = bench.folder("plain")
    (tracked_in,) = offline_folders(folder)
    tracked = read_run(tracked_in)
    assert tracked.id == folder.name
    assert tracked.group == "tiny"
    assert tracked.config["seed"] == 0
    assert tracked.config["optim_wrapper"]["optimizer"]["momentum"] == 0.9
    values = [point["val/mAP50"] for point in tracked.points if "val/mAP50" in point]
    assert values == [point["mAP50"] for point in bench.points("plain", "val")]
    assert tracked.summary["state"] == "complete"


def test_stock_train_script_runs_the_config(swept: tuple[Bench, object], tmp_path: Path) -> None:
    bench, _ = swept
    script = Path(mmdet.__file__).parent / ".mim" / "tools" / "train.py"
    config = shutil.copy(bench.folder("plain") / "config.py", tmp_path / "config.py")
    stock = [sys.executable, "-m", "benchmark.ops", str(script), str(config)]
    done = run(
        [*stock, "--work-dir", str(tmp_path / "work"), "--cfg-options", "train_cfg.max_epochs=1"]
    )
    assert done.returncode == 0, done.stderr
    assert "bbox_mAP_50" in done.stdout + done.stderr
    assert (tmp_path / "work" / "epoch_1.pth").exists()


def test_failures_are_recorded_and_the_others_go_on(synthetic_data: Path, tmp_path: Path) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", variant(tmp_path, _break_rows))
    done = bench.here("sweep", "--wandb", "off")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert bench.record("plain")["state"] == "complete"
    assert bench.record("diverges")["failure"]["kind"] == "diverged"
    broken = bench.record("broken")
    assert (broken["state"], broken["failure"]["kind"]) == ("failed", "error")
    assert "Traceback" in broken["failure"]["log_tail"]
    assert f"{bench.folder('broken').name}: failed (error)" in done.stderr
    assert "log.txt" in done.stderr

    plain = (bench.folder("plain") / "record.json").stat().st_mtime_ns
    again = bench.here("sweep", "--wandb", "off", "--rows", "broken,plain")
    assert again.returncode == 1
    assert "nothing to do" in again.stdout
    retried = bench.here("sweep", "--wandb", "off", "--rows", "broken,plain", "--retry", "failed")
    assert "1 of 2 runs to do" in retried.stdout
    assert (bench.folder("broken") / "record-1.json").exists()
    assert bench.record("broken")["finished_at"] > broken["finished_at"]
    assert (bench.folder("plain") / "record.json").stat().st_mtime_ns == plain


def _break_rows(content: dict[str, Any]) -> None:
    parts = content["rows"][0]["parts"]
    content["rows"][1:] = [
        {"name": "broken", "parts": parts, "set": {"model.neck.in_channels": [1, 2, 3, 4]}},
        {"name": "diverges", "parts": parts, "set": {"optim_wrapper.optimizer.lr": 1.0e30}},
    ]


def _check_shared_test(folder: RunFolder, data: Path) -> None:
    """Processes share the images of the test split, too, and look at each once, with the weights that were selected."""
    found, held_out = folder.tested_if_any(), read_annotations(data / "test.json")
    assert found is not None
    assert (found.images.count, found.problem) == (4, "")
    boxes = Detections.from_coco(json.loads(folder.test_predictions_file.read_text()))
    again = GroundTruth(held_out.to_coco()).evaluate(boxes)
    assert found.metrics.scores == again.scores
    on_val = Detections.from_coco(json.loads(folder.predictions_file.read_text()))
    same = on_val.chosen(np.isin(on_val.image_ids, held_out.images.ids))
    assert sorted(boxes.scores) == pytest.approx(sorted(same.scores), abs=1e-4)


def test_several_processes_train_one_run(synthetic_data: Path, tmp_path: Path) -> None:
    def on_two_gpus(content: dict[str, Any]) -> None:
        content["rows"] = [{**content["rows"][0], "gpus": 2}]
        content["select"] = "best"

    experiment = variant(tmp_path, on_two_gpus)
    data = with_test(synthetic_data, tmp_path / "data", apart=False)
    give_test(data)
    bench = Bench(data, tmp_path / "results", experiment)
    (tmp_path / "torch.py").write_text("raise SystemExit('the wrong one')\n")
    (tmp_path / "benchmark.py").write_text("raise SystemExit('the wrong one')\n")
    _, _, _, *arguments = bench.arguments("sweep", "--wandb", "off")
    done = run([*installed_command(tmp_path), *arguments], tmp_path)
    assert done.returncode == 0, done.stderr + (bench.folder("plain") / "log.txt").read_text()
    assert bench.record("plain")["state"] == "complete"
    values = [point["mAP50"] for point in bench.points("plain", "val")]
    assert bench.record("plain")["metrics"]["mAP50"] == max(values)
    # Two processes share the 24 images: half the iterations of one.
    assert bench.points("plain", "start")[0]["max_iters"] == 4 * 24 / 4 / 2
    _check_shared_test(RunFolder(bench.folder("plain")), data)


def test_a_model_that_predicts_nothing_is_complete_in_process_too(
    synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results")
    options = ("--rows", "plain", "--wandb", "off", "--set", "model.test_cfg.score_thr=0.99")
    done = run([*COUNTED, *bench.arguments("sweep", "--launcher", "inprocess", *options)[3:]])
    assert done.returncode == 0, done.stderr
    # mmdet's data sets read the files once more, for a run's training and for its validation; the third time is the
    # job's, which hashes what it is about to open.
    assert opened(done.stderr) == {"train.json": 3, "val.json": 3}
    assert json.loads((bench.folder("plain") / "samples.json").read_text())
    assert "Epoch(train)" in done.stdout + done.stderr
    assert "Epoch(train)" in (bench.folder("plain") / "log.txt").read_text()
    record = bench.record("plain")
    assert record["state"] == "complete"
    assert record["no_predictions"] is True
    assert record["metrics"]["mAP50"] == 0
    assert "no predictions" in done.stdout
    assert not (bench.results / "tiny.md").exists()  # a trial is not the leaderboard
    assert bench.here("report", *options[4:]).returncode == 0
    assert "no predictions" in (bench.results / "tiny.md").read_text()


def test_real_photographs(tmp_path: Path) -> None:
    import os

    folder = os.environ.get("DETBOARD_TEST_DATA")
    if not folder:
        pytest.skip("DETBOARD_TEST_DATA names no folder with train.json and val.json")
    bench = Bench(Path(folder), tmp_path / "results", Path("experiments/leaderboard.yaml"))
    options = ("--profile", "smoke", "--rows", "r50_fpn_3x", "--wandb", "off")
    done = bench.here("sweep", *options, "--set", "train_cfg.max_epochs=1")
    assert done.returncode == 0, done.stdout + done.stderr
    record = bench.record("r50_fpn_3x")
    classes = [
        c["name"] for c in json.loads((Path(folder) / "train.json").read_text())["categories"]
    ]
    assert list(record["metrics"]["per_class"]) == classes
    assert record["state"] == "complete"
