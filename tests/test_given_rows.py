"""Rows whose boxes come from files: checked before anything is made, then judged as any other row."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import Bench, here, variant

from benchmark.experiment.experiment import Tracking
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.statistics.evaluation import Detections, GroundTruth

pytestmark = pytest.mark.usefixtures("no_plots")

Boxes = list[dict[str, Any]]
_NOTED = "complete\nNoted in coco, named:\n  boxes in 11 of 12 images\n"
PHOTOS = os.environ.get("DETBOARD_TEST_DATA")


def truth_of(data: Path, split: str = "val") -> dict[str, Any]:
    return json.loads((data / f"{split}.json").read_text())


def found(data: Path, shift: float = 1.0, skip: int = 4, split: str = "val") -> Boxes:
    """COCO results: the true boxes, moved to the right, without every ``skip``-th."""
    boxes = truth_of(data, split)["annotations"]
    return [
        {
            "image_id": box["image_id"],
            "category_id": box["category_id"],
            "bbox": [box["bbox"][0] + shift, *box["bbox"][1:]],
            "score": round(0.9 - n / 1000, 4),
        }
        for n, box in enumerate(boxes)
        if n % skip
    ]


def as_ultralytics(boxes: Boxes, data: Path) -> Boxes:
    """The same as Ultralytics writes it: file stems as ids, and file names."""
    name_of = {image["id"]: image["file_name"] for image in truth_of(data)["images"]}
    return [
        {**box, "image_id": Path(name).stem, "file_name": Path(name).name}
        for box in boxes
        for name in [name_of[box["image_id"]]]
    ]


def as_csv(boxes: Boxes, data: Path) -> str:
    truth = truth_of(data)
    label_of = {category["id"]: n for n, category in enumerate(truth["categories"])}
    lines = ["PredictionString,image_id"]
    for image in truth["images"]:
        own = [box for box in boxes if box["image_id"] == image["id"]]
        words = [
            f"{label_of[box['category_id']]} {box['score']} {x} {y} {x + w} {y + h}"
            for box in own
            for x, y, w, h in [box["bbox"]]
        ]
        lines.append(f"{' '.join(words)},{image['file_name']}")
    return "\n".join(lines)


class Given(Bench):
    """An experiment whose rows are given boxes."""

    def write(self, name: str, boxes: Boxes | str) -> str:
        path = self.experiment.parent / name
        path.write_text(boxes if isinstance(boxes, str) else json.dumps(boxes))
        return name

    def change(self, how: Callable[[dict[str, Any]], None]) -> None:
        content = yaml.safe_load(self.experiment.read_text())
        how(content)
        self.experiment.write_text(yaml.safe_dump(content))

    def sweep(self, *more: str) -> Any:
        return self.here("sweep", "--launcher", "inprocess", "--wandb", "off", *more)

    def folders(self) -> dict[str, RunFolder]:
        paths = (self.results / "runs").glob("*-s*")
        return {path.name.rpartition("-")[0]: RunFolder(path) for path in sorted(paths)}

    def board(self) -> dict[str, Any]:
        content = json.loads((self.results / "tiny.json").read_text())
        return {row["row"]: row for row in content["rows"]}


@pytest.fixture
def given(tmp_path: Path, synthetic_data: Path) -> Iterator[Given]:
    """Two rows: ``coco`` from COCO results, and ``named`` from what Ultralytics writes, for two seeds."""

    def rows(experiment: dict[str, Any]) -> None:
        experiment["rows"] = [
            {"name": "coco", "predictions": "coco.json", "labels": {"Model": "YOLO"}},
            {"name": "named", "predictions": ["first.json", "second.json"]},
        ]

    bench = Given(synthetic_data, tmp_path / "results", variant(tmp_path, rows))
    bench.write("coco.json", found(synthetic_data))
    bench.write("first.json", as_ultralytics(found(synthetic_data, 2.0, 3), synthetic_data))
    bench.write("second.json", as_ultralytics(found(synthetic_data, 3.0, 3), synthetic_data))
    yield bench


@pytest.mark.slow
def test_they_are_judged_beside_each_other(given: Given) -> None:
    done = given.sweep()
    assert done.returncode == 0, done.stderr
    runs = given.folders()
    assert list(runs) == ["coco-s0-tiny", "named-s0-tiny", "named-s1-tiny"]

    truth = GroundTruth(truth_of(given.data))
    boxes = Detections.from_coco(found(given.data))  # type: ignore[arg-type]
    record = runs["coco-s0-tiny"].read_record()
    expected = truth.evaluate(boxes)
    assert record.metrics.scores == expected.scores
    assert record.metrics.per_class == expected.per_class

    board = given.board()
    assert [row["values"]["model"] for row in board.values()] == ["YOLO", "first, second"]
    for row in board.values():
        assert row["values"]["rank"] and row["values"]["interval"], row
        assert "not trained here" in row["missing"]["train_seconds"]
        assert "not trained here" in row["missing"]["params"]
    assert board["named"]["notes"] == ["boxes in 11 of 12 images"]
    assert (given.results / "tiny.md").read_text().count("—") > 2
    assert "nothing to do" in given.sweep().stdout
    assert _NOTED in given.here("plan").stdout
    assert given.here("report", "--check").returncode == 0
    told = here(["compare", "coco", "named", "--json", "--results", str(given.results)])
    compared = json.loads(told.stdout)
    values = [row["values"]["map50"] for row in board.values()]
    assert [compared[side]["mAP50"] for side in "ab"] == values
    assert all(folder.samples_file.exists() for folder in runs.values())


@pytest.mark.skipif(PHOTOS is None, reason="DETBOARD_TEST_DATA names no folder with photographs")
def test_on_photographs(tmp_path: Path) -> None:
    data = Path(str(PHOTOS))
    boxes = as_ultralytics(found(data), data)

    def rows(experiment: dict[str, Any]) -> None:
        experiment.update(profile="full", rows=[{"name": "yolo", "predictions": "yolo.json"}])

    bench = Given(data, tmp_path / "results", variant(tmp_path, rows))
    bench.write("yolo.json", boxes)
    done = bench.sweep()
    assert done.returncode == 0, done.stderr
    (folder,) = bench.folders().values()
    scores = GroundTruth(truth_of(data)).evaluate(Detections.from_coco(found(data))).scores  # type: ignore[arg-type]
    assert folder.read_record().metrics.scores == scores
    assert 0.3 < (scores["mAP50"] or 0) < 1


def test_a_csv_gives_the_record_of_the_same_boxes(given: Given) -> None:
    boxes = found(given.data)
    given.write("boxes.csv", as_csv(boxes, given.data))
    given.change(lambda e: e["rows"].append({"name": "csv", "predictions": "boxes.csv"}))
    assert given.sweep("--rows", "coco,csv").returncode == 0
    runs = given.folders()
    csv, coco = (runs[f"{name}-s0-tiny"].read_record() for name in ("csv", "coco"))
    assert csv.metrics == coco.metrics
    assert csv.tide == coco.tide


def test_the_id_holds_what_is_in_the_file_and_not_where_it_lies(given: Given) -> None:
    def planned() -> list[str]:
        return given.here("plan").stdout.split("\n")

    def ids() -> list[str]:
        words = [word for line in planned() for word in line.split()]
        return [word for word in words if "-tiny-" in word]

    before = ids()
    (given.experiment.parent / "boxes").mkdir()
    shutil.copy(given.experiment.parent / "coco.json", given.experiment.parent / "boxes")
    given.change(lambda e: e["rows"][0].update(predictions="boxes/coco.json"))
    assert ids() == before
    given.write("second.json", as_ultralytics(found(given.data, 4.0), given.data))
    after = ids()
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False]
    # Without its file a row is shown by what was made of it.
    given.sweep()
    (given.experiment.parent / "second.json").unlink()
    assert given.here("report", "--check").returncode == 0
    told = given.here("plan")
    assert told.returncode == 2
    second = given.experiment.parent / "second.json"
    assert f"row 'named': predictions.val: {second}: no such file" in told.stderr


def test_problems_of_all_files_are_told_before_anything_is_made(given: Given) -> None:
    boxes = found(given.data)
    given.write("coco.json", [{**boxes[0], "category_id": 99}, {**boxes[1], "score": 70}])
    # Ids from 1 to 24 are images of train; val has 12.
    given.write("second.json", found(given.data, split="train"))
    for command in ("plan", "sweep"):
        told = given.here(command)
        assert told.returncode == 2
        errors = told.stderr
        first = given.experiment.parent / "coco.json"
        assert f"row 'coco': {first}: categories that are not there (1): 99 (entry 1)" in errors
        assert f"row 'coco': {first}: scores outside 0..1 (1): entry 2" in errors
        train = given.data / "train.json"
        assert f"12 of them are of the train split, {train}" in errors or "they are of" in errors
    assert not given.folders()


def test_a_file_of_another_split_whose_images_have_the_same_ids(given: Given) -> None:
    of_train = [box for box in found(given.data, split="train") if box["image_id"] <= 12]
    given.write("coco.json", [{**box, "bbox": _within(box["bbox"])} for box in of_train])
    told = given.here("plan", "--rows", "coco")
    assert told.returncode == 2
    train = given.data / "train.json"
    assert (
        f"its boxes are of the train split, {train}, whose images have the same ids" in told.stderr
    )


def _within(box: list[float]) -> list[float]:
    """A box that lies inside any of the images, of which the smallest is 84 pixels wide and high."""
    left, top, width, height = box
    return [min(left, 83), min(top, 83), width, height]


def test_what_is_open_in_a_file_the_row_says(given: Given) -> None:
    # Numbers from 1 to 9 of ten classes: ids, or labels from 0; and no box lies on an object.
    boxes = [{**box, "bbox": [1, 1, 3, 3]} for box in found(given.data) if box["category_id"] < 10]
    given.write("coco.json", boxes)
    told = given.here("plan", "--rows", "coco")
    assert told.returncode == 2
    assert "can be read in 2 ways, and too few boxes lie on an object to tell: " in told.stderr
    given.change(lambda e: e["rows"][0].update(categories="from 0"))
    assert given.sweep("--rows", "coco").returncode == 0
    (folder,) = given.folders().values()
    kept = json.loads(folder.predictions_file.read_text())
    assert [box["category_id"] for box in kept] == [box["category_id"] + 1 for box in boxes]
    assert folder.read_record().notes[0].startswith("category numbers count from 0")


def test_a_row_that_is_written_wrong(given: Given) -> None:
    def wrong(experiment: dict[str, Any]) -> None:
        experiment["rows"] = [
            {"name": "a", "predictions": 3},
            {"name": "b", "predictions": {"val": ["x.json", "y.json"], "test": "z.json"}},
            {"name": "c", "predictions": ["x.json", "x.json"]},
            {"name": "d", "predictions": {"train": "x.json"}},
            {"name": "e", "predictions": "x.json", "categories": "from 2"},
        ]

    given.change(wrong)
    told = given.here("plan")
    assert told.returncode == 2
    for line in (
        "rows.0.predictions: give a file, a list of files (one a seed), or a mapping",
        "rows.1.predictions: 'val' has 2 files and 'test' 1; give one of each a seed",
        "rows.2.predictions: 'val' has x.json twice; each file is a seed of its own",
        "rows.3.predictions.train: no such key",
        "rows.4.categories: allowed: from 0, from 1, ids",
    ):
        assert line in told.stderr, told.stderr


def test_a_folder_an_address_and_the_same_file_once_more_are_refused(given: Given) -> None:
    shutil.copy(given.experiment.with_name("first.json"), given.experiment.with_name("copy.json"))

    def wrong(experiment: dict[str, Any]) -> None:
        experiment["rows"] = [
            {"name": "a", "predictions": "."},
            {"name": "b", "predictions": "https://example.org/boxes.json"},
            {"name": "c", "predictions": ["first.json", "second.json", "copy.json"]},
        ]

    given.change(wrong)
    told = given.here("plan")
    assert told.returncode == 2
    folder = given.experiment.parent
    for line in (
        f"row 'a': predictions.val: {folder}: it is a folder; name the file in it",
        "and an address (https://) is not fetched",
        f"row 'c': predictions.val: {folder / 'copy.json'} holds the same as {folder / 'first.json'}",
    ):
        assert line in told.stderr, told.stderr


def test_numbers_of_classes_are_no_problem_of_boxes_that_lie_elsewhere(given: Given) -> None:
    fractions = [
        {**box, "bbox": [side / 1000 for side in box["bbox"]]} for box in found(given.data)
    ]
    given.write("coco.json", fractions)
    told = given.here("plan", "--rows", "coco").stderr
    assert "boxes that are fractions of the image" in told
    assert told.count("row 'coco'") == 1 and "can be read in" not in told
    given.write("coco.json", found(given.data)[:1])
    assert "can be read in 2 ways" in given.here("plan", "--rows", "coco").stderr


@pytest.mark.slow
def test_a_file_that_changes_between_plan_and_job_is_not_taken(given: Given) -> None:
    assert given.sweep("--rows", "coco").returncode == 0
    (folder,) = given.folders().values()
    folder.record_file.unlink()
    given.write("coco.json", found(given.data, 5.0))
    record = _made_again(folder)
    assert record.failure is not None
    assert "is not what this run was planned with" in record.failure.message


def _made_again(folder: RunFolder) -> Any:
    from benchmark.job.job import run_job

    run_job(folder.path, JobOptions(Tracking(mode="off"), Resources(gpus=(), threads=1)))
    return folder.read_record()


def test_labels_of_a_csv_that_count_from_1_are_told_by_the_objects(given: Given) -> None:
    boxes = [
        {**box, "category_id": box["category_id"] + 1}
        for box in found(given.data)
        if box["category_id"] < 10
    ]
    given.write("coco.json", as_csv(boxes, given.data))
    told = given.here("plan", "--rows", "coco")
    assert told.returncode == 2
    assert "so 0 boxes have the class of the object that they overlap" in told.stderr
    assert "say which in the row: 'categories: ids' or 'categories: from 0'" in told.stderr
    for said, word in (("from 1", "mapped"), ("from 0", "so 0 boxes have the class")):
        given.change(lambda e, said=said: e["rows"][0].update(categories=said))  # type: ignore[misc]
        told = given.here("plan", "--rows", "coco")
        assert told.returncode == 0, told.stderr
        assert (word in told.stderr) == (said == "from 0"), told.stderr


@pytest.mark.slow
def test_boxes_of_the_validation_split_that_is_left_aside_are_told(given: Given) -> None:
    boxes = found(given.data)
    given.write("coco.json", boxes)
    given.write("first.json", as_ultralytics(boxes, given.data))
    rows = [
        {"name": "ids", "predictions": "coco.json"},
        {"name": "names", "predictions": "first.json"},
    ]
    given.change(lambda e: e.update(folds=3, rows=rows))
    told = given.here("plan")
    assert told.returncode == 2
    val = given.data / "val.json"
    assert (
        f"coco.json: its boxes are of the val split, {val}, whose images have the same"
        in told.stderr
    )
    assert f"they are of the val split, {val}" in told.stderr
    assert told.stderr.count("error: row") == 2


@pytest.mark.slow
def test_over_a_divided_data_set_one_file_is_judged_fold_by_fold(given: Given) -> None:
    boxes = found(given.data, split="train")
    given.write("coco.json", boxes)
    given.change(lambda e: e.update(folds=3, rows=e["rows"][:1]))
    done = given.sweep()
    assert done.returncode == 0, done.stderr
    runs = given.folders()
    assert list(runs) == [f"coco-s0-f{fold}-tiny" for fold in range(3)]
    judged = []
    for folder in runs.values():
        dataset = folder.read_spec().dataset
        truth = json.loads(dataset.val.annotations.read_text())
        ids = {image["id"] for image in truth["images"]}
        own = [box for box in boxes if box["image_id"] in ids]
        assert json.loads(folder.predictions_file.read_text()) == own
        scores = GroundTruth(truth).evaluate(Detections.from_coco(own)).scores  # type: ignore[arg-type]
        assert folder.read_record().metrics.scores == scores
        judged += sorted(ids)
    assert sorted(judged) == [image["id"] for image in truth_of(given.data, "train")["images"]]
