"""What labelling tools and long ids make of an annotation file, through a whole run."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import variant
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.experiment.experiment import Tracking
from benchmark.files import read_jsonl
from benchmark.job.job import run_job
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.statistics.matches import Matches

NAME = "tin\u2028can\x85"  # U+2028 and U+0085 end a line for str.splitlines


def export(content: dict[str, Any]) -> None:
    """Turns an annotation file into one whose ids no float holds, with optional fields as exports have them."""
    large = {image["id"]: 2**62 + 37 * image["id"] for image in content["images"]}
    kinds = {kind["id"]: 2**63 - 100 + kind["id"] for kind in content["categories"]}
    content["info"] = {"year": "2024", "version": "", "date_created": None}
    content["licenses"] = None
    content["categories"][0]["name"] = NAME
    for image in content["images"]:
        image.update(id=large[image["id"]], license=None, date_captured=0)
    for number, thing in enumerate(content["annotations"]):
        x, y, w, h = thing["bbox"]
        flat = [x, y, x + w, y, x + w, y + h, x, y + h]
        thing.update(id=2**60 + number, segmentation=flat, attributes={"rotation": 0.0})
        thing.update(image_id=large[thing["image_id"]], category_id=kinds[thing["category_id"]])
    for kind in content["categories"]:
        kind.update(id=kinds[kind["id"]], supercategory=None)


@pytest.fixture(scope="module")
def data(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "data"
    folder.mkdir()
    (folder / "images").symlink_to(synthetic_data / "images")
    for name in ("train.json", "val.json"):
        content = json.loads((synthetic_data / name).read_text())
        export(content)
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return folder


def longer(content: dict[str, Any]) -> None:
    """One row, trained until it finds something."""
    (row, *_) = content["rows"]
    row["set"] = {"train_cfg.max_epochs": 8, "train_cfg.val_interval": 4}
    content["rows"] = [row]


@pytest.fixture(scope="module")
def report(
    data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunFolder, Callable[[str], str]]:
    """A run on the export, and the text of each file of the report on it."""
    folder = tmp_path_factory.mktemp("exported")
    experiment, results = variant(folder, longer), folder / "results"
    (run,) = make_plan(Request(experiment, results, data_root=data)).runs
    prepare(run)
    run_job(run.folder.path, JobOptions(Tracking(mode="off"), Resources(gpus=(), threads=1)))
    shown = ["report", str(experiment), "--results", str(results), "--data-root", str(data)]
    done = CliRunner().invoke(app, shown)
    assert done.exit_code == 0, done.output
    return run.folder, lambda name: (results / name).read_text(encoding="utf-8")


def by_pycocotools(annotations: Path, predictions: Path) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        run = COCOeval(truth, truth.loadRes(str(predictions)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return [float(value) for value in run.stats[:6]]


@pytest.mark.trains
def test_an_export_with_long_ids_has_the_numbers_of_pycocotools(
    report: tuple[RunFolder, Callable[[str], str]], data: Path
) -> None:
    folder, _ = report
    record = folder.read_record()
    assert record.state == "complete", record.failure
    scores = [record.score(key) for key in ("mAP", "mAP50", "mAP75", "mAP_s", "mAP_m", "mAP_l")]
    theirs = by_pycocotools(data / "val.json", folder.predictions_file)
    assert [-1 if value is None else value for value in scores] == pytest.approx(theirs, abs=1e-12)
    assert theirs[1] > 0
    assert record.missing is None


@pytest.mark.trains
def test_an_export_keeps_its_ids_and_names_everywhere(
    report: tuple[RunFolder, Callable[[str], str]], data: Path
) -> None:
    folder, text = report
    content = json.loads((data / "val.json").read_text(encoding="utf-8"))
    ids = {key: {entry["id"] for entry in content[key]} for key in ("images", "categories")}
    predicted = json.loads(folder.predictions_file.read_text())
    assert {box["image_id"] for box in predicted} <= ids["images"]
    assert {box["category_id"] for box in predicted} <= ids["categories"]
    matches = Matches.load(folder.matches_file)
    assert matches.image_ids.tolist() == sorted(ids["images"])
    assert matches.image_ids.dtype == np.int64
    assert matches.classes[0] == NAME
    points = [point for point in read_jsonl(folder.metrics_file) if point["kind"] == "val"]
    assert [set(point["per_class"]) == set(matches.classes) for point in points] == [True, True]
    assert json.loads(text("tiny.json"))["rows"][0]["per_class"][NAME]
    labels = {
        box["label"]
        for image in json.loads(folder.samples_file.read_text())
        for box in image["truth"]
    }
    assert NAME in labels
    assert "\u2028" in text("tiny.html") or "\\u2028" in text("tiny.html")
