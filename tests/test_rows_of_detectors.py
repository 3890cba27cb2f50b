"""Rows of detectors that are not trained here: another row's, with test-time augmentation; and these fused."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from command import Bench, here, variant
from matplotlib.colors import to_rgb
from PIL import Image
from test_tested import check_evaluated, give_test, with_test

from benchmark.experiment.experiment import Tracking
from benchmark.files import read_json, sha256_file
from benchmark.job.job import run_job
from benchmark.job.made.fusing.fuse import fuse
from benchmark.job.made.fusing.settings import Settings
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.statistics.evaluation import Detections
from benchmark.writing.drawing import PALETTE

# Its weights are averaged: what is evaluated and kept is the average.
PLAIN = {
    "name": "plain",
    "parts": dict.fromkeys(["backbone", "neck", "head", "schedule"], "tiny"),
    "set": {"+custom_hooks": [{"type": "EMAHook", "momentum": 0.2}]},
}

ADDRESS = "https://example.org/theirs-0a1b2c3d.pth"


def _rows(bench: Bench, *rows: dict[str, Any]) -> None:
    content = yaml.safe_load(bench.experiment.read_text())
    bench.experiment.write_text(yaml.safe_dump({**content, "rows": [*rows]}))


def _sweep(bench: Bench, *more: str) -> Any:
    return bench.here("sweep", "--launcher", "inprocess", "--wandb", "off", *more)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Bench:
    folder = tmp_path_factory.mktemp("detectors")
    data = with_test(synthetic_data, folder / "data")
    give_test(data)
    experiment = variant(folder, lambda e: e.update(rows=[PLAIN]))
    return Bench(data, folder / "results", experiment)


@pytest.fixture(scope="module")
def swept(bench: Bench) -> Bench:
    """A trained row, its weights evaluated by another, and views of either."""
    assert _sweep(bench).returncode == 0
    plain = bench.folder("plain")
    shutil.copy(plain / "checkpoints" / "final.pth", bench.experiment.with_name("mine.pth"))
    given = {"name": "given", "config": str(plain / "config.py"), "checkpoint": "mine.pth"}
    views = {"name": "views", "tta": {"scales": [1.0, [80, 80]]}, "of": "plain"}
    usual = {"name": "usual", "tta": True, "of": "given"}
    fused = {"name": "fused", "fuse": {"rows": ["plain", "views", "usual"], "weights": [2, 1, 1]}}
    _rows(bench, fused, PLAIN, usual, views, given)
    done = _sweep(bench)
    assert done.returncode == 0, done.stdout + done.stderr
    return bench


@pytest.mark.trains
def test_the_same_weights_on_the_same_images_have_the_same_numbers(swept: Bench) -> None:
    kept = torch.load(swept.folder("plain") / "checkpoints" / "final.pth", weights_only=False)
    assert "ema_state_dict" in kept  # the weights before averaging lie beside
    plain, given = swept.record("plain"), swept.record("given")
    for key in ("metrics", "tide", "val_images", "params", "flops"):
        assert given[key] == plain[key] is not None
    assert given["latency_ms"]["images"] == 20
    assert given["train_seconds"] is given["peak_memory_gib"] is None
    weights = sha256_file(swept.folder("plain") / "checkpoints" / "final.pth")
    assert [*given["provenance"]["hashes"]["files"].values()] == [weights]
    for name in ("predictions.json", "predictions-test.json"):
        assert len({(swept.folder(row) / name).read_bytes() for row in ("plain", "given")}) == 1
    assert not (swept.folder("given") / "mmengine").exists()


@pytest.mark.trains
def test_views_are_of_the_checkpoints_of_another_row(swept: Bench) -> None:
    plain, given, usual, views = map(swept.record, ("plain", "given", "usual", "views"))
    assert views["made_from"] == {plain["run_id"]: plain["finished_at"]}
    assert usual["made_from"] == {given["run_id"]: given["finished_at"]}
    assert len({record["metrics"]["mAP50"] for record in (plain, usual, views)}) == 3
    assert views["val_images"] == plain["val_images"]
    assert views["params"] is views["latency_ms"] is None
    check_evaluated(RunFolder(swept.folder("views")), swept.data / "test.json")


@pytest.mark.trains
def test_boxes_of_a_training_and_of_views_are_fused(swept: Bench) -> None:
    folders = [RunFolder(swept.folder(row)) for row in ("plain", "views", "usual")]
    fused = RunFolder(swept.folder("fused"))
    how = Settings("wbf", (2.0, 1.0, 1.0))
    for name in ("predictions.json", "predictions-test.json"):
        sources = [Detections.from_coco(read_json(of.path / name)) for of in folders]
        assert read_json(fused.path / name) == fuse(sources, how).detections.to_coco()
    assert len(read_json(fused.predictions_file)) > 0
    check_evaluated(fused, swept.data / "test.json")


@pytest.mark.trains
def test_all_of_them_stand_in_one_table(swept: Bench) -> None:
    board = json.loads((swept.results / "tiny.json").read_text())
    shown = {row["row"]: row for row in board["rows"]}
    methods = {name: row["values"]["learning_method"] for name, row in shown.items()}
    assert methods["views"] == "TTA: plain at x1, 80x80, with flips"
    assert methods["given"] == "given: mine.pth"
    assert "not trained here" in shown["given"]["missing"]["train_seconds"]
    assert all(row["values"]["rank"] and row["values"]["interval"] for row in shown.values())
    assert "nothing to do" in _sweep(swept).stdout
    assert swept.here("report", "--check").returncode == 0


def _predict(swept: Bench, folder: Path, *arguments: str) -> Any:
    """In a folder from which neither the data nor the experiment can be seen."""
    return here(["predict", *arguments, "--results", str(swept.results)], folder)


@pytest.mark.trains
def test_predict_finds_what_the_run_has_found(swept: Bench, tmp_path: Path) -> None:
    images = str(swept.data / "val.json")
    for row in ("given", "views"):
        done = _predict(swept, tmp_path, row, images, "-o", f"{row}.json")
        assert done.returncode == 0, done.stderr
        found = (tmp_path / f"{row}.json").read_bytes()
        assert found == (swept.folder(row) / "predictions.json").read_bytes()


@pytest.mark.trains
def test_predict_takes_any_folder_and_draws(swept: Bench, tmp_path: Path) -> None:
    """One image lies on its side by its EXIF orientation, two differ in their suffixes alone."""
    (tmp_path / "images" / "deep").mkdir(parents=True)
    for name in ("deep/a.jpg", "deep/a.png", "b.jpg"):
        picture = Image.open(swept.data / "images" / "val_00000.png").resize((96, 48))
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(tmp_path / "images" / name, **({"exif": exif} if name == "b.jpg" else {}))
    run = str(swept.folder("plain"))
    options = ("--format", "csv", "--pictures", "drawn", "--score-thr", "0.01")
    done = here(["predict", run, "images", *options], tmp_path)
    assert done.returncode == 0, done.stderr
    written = tmp_path / f"{swept.folder('plain').name}-images.csv"
    lines = {
        line["image_id"]: line["PredictionString"].split()
        for line in csv.DictReader(written.open())
    }
    assert [*lines] == ["b.jpg", "deep/a.jpg", "deep/a.png"]
    boxes = np.array(lines["b.jpg"], np.float64).reshape(-1, 6)
    assert len(boxes) and (boxes[:, 1] >= 0.01).all()
    assert boxes[:, 4].max() <= 48 < boxes[:, 5].max() <= 96  # it is 48 wide and 96 high, upright
    drawn = {
        path.relative_to(tmp_path / "drawn").as_posix(): path
        for path in (tmp_path / "drawn").rglob("*.png")
    }
    assert sorted(drawn) == ["b.png", "deep/a.jpg.png", "deep/a.png.png"]
    with Image.open(drawn["b.png"]) as picture:
        assert picture.height == 2 * picture.width
        shades = picture.convert("RGB").getcolors(1 << 20) or []
    assert {to_rgb(color) for color in PALETTE} & {
        tuple(v / 255 for v in shade) for _, shade in shades
    }


@pytest.mark.trains
def test_predict_says_at_once_what_it_lacks(swept: Bench, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = _predict(swept, tmp_path, "plan", "empty").stderr
    assert "'plan' is no row of a leaderboard and no run" in told and "did you mean 'plain'" in told
    assert "there is no image in it" in told
    images = str(swept.data / "images")
    told = _predict(
        swept, tmp_path, "plain", images, "--pictures", images, "-o", "no/x.json"
    ).stderr
    assert "pictures cannot lie where the images are" in told and "its folder is not there" in told
    told = _predict(swept, tmp_path, "views", images, "--tta").stderr
    assert "has views of its own: leave --tta out" in told
    told = _predict(swept, tmp_path, "plain", str(swept.data / "absent")).stderr
    assert "neither a folder of images nor a COCO file" in told
    (tmp_path / "empty" / "a.png").write_bytes(b"no image")
    told = _predict(swept, tmp_path, "plain", "empty").stderr
    assert "a.png: its size cannot be read" in told
    listed = json.loads((swept.data / "val.json").read_text())
    listed["images"][0]["file_name"] = "gone.png"
    (tmp_path / "val.json").write_text(json.dumps(listed))
    (tmp_path / "images").symlink_to(swept.data / "images")
    told = _predict(swept, tmp_path, "plain", "val.json").stderr
    assert "images that are not in" in told and "gone.png" in told


@pytest.mark.trains
def test_predict_names_images_that_cannot_be_decoded(swept: Bench, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with Image.open(swept.data / "images" / "val_00000.png") as picture:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            picture.convert("RGB").save(tmp_path / "images" / name)
    for name in ("b.jpg", "c.jpg"):  # cut behind the size
        path = tmp_path / "images" / name
        path.write_bytes(path.read_bytes()[:700])
    done = _predict(swept, tmp_path, "plain", "images")
    assert done.returncode == 2
    assert "images that cannot be decoded (2): b.jpg" in done.stderr and "c.jpg" in done.stderr
    assert not [*tmp_path.glob("*.json")]


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.getcwd, ()


@pytest.mark.trains
def test_predict_says_what_of_a_run_is_not_as_it_was(swept: Bench, tmp_path: Path) -> None:
    run = tmp_path / "runs" / swept.folder("plain").name
    shutil.copytree(swept.folder("plain"), run)
    images = str(swept.data / "val.json")
    final, config = run / "checkpoints" / "final.pth", run / "config.py"
    content = torch.load(final, weights_only=False)
    torch.save({**content, "more": Code()}, final)
    done = here(["predict", str(run), images], tmp_path)
    assert done.returncode == 2 and "posix.getcwd, which is code" in done.stderr
    done = here(["predict", str(run), images, "--trust-checkpoints"], tmp_path)
    assert done.returncode == 0, done.stderr
    config.write_text(config.read_text() + "\nmore = 1\n")
    done = here(["predict", str(run), images], tmp_path)
    assert done.returncode == 2 and "config.py is not what this run was planned with" in done.stderr
    spec = json.loads((run / "spec.json").read_text())
    config.write_text("custom_imports = dict(imports=['absent_module'])\n" + config.read_text())
    (run / "spec.json").write_text(json.dumps({**spec, "config_sha256": sha256_file(config)}))
    done = here(["predict", str(run), images], tmp_path)
    assert done.returncode == 2 and "absent_module" in done.stderr, done.stderr


@pytest.mark.trains
def test_submit_with_views_hands_in_what_a_row_of_them_has(swept: Bench, tmp_path: Path) -> None:
    file = tmp_path / "handed.json"
    done = swept.here("submit", "plain", "--format", "coco", "--tta", "-o", str(file))
    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == (swept.folder("usual") / "predictions-test.json").read_bytes()
    done = swept.here("submit", "views", "--format", "coco", "--tta")
    assert "has views of its own" in done.stderr


@pytest.mark.trains
def test_a_job_that_is_asked_to_end_leaves_no_record(
    swept: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for row in ("plain", "views"):
        shutil.copytree(swept.folder(row), tmp_path / swept.folder(row).name)
    views = RunFolder(tmp_path / swept.folder("views").name)
    views.record_file.unlink()
    views.stop_file.write_text('{"state": "interrupted"}')
    run_job(views.path, JobOptions(Tracking(mode="off"), Resources((), threads=1)))
    assert "stopped early: interrupted" in capsys.readouterr().out
    assert not views.finished and not (views.path / "mmengine").exists()


@pytest.mark.trains
def test_other_weights_under_the_same_name_are_another_run(swept: Bench) -> None:
    path = swept.experiment.with_name("mine.pth")
    before = path.read_bytes()
    try:
        torch.save({"state_dict": {}}, path)
        plan = swept.here("plan").stdout
        assert "3 of 5 runs are missing" in plan, plan
    finally:
        path.write_bytes(before)


def test_what_is_wrong_with_views_and_weights_is_told_before_any_training(
    tmp_path: Path, synthetic_data: Path
) -> None:
    experiment = variant(tmp_path, lambda _: None)
    bench = Bench(synthetic_data, tmp_path / "results", experiment)
    ssd = {"name": "ssd", "config": "ssd300_coco"}
    rows = [
        {"name": "a", "tta": [640], "of": "ssd"},
        {"name": "b", "tta": False, "of": "ssd"},
        {"name": "c", "tta": {"scales": [1.0], "flip": False}, "of": "ssd"},
        {"name": "d", "tta": {"scales": [[1333, 0]]}, "of": "ssd"},
    ]
    _rows(bench, ssd, *rows)
    told = bench.here("plan").stderr
    for words in (
        "a size in pixels is a pair",
        "give true, a list",
        "no augmentation",
        "a size is two whole",
    ):
        assert words in told, told
    rows = [
        {"name": "a", "tta": [0.5, 1.0], "of": "ssd"},
        {"name": "b", "tta": True, "of": "a"},
        {"name": "c", "config": "ssd300_coco", "checkpoint": "zoo", "gpus": 2},
        {"name": "d", "config": "ssd300_coco", "checkpoint": "absent.pth"},
        {"name": "e", "config": "ssd300_coco", "checkpoint": "zoo", "load_from": "zoo"},
    ]
    _rows(bench, ssd, *rows[:-1])
    told = bench.here("plan").stderr
    assert "row 'a': of 'ssd': tta: its model takes images of one size only" in told
    assert "row 'b': of 'a': that row has no detector of its own" in told
    assert "row 'c': gpus: it does not train" in told
    assert "row 'c': checkpoint: zoo tells 80 classes apart, and the data has 10" in told
    absent = bench.experiment.with_name("absent.pth")
    assert f"row 'd': checkpoint: {absent}: no such file; give" in told
    training = {"optim_wrapper.optimizer.lr": 0.1, "load_from": "other.pth"}
    given = {"name": "given", "config": "ssd300_coco", "checkpoint": ADDRESS, "set": training}
    _rows(bench, ssd, given)
    told = bench.here("plan").stderr
    assert "row 'given': set: load_from would be evaluated in the place of 'checkpoint'" in told
    assert "row 'given': set: optim_wrapper.optimizer.lr: it does not train" in told
    _rows(bench, ssd, *rows[-1:])
    assert "load_from" in bench.here("plan").stderr


def test_a_profile_leaves_given_weights_their_model_and_their_images(
    tmp_path: Path, synthetic_data: Path
) -> None:
    """The same images are evaluated as of other rows, in the size that the weights are of."""
    config = {"config": "faster-rcnn_r50_fpn_1x_coco"}
    experiment = variant(tmp_path, lambda _: None)
    bench = Bench(synthetic_data, tmp_path / "results", experiment)
    _rows(bench, {"name": "given", "checkpoint": ADDRESS, **config}, {"name": "trained", **config})
    request = Request(experiment, bench.results, data_root=synthetic_data, profile="smoke")
    given, trained = (
        run for run in make_plan(replace(request, seeds=(3, 4))).runs if run.spec.seed in (0, 3)
    )
    assert given.spec.seed == 0  # the experiment's: nothing is drawn
    whole = (run for run in make_plan(replace(request, profile="full")).runs)
    assert given.config == next(whole).config
    assert given.config["model"]["test_cfg"]["rcnn"]["score_thr"] == 0.05
    assert given.config["val_dataloader"]["dataset"]["pipeline"][1]["scale"] == (1333, 800)
    taken = trained.config["val_dataloader"]["dataset"]["indices"]
    assert given.spec.making["indices"] == taken is not None
    assert "pretrained" not in str(given.config["model"]).lower()
    listed = bench.here("weights", "--rows", "given").stdout
    assert f"{ADDRESS}, for row given" in listed and "torchvision" not in listed
    told = bench.here("plan", "--rows", "given", "--build").stdout
    assert "no row that is to be made trains: there is nothing to try out" in told
