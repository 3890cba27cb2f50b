"""Boxes as people really have them: what is told of them, and what stops a sweep before any training."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import TINY, variant
from PIL import Image
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.data import memory as memory_module
from benchmark.errors import UserError

Content = dict[str, dict[str, Any]]
SIDE = 96


def content(train: int = 6, val: int = 4, side: int = SIDE) -> Content:
    """Two classes, one box of each in every image: a left and a right one of another size in each."""
    whole: Content = {}
    for split, count in (("train", train), ("val", val)):
        images: list[dict[str, Any]] = []
        boxes: list[dict[str, Any]] = []
        for number in range(1, count + 1):
            name = f"{split}_{number}.png"
            images.append({"id": number, "file_name": name, "width": side, "height": side})
            for category, left in ((1, side // 16), (2, side // 2 + side // 32)):
                across, down = side // 4 + number, side // 3 - number
                box = [left, number * side // 16, across, down]
                boxes.append(
                    {
                        "id": len(boxes) + 1,
                        "image_id": number,
                        "category_id": category,
                        "bbox": box,
                        "area": across * down,
                        "iscrowd": 0,
                    }
                )
        classes = [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}]
        whole[split] = {"images": images, "annotations": boxes, "categories": classes}
    return whole


def write(folder: Path, whole: Content) -> Path:
    (folder / "images").mkdir(parents=True)
    for split in whole:
        (folder / f"{split}.json").write_text(json.dumps(whole[split]))
        for image in whole[split]["images"]:
            size = (image["width"], image["height"])
            Image.new("RGB", size).save(folder / "images" / image["file_name"])
    return folder


def detboard(*arguments: str) -> tuple[int, str]:
    """Status and all output of a command, run in this process."""
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, UserError):
        return 2, done.output + "".join(f"error: {told}\n" for told in done.exception.problems)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def changed(folder: Path, change: Callable[[Content], None]) -> Path:
    """The usual data set with a change, written."""
    whole = content()
    change(whole)
    return write(folder, whole)


def checked(data: Path, *options: str) -> tuple[int, str]:
    return detboard("data", "check", str(data), *options)


def planned(data: Path, experiment: Path = TINY, *options: str) -> tuple[int, str]:
    where = ["--data-root", str(data), "--results", str(data.parent / "results")]
    return detboard("plan", str(experiment), "--rows", "plain", *where, *options)


def problems(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(("error: ", "warning: "))]


def boxes(whole: Content, *splits: str) -> list[dict[str, Any]]:
    return [box for split in splits or whole for box in whole[split]["annotations"]]


def no_height(whole: Content) -> None:
    whole["train"]["annotations"][0].update(bbox=[30, 40, 1.03, 0.0], area=0.0)


def wholly_outside(whole: Content) -> None:
    whole["val"]["annotations"][0]["bbox"] = [200, 200, 20, 20]


def past_the_edge(whole: Content) -> None:
    for box in boxes(whole)[::2]:
        box["bbox"][0] = -12


def negative_areas(whole: Content) -> None:
    for box in boxes(whole, "train")[:4] + boxes(whole, "val")[:2]:
        box["area"] *= -1


def ignored(whole: Content) -> None:
    for box in boxes(whole)[::3]:
        box["ignore"] = 1


def centres(whole: Content) -> None:
    """Of boxes on the left side of their image, and of some in its lower right corner."""
    for number, box in enumerate(boxes(whole)):
        x, y, w, h = box["bbox"]
        x, y = (SIDE - w, SIDE - h) if number % 4 == 1 else (x, y)
        box["bbox"] = [x + w / 2, y + h / 2, w, h]


def no_area_of_a_class(whole: Content) -> None:
    for box in boxes(whole, "train")[::2]:
        box["area"] = 0


def small_images(whole: Content) -> None:
    small = content(side=28)["train"]
    for image in small["images"][:2]:
        whole["train"]["images"][image["id"] - 1].update(image)
    for box, other in zip(whole["train"]["annotations"][:4], small["annotations"], strict=False):
        box.update(bbox=other["bbox"], area=other["area"])


def twice(whole: Content) -> None:
    for split in whole.values():
        again = copy.deepcopy(split["annotations"])
        for box in again:
            box["id"] += 1000
        split["annotations"] += again


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            no_height,
            ["train.json: boxes without width or height, which training leaves out", "(1):"],
        ),
        (no_height, ["train.json: mmdet's filters leave 11 of 12 boxes for training, in 6 of 6"]),
        (wholly_outside, ["val.json: boxes wholly outside their image", "no detection can find"]),
        (
            past_the_edge,
            ["train.json: boxes that pass their image's edge, which training clips", "(6)"],
        ),
        (
            past_the_edge,
            ["val.json: boxes that pass their image's edge, which an evaluation", "(4)"],
        ),
        (
            centres,
            ["train.json", "read as [centre x, centre y, width, height] 100.0% of the file's"],
        ),
        (negative_areas, ["train.json: boxes whose 'area' is not above 0", "leaves out", "(4):"]),
        (negative_areas, ["val.json: boxes whose 'area' is below 0", "takes no notice of", "(2):"]),
        (ignored, ["train.json: boxes that are marked to 'ignore', which training leaves out (4)"]),
        (ignored, ["val.json: boxes that are marked to 'ignore'", "they count (3)"]),
        (no_area_of_a_class, ["classes of which training leaves out every box (1): red"]),
        (
            small_images,
            ["images with a side below 32 pixels, which training leaves out (2): train_1"],
        ),
        (small_images, ["mmdet's filters leave 8 of 12 boxes for training, in 4 of 6 images"]),
        (
            twice,
            ["train.json: boxes that repeat another", "12 too many: objects marked twice? (24)"],
        ),
    ],
)
def test_what_training_copes_with_is_a_warning(
    tmp_path: Path, change: Callable[[Content], None], told: list[str]
) -> None:
    """In the same words wherever data is checked; --strict makes it an error."""
    data = changed(tmp_path / "data", change)
    status, output = checked(data)
    assert status == 0
    assert any(all(part in line for part in told) for line in problems(output)), output
    assert all(line.startswith("warning: ") for line in problems(output))
    strict, errors = checked(data, "--strict")
    assert strict == 1
    assert problems(errors) == [line.replace("warning", "error", 1) for line in problems(output)]
    status, plan = planned(data)
    assert status == 0
    assert problems(plan) == problems(output)


def all_areas(value: float) -> Callable[[Content], None]:
    def change(whole: Content) -> None:
        for box in boxes(whole, "train"):
            box["area"] = value

    return change


def all_ignored(whole: Content) -> None:
    for box in boxes(whole, "train"):
        box["ignore"] = 1


def fractions(whole: Content, *splits: str) -> None:
    for box in boxes(whole, *splits):
        box["bbox"] = [number / SIDE for number in box["bbox"]]
        box["area"] /= SIDE**2


def corners(whole: Content) -> None:
    for box in boxes(whole):
        x, y, w, h = box["bbox"]
        box["bbox"] = [x + 12, y + 30, x + w + 12, y + h + 30]


def corners_within(whole: Content) -> None:
    """Read as sizes they lie within their images, too."""
    for split in whole.values():
        for image in split["images"]:
            image["width"] = image["height"] = 4 * SIDE
    for box in boxes(whole):
        x, y, w, h = box["bbox"]
        box["bbox"] = [x + 3, y + 3, x + 3 + w, y + 3 + h]


def vast_areas(whole: Content) -> None:
    for box in boxes(whole, "val"):
        box["area"] = 2e10


def many_outside(whole: Content) -> None:
    for box in boxes(whole, "train")[:11]:
        box["bbox"][0] += 500


def nothing_to_find(whole: Content) -> None:
    for box in boxes(whole, "val"):
        box["area"] = -1


def test_single_boxes_in_fractions_are_told_as_such(tmp_path: Path) -> None:
    whole = content()
    boxes(whole, "train")[3]["bbox"] = [0.2, 0.3, 0.25, 0.3]
    boxes(whole, "val")[2]["bbox"] = [40.5, 30, 0.25, 0.3]
    status, output = checked(write(tmp_path / "data", whole))
    assert status == 0
    first, second, *_ = problems(output)
    assert "leaves out (they lie in 0..1, as fractions of an image do, YOLO's?) (1)" in first
    assert "which an evaluation counts (1): annotation 3" in second


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            all_areas(0),
            ["no box is left of 12 (12 with an 'area' that is not above 0)", "learn from"],
        ),
        (all_areas(-5), ["boxes whose 'area' is not above 0", "it is width times height", "(12)"]),
        (all_ignored, ["no box is left of 12 (12 marked to 'ignore'): there is nothing to learn"]),
        (fractions, ["train.json", "side below 1 pixel", "lie in 0..1", "a bbox is in pixels"]),
        (
            lambda whole: fractions(whole, "val"),
            ["val.json", "lie in 0..1, as fractions of an image"],
        ),
        (
            corners,
            ["read as [left, top, right, bottom] 100.0% of the file's boxes lie within"],
        ),
        (
            corners_within,
            ["train.json", "'area' is theirs if they are read as [left, top, right, bottom]"],
        ),
        (vast_areas, ["val.json: boxes whose 'area' is above 1e10", "takes no notice of", "(8)"]),
        (vast_areas, ["val.json: no box is left of 8 (8 with an 'area' above 1e10)"]),
        (many_outside, ["train.json: boxes wholly outside their image", "91.7% of all (11)"]),
        (nothing_to_find, ["val.json: no box is left of 8", "mAP50 is not defined"]),
    ],
)
def test_what_cannot_be_meant_stops_before_any_training(
    tmp_path: Path, change: Callable[[Content], None], told: list[str]
) -> None:
    data = changed(tmp_path / "data", change)
    status, output = checked(data)
    assert status == 2
    errors = [line for line in problems(output) if line.startswith("error: ")]
    assert any(all(part in line for part in told) for line in errors), output
    status, plan = planned(data)
    assert status == 2
    assert problems(plan) == problems(output)


def test_images_that_are_all_too_small_are_refused_where_the_row_filters_them(
    tmp_path: Path,
) -> None:
    data = write(tmp_path / "data", content(side=28))
    told = "there is nothing to learn from; no image is left: 6 of 6 have a side below 32 pixels"
    status, output = checked(data)
    assert (status, told in output) == (2, True), output
    status, output = planned(data)
    assert (status, f"row plain: {told}" in output) == (2, True), output
    smaller = "train_dataloader.dataset.filter_cfg.min_size=16"
    status, output = planned(data, TINY, "--set", smaller)
    assert (status, problems(output)) == (0, []), output


def test_validation_images_without_an_object_are_refused(tmp_path: Path) -> None:
    """Those that the row validates on, not those of the file."""
    whole = content()
    whole["val"]["annotations"] = whole["val"]["annotations"][4:]
    data = write(tmp_path / "data", whole)
    few = variant(tmp_path / "few", lambda experiment: experiment.update(profile="full"))
    assert planned(data, few)[0] == 0
    status, output = planned(data, few, "--set", "+val_dataloader.dataset.indices=2")
    assert status == 2
    told = "row plain: none of the 2 images to validate on holds an object that counts"
    assert told in output
    assert planned(data, few, "--set", "+val_dataloader.dataset.indices=3")[0] == 0
    status, output = planned(data, few, "--set", "+val_dataloader.dataset.indices=[3, 4]")
    assert (status, "'indices' counts past the images that the data set has (1)" in output) == (
        2,
        True,
    )


def test_what_the_check_found_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = changed(tmp_path / "data", no_height)
    monkeypatch.setattr(memory_module, "_FROM_BYTES", 0)
    first = planned(data)
    read = memory_module.read_annotations
    monkeypatch.setattr(memory_module, "read_annotations", None)  # whoever calls it fails
    assert planned(data) == first
    monkeypatch.setattr(memory_module, "read_annotations", read)
    whole = content()
    past_the_edge(whole)
    (data / "train.json").write_text(json.dumps(whole["train"]))
    assert "pass their image's edge" in planned(data)[1]
