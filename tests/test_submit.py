"""Boxes of a row on the test split, as files to hand in."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import here, variant
from test_given_rows import Boxes, Given, found, truth_of

from benchmark.data.annotations import read_annotations
from benchmark.data.boxes.base import Target
from benchmark.data.boxes.read import read_boxes
from benchmark.statistics.evaluation import Detections, GroundTruth


@pytest.fixture
def given(tmp_path: Path, synthetic_data: Path) -> Iterator[Given]:
    """A row with boxes on a test split of the same images as val, and one without."""
    data = tmp_path / "data"
    shutil.copytree(synthetic_data, data, symlinks=True)
    (data / "test.json").write_text(json.dumps({**truth_of(data), "info": {"of": "test"}}))

    def rows(experiment: dict[str, Any]) -> None:
        both = {"val": "val.boxes", "test": "test.boxes"}
        experiment["rows"] = [
            {"name": "both", "predictions": both},
            {"name": "alone", "predictions": "val.boxes"},
        ]

    bench = Given(data, tmp_path / "results", variant(tmp_path, rows))
    bench.write("val.boxes", found(data))
    bench.write("test.boxes", boxes_of_test(data))
    yield bench


def boxes_of_test(data: Path) -> Boxes:
    """Boxes whose corners and scores float32 holds, one of them twice with another score."""
    boxes = found(data, skip=5)
    shifts = np.random.default_rng(0).random(len(boxes)).astype(np.float32).tolist()
    moved = [
        {**box, "bbox": [box["bbox"][0] + shift, *box["bbox"][1:]], "score": shift}
        for box, shift in zip(boxes, shifts, strict=True)
    ]
    return [*moved, {**moved[0], "score": 0.015625}]


def by_image(boxes: Boxes) -> Boxes:
    return sorted(boxes, key=lambda box: (box["image_id"], -box["score"]))


@pytest.mark.parametrize("name", ["csv", "coco"])
def test_what_is_handed_in_evaluates_as_what_was_found(given: Given, name: str) -> None:
    assert given.sweep("--rows", "both").returncode == 0
    path = given.experiment.parent / "out" / f"mine.{name}"
    done = given.here("submit", "both", "--format", name, "-o", str(path))
    assert done.returncode == 0, done.stderr
    boxes = boxes_of_test(given.data)
    (folder,) = given.folders().values()
    assert f"wrote {path}: {len(boxes)} boxes in 11 of 12 images, of runs/" in done.stdout
    truth = read_annotations(given.data / "test.json")
    again = read_boxes(path, Target.of("test", truth)).detections
    assert by_image(again.to_coco()) == by_image(boxes)  # type: ignore[arg-type]
    scores = GroundTruth(truth.to_coco()).evaluate(again).scores
    tested = folder.tested_if_any()
    assert tested is not None and tested.metrics.scores == scores
    kept = GroundTruth(truth.to_coco()).evaluate(Detections.from_coco(boxes))  # type: ignore[arg-type]
    assert kept.scores == scores


def test_a_csv_as_it_is_to_be_handed_in(given: Given) -> None:
    assert given.sweep("--rows", "both").returncode == 0
    done = given.here("submit", "both", "--format", "csv", "--max-per-image", "1")
    (folder,) = given.folders().values()
    path = given.results / "submissions" / f"{folder.path.name}.csv"
    assert str(path) in done.stdout
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    truth = json.loads((given.data / "test.json").read_text())
    assert list(lines[0]) == ["PredictionString", "image_id"]
    assert [line["image_id"] for line in lines] == [i["file_name"] for i in truth["images"]]
    assert [len(line["PredictionString"].split()) for line in lines].count(0) == 1
    boxes = boxes_of_test(given.data)
    place, image = next(
        (n, i) for n, i in enumerate(truth["images"]) if i["id"] == boxes[0]["image_id"]
    )
    best = max((b for b in boxes if b["image_id"] == image["id"]), key=lambda box: box["score"])
    label, *numbers = lines[place]["PredictionString"].split()
    left, top, width, height = best["bbox"]
    assert int(label) == [c["id"] for c in truth["categories"]].index(best["category_id"])
    corners = [left, top, left + width, top + height]
    assert [float(number) for number in numbers] == [best["score"], *corners]
    given.here("submit", "both", "--format", "csv", "--score-thr", "0.5")
    high = path.read_text().count(" ") // 5
    assert high == sum(box["score"] >= 0.5 for box in boxes)


def test_what_is_not_there_is_told_with_the_command_that_makes_it(given: Given) -> None:
    waiting = given.here("submit", "both", "--format", "csv")
    assert waiting.returncode == 2
    sweep = f"'detboard sweep {given.experiment} --rows both --seeds 0 --data-root {given.data}"
    assert f"is waiting: {sweep} --results {given.results}' makes it" in waiting.stderr

    assert given.sweep().returncode == 0
    alone = given.here("submit", "alone", "--format", "csv")
    assert alone.returncode == 2
    assert (
        "has no boxes of the test split: its boxes of the test split are not known" in alone.stderr
    )
    compared = here(
        ["compare", "both", "alone", "--split", "test", "--results", str(given.results)]
    )
    assert "are not known): compare on the validation images with --split val" in compared.stderr
    other = given.here("submit", "both", "--format", "csv", "--seed", "3")
    assert other.returncode == 2
    assert "--seed 3: the row has no run of this seed; it has 0" in other.stderr

    truth = json.loads((given.data / "test.json").read_text())
    (given.data / "test.json").write_text(json.dumps({**truth, "info": {"version": "2"}}))
    changed = given.here("submit", "both", "--format", "csv")
    assert changed.returncode == 2
    assert "are of another test split than there is now: 'detboard sweep" in changed.stderr
    (given.data / "test.json").unlink()
    gone = given.here("submit", "both", "--format", "csv")
    assert gone.returncode == 2
    assert "has no test split, of which boxes could be handed in" in gone.stderr
    mistyped = given.here("submit", "bath", "--format", "csv").stderr
    assert "bath: no such row in " in mistyped and "--rows" not in mistyped


def test_a_fused_row_is_made_with_the_rows_that_it_is_made_from(given: Given) -> None:
    given.change(lambda e: e["rows"].append({"name": "fused", "fuse": {"rows": ["both", "alone"]}}))
    waiting = given.here("submit", "fused", "--format", "csv").stderr
    assert f"sweep {given.experiment} --rows fused,both,alone --data-root" in waiting
    assert given.sweep("--rows", "fused,both,alone").returncode == 0
    truth = json.loads((given.data / "test.json").read_text())
    (given.data / "test.json").write_text(json.dumps({**truth, "info": {"version": "2"}}))
    alone = given.sweep("--rows", "fused")
    assert alone.returncode == 2
    assert "which is not evaluated on the test split yet: sweep that row, too" in alone.stderr
    assert (
        "row 'fused': it is made from runs/both-s0" in given.here("plan", "--rows", "fused").stderr
    )
    assert given.sweep().returncode == 0


def test_nothing_but_a_file_is_written_over(given: Given, tmp_path: Path) -> None:
    assert given.sweep("--rows", "both").returncode == 0
    make: dict[str, Callable[[Path], object]] = {
        "device": lambda path: path.symlink_to(os.devnull),
        "pipe": os.mkfifo,
        "folder": Path.mkdir,
    }
    for kind, made in make.items():
        made(tmp_path / kind)
        told = given.here("submit", "both", "--format", "csv", "-o", str(tmp_path / kind))
        assert told.returncode == 2
        assert f"{tmp_path / kind}: is there, and is no file: name another" in told.stderr
        assert not (tmp_path / kind).is_file()


def test_boxes_of_the_wrong_split_are_told(given: Given) -> None:
    given.change(lambda e: e["rows"][0]["predictions"].update(test="train.boxes"))
    given.write("train.boxes", found(given.data, split="train"))
    told = given.here("plan")
    assert told.returncode == 2
    train = given.data / "train.json"
    assert f"of the train split, {train}" in told.stderr
    (given.data / "test.json").unlink()
    told = given.here("plan")
    assert told.returncode == 2
    assert "row 'both': predictions.test: the data has no such split; leave" in told.stderr


def test_what_the_file_of_a_secret_split_leaves_open_that_of_val_tells(given: Given) -> None:
    truth = truth_of(given.data)
    (given.data / "test.json").write_text(json.dumps({"images": truth["images"]}))
    # From 0, and without the first class and the last one: nothing in the file tells.
    boxes = [
        {**box, "category_id": box["category_id"] - 1}
        for box in boxes_of_test(given.data)
        if 1 < box["category_id"] < 10
    ]
    given.write("test.boxes", boxes)
    val = [{**box, "category_id": box["category_id"] - 1} for box in found(given.data)]
    given.write("val.boxes", val)
    done = given.sweep("--rows", "both")
    assert done.returncode == 0, done.stderr
    told = "category numbers count from 0 in the order of the classes, as in the file of val"
    assert told in done.stderr
    assert given.here("submit", "both", "--format", "coco").returncode == 0
    (path,) = (given.results / "submissions").iterdir()
    handed = json.loads(path.read_text())
    assert sorted(box["category_id"] for box in handed) == sorted(
        box["category_id"] + 1 for box in boxes
    )


def test_boxes_of_the_test_split_alone(given: Given) -> None:
    def alone(experiment: dict[str, Any]) -> None:
        experiment["rows"][1] = {"name": "alone", "predictions": {"test": "test.boxes"}}
        experiment["rows"].append({"name": "fused", "fuse": {"rows": ["alone", "both"]}})

    given.change(alone)
    done = given.sweep()
    assert done.returncode == 0, done.stderr
    both, only = given.board()["both"], given.board()["alone"]
    assert only["values"]["map50"] is None and only["values"]["rank"] is None
    why = "given boxes of the test split alone: no val score"
    assert only["missing"]["map50"] == why
    assert given.board()["fused"]["missing"]["map50"] == f"made from alone, {why}"
    assert only["values"]["test_map50"] == both["values"]["test_map50"] > 0
    assert "nothing to do" in given.sweep().stdout
    assert given.here("submit", "alone", "--format", "csv").returncode == 0
    (given.data / "test.json").unlink()
    given.change(lambda e: e["rows"].pop())
    told = given.here("plan").stderr
    assert "alone: given boxes of the test split alone, and nothing judges it: give a test" in told


def test_a_row_that_no_split_will_judge_is_told(given: Given) -> None:
    def apart(experiment: dict[str, Any]) -> None:
        both = experiment["rows"][0]["predictions"]
        experiment["rows"] = [
            {"name": "val", "predictions": both["val"]},
            {"name": "test", "predictions": {"test": both["test"]}},
            {"name": "fused", "fuse": {"rows": ["val", "test"]}},
            {"name": "again", "fuse": {"rows": ["fused", "test"]}},
        ]

    given.change(apart)
    told = given.here("plan")
    assert told.returncode == 0, told.stderr
    (line,) = [line for line in told.stderr.splitlines() if "nothing judges it" in line]
    assert line.startswith("warning: fused, again: ")
    assert "its boxes of the test split are not known" in line
