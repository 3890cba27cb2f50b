"""Labels that a finished row speaks against: ``detboard data check EXPERIMENT --row NAME``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import TINY, here
from desk import Desk, make_desk
from PIL import Image

from benchmark.data.annotations import read_annotations
from benchmark.run.plan import Request, make_plan
from benchmark.statistics.evaluation import Detections, GroundTruth, write_predictions
from benchmark.statistics.matches import match
from benchmark.statistics.suspects import sureness, suspects

CLASSES = ["platelet", "cell"]
Box = tuple[int, str, tuple[float, float, float, float], float]  # image, class, xywh, score

LABELS: list[tuple[int, str, tuple[int, int, int, int], int]] = [  # the last: a crowd
    *((image, "platelet", (4, 4, 20, 20), 0) for image in (1, 2, 3)),
    *((image, "cell", (40, 10, 30, 30), 0) for image in (1, 2, 3)),
    (3, "cell", (90, 0, 38, 64), 1),
]
RIGHT: list[Box] = [
    *((image, "platelet", (4, 4, 20, 20), 0.7) for image in (1, 2, 3)),
    (1, "cell", (40, 10, 30, 30), 0.75),
]
UNLABELLED: Box = (1, "cell", (100, 30, 20, 20), 0.95)
MISNAMED: Box = (2, "platelet", (40, 10, 30, 30), 0.9)
MISPLACED: Box = (3, "cell", (55, 10, 30, 30), 0.8)
SILENT: list[Box] = [
    (1, "platelet", (100, 30, 20, 19), 0.85),  # the same place again
    (2, "platelet", (41, 10, 30, 30), 0.8),  # the same label again
    (1, "cell", (80, 30, 10, 10), 0.2),  # below what the row is sure of
    (3, "platelet", (95, 10, 10, 10), 0.9),  # in the crowd
    (1, "cell", (38, 10, 30, 30), 0.72),  # a label that was found
]


def coco() -> dict[str, Any]:
    sized = {"width": 128, "height": 64}
    names = {key: f"dir/val{key}.png" for key in (1, 2, 3)}
    return {
        "images": [{"id": key, "file_name": name} | sized for key, name in names.items()],
        "annotations": [
            {"id": 100 + number, "image_id": image, "category_id": 1 + CLASSES.index(name)}
            | {"bbox": box, "area": box[2] * box[3], "iscrowd": crowd}
            for number, (image, name, box, crowd) in enumerate(LABELS)
        ],
        "categories": [{"id": key, "name": name} for key, name in enumerate(CLASSES, 1)],
    }


def found(*boxes: Box) -> Detections:
    return Detections.from_coco(
        [
            {"image_id": i, "category_id": 1 + CLASSES.index(name), "bbox": box, "score": score}
            for i, name, box, score in boxes
        ]
    )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    data = tmp_path / "data"
    (data / "images" / "dir").mkdir(parents=True)
    random = np.random.default_rng(0)  # near-duplicates would be of one fold
    for split in ("train", "val"):
        content = coco()
        for image in content["images"]:
            image["file_name"] = image["file_name"].replace("val", split)
            coarse = Image.fromarray(random.integers(0, 99, (4, 8, 3), np.uint8))
            coarse.resize((128, 64)).save(data / "images" / image["file_name"])
        (data / f"{split}.json").write_text(json.dumps(content))
    return make_desk(tmp_path / "desk", data)


def leave(desk: Desk, row: str, *boxes: Box) -> None:
    """The boxes of a row's run, as its job leaves them."""
    request = Request(desk.experiment, desk.results, data_root=desk.data, rows=(row,))
    (run,) = make_plan(request).runs
    truth = GroundTruth(read_annotations(desk.data / "val.json").to_coco())
    detections = found(*boxes)
    write_predictions(run.folder.predictions_file, detections)
    match(truth, detections, [1, 2, 3], CLASSES).save(run.folder.matches_file)


def check(desk: Desk, *more: str) -> tuple[int, str, str]:
    where = ["--data-root", str(desk.data), "--results", str(desk.results)]
    done = here(["data", "check", str(desk.experiment), *where, *more])
    return done.returncode, done.stdout, done.stderr


def listed(folder: Path) -> list[dict[str, str]]:
    with (folder / "suspects.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_suspect_is_listed_once_with_the_surest_first(desk: Desk) -> None:
    leave(desk, "plain", *RIGHT, *SILENT, MISPLACED, MISNAMED, UNLABELLED)
    status, said, errors = check(desk, "--row", "plain")
    assert (status, errors) == (0, "")
    assert max(map(len, said.splitlines()[:-1])) <= 80
    flat = " ".join(said.split())
    assert "Row 'plain', seed 0 (mAP50 0.4000, 3 images): 3 suspect labels" in flat
    assert "1 0.95 cell, where nothing is labelled: in dir/val1.png at 100,30 (20x20)" in flat
    assert "2 0.90 platelet, labelled cell (IoU 1.00, annotation 104): in dir/val2.png" in flat
    assert "3 0.80 cell, whose label lies at 40,10 (30x30) (IoU 0.33, annotation 105): in" in flat
    assert "It is not an error: the row may be wrong" in flat

    folder = desk.results / "tiny-suspects" / "plain"
    rows = listed(folder)
    kinds = [(row["rank"], row["kind"], row["annotation_id"]) for row in rows]
    assert kinds == [("1", "unlabelled", ""), ("2", "class", "104"), ("3", "box", "105")]
    assert [row["picture"] for row in rows] == [f"suspect-000{n}.png" for n in (1, 2, 3)]
    picture = np.asarray(Image.open(folder / rows[2]["picture"]))
    assert picture.shape[:2] == (256, 512)  # four times as large
    vermillion, blue = (213, 94, 0), (0, 114, 178)
    assert tuple(picture[100, 220]) == vermillion  # the left edge of what was found
    assert tuple(picture[100, 160]) == blue  # that of its label
    named = np.asarray(Image.open(folder / rows[1]["picture"]))
    beside = named[
        24:40, 290:340
    ]  # what was found lies over its label: the text names both, past the box
    assert (beside == vermillion).all(axis=2).any()


def test_pictures_go_where_asked_and_only_those_of_before_are_replaced(desk: Desk) -> None:
    leave(desk, "plain", *RIGHT, MISNAMED, UNLABELLED)
    folder = desk.folder / "mine"
    assert check(desk, "--row", "plain", "--pictures", str(folder))[0] == 0
    (folder / "notes.png").write_text("mine")
    assert len(list(folder.glob("suspect-*.png"))) == 2
    leave(desk, "plain", *RIGHT, MISNAMED)
    assert check(desk, "--row", "plain", "--pictures", str(folder))[0] == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "notes.png",
        "suspect-0001.png",
        "suspects.csv",
    ]
    assert not (desk.results / "tiny-suspects").exists()


def test_an_image_that_is_not_there_costs_its_picture(desk: Desk) -> None:
    leave(desk, "plain", *RIGHT, MISNAMED, UNLABELLED)
    (desk.data / "images" / "dir" / "val1.png").unlink()
    status, _, errors = check(desk, "--row", "plain")
    assert status == 0
    assert "val1.png: is not there" in errors
    assert [row["picture"] for row in listed(desk.results / "tiny-suspects" / "plain")] == [
        "",
        "suspect-0002.png",
    ]


def test_a_row_that_finds_nothing_says_nothing_of_labels(desk: Desk) -> None:
    leave(desk, "plain", UNLABELLED)
    status, said, _ = check(desk, "--row", "plain")
    assert status == 0
    assert "it finds no object, so that its boxes say nothing about labels" in " ".join(
        said.split()
    )
    leave(desk, "plain")
    assert "it finds no object" in " ".join(check(desk, "--row", "plain")[1].split())


def test_a_row_that_is_wrong_more_often_than_right_is_called_so(desk: Desk) -> None:
    poor = "It is wrong more often than right: it says little about labels."
    leave(desk, "plain", *RIGHT, UNLABELLED, MISNAMED)
    assert poor not in " ".join(check(desk, "--row", "plain")[1].split())
    leave(desk, "plain", RIGHT[0], UNLABELLED, MISNAMED, MISPLACED)
    assert poor in " ".join(check(desk, "--row", "plain")[1].split())


def test_over_folds_every_image_that_was_divided_is_looked_at(desk: Desk) -> None:
    desk.change(lambda content: content.update(folds=3))
    desk.run_all()
    runs = make_plan(
        Request(desk.experiment, desk.results, data_root=desk.data, rows=("plain",))
    ).runs
    for run in runs:
        annotations = read_annotations(run.spec.dataset.val.annotations)
        (image,) = annotations.images.ids.tolist()
        own = [box for box in (*RIGHT, UNLABELLED, MISNAMED, MISPLACED) if box[0] == image]
        detections, truth = found(*own), GroundTruth(annotations.to_coco())
        write_predictions(run.folder.predictions_file, detections)
        match(truth, detections, [image], CLASSES).save(run.folder.matches_file)
    status, said, errors = check(desk, "--row", "plain")
    assert status == 0, errors
    flat = " ".join(said.split())
    assert "(mAP50 0.4000/0.4000/0.4000, 3 images): 3 suspect labels" in flat
    rows = listed(desk.results / "tiny-suspects" / "plain")
    assert [(row["image_id"], row["kind"]) for row in rows] == [
        ("1", "unlabelled"),
        ("2", "class"),
        ("3", "box"),
    ]
    assert all(row["picture"] for row in rows)


def test_what_is_missing_is_said(desk: Desk) -> None:
    status, _, errors = check(desk, "--row", "plian")
    assert status == 2 and "did you mean 'plain'" in errors
    status, _, errors = check(desk, "--row", "plain", "--strict")
    assert status == 2 and "--strict: goes without --row" in errors
    status, _, errors = check(desk, "--row", "plain", "--profile", "full")
    assert status == 2 and "no run of it is complete in" in errors and "profile full" in errors
    status, _, errors = check(desk, "--row", "plain")
    assert status == 2 and "matches.npz: is missing" in errors
    leave(desk, "plain", *RIGHT)
    (path,) = desk.results.glob("runs/plain-*/predictions.json")
    path.write_text("[{}]")
    status, _, errors = check(desk, "--row", "plain")
    assert status == 2 and f"{path}: cannot be read as COCO results" in errors
    assert here(["data", "check", str(desk.data), "--row", "plain"]).returncode == 2
    done = here(["data", "check", str(TINY), "--pictures", "there"])
    assert done.returncode == 2 and "--pictures: goes with --row" in done.stderr


def test_a_row_is_sure_from_where_its_f1_is_highest() -> None:
    truth = GroundTruth(coco())

    def sure(*boxes: Box) -> Any:
        return sureness(match(truth, found(*boxes), [1, 2, 3], CLASSES))

    best = sure(*RIGHT, UNLABELLED, SILENT[2])
    assert (best.score, best.precision, best.recall) == pytest.approx((0.7, 4 / 5, 4 / 6))
    assert sure(UNLABELLED) is None
    assert sure() is None
    # of boxes with one score all count, or none
    tied = sure((1, "cell", (40, 10, 30, 30), 0.5), (1, "cell", (100, 30, 20, 20), 0.5))
    assert (tied.score, tied.precision) == (0.5, 0.5)


def test_a_score_at_the_border_is_sure() -> None:
    truth = GroundTruth(coco())
    made = found(*RIGHT, UNLABELLED)
    assert len(suspects(truth, made, [1, 2, 3], CLASSES, UNLABELLED[3])) == 1
    assert not suspects(truth, made, [1, 2, 3], CLASSES, UNLABELLED[3] + 1e-9)
    assert not suspects(truth, made, [2, 3], CLASSES, 0.5)


def test_boxes_that_the_row_is_not_sure_of_bear_out_no_label() -> None:
    truth = GroundTruth(coco())
    unsure = [(image, "cell", (40, 10, 30, 30), 0.1) for image in (2, 3)]
    boxes = [unsure[0], MISNAMED, unsure[1], MISPLACED]
    for made in (found(*boxes), found(*boxes[::-1])):
        listed = suspects(truth, made, [1, 2, 3], CLASSES, 0.5)
        assert [(one.kind, one.thing) for one in listed] == [("class", 4), ("box", 5)]
        assert [made.scores[one.detection] for one in listed] == [MISNAMED[3], MISPLACED[3]]
