"""``detboard data split``: folds and holdouts of an annotation file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import here
from PIL import Image

from benchmark.data.dataset import describe
from benchmark.data.split.alike import alike

PHOTOS = os.environ.get("DETBOARD_TEST_DATA")


def split(file: Path, *options: str) -> tuple[int, str]:
    done = here(["data", "split", str(file), *options])
    return done.returncode, done.stdout + done.stderr


def changed(source: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    content = json.loads(source.read_text())
    change(content)
    target.write_text(json.dumps(content))
    return target


def fold_files(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("fold-*.json"))]


@pytest.fixture
def train(synthetic_data: Path, tmp_path: Path) -> Path:
    """The annotation file of the training split, in a folder of its own, with its images."""
    (tmp_path / "images").symlink_to(synthetic_data / "images")
    return Path(shutil.copy(synthetic_data / "train.json", tmp_path))


def test_folds_divide_the_images_alike_in_classes(train: Path) -> None:
    status, told = split(train, "--folds", "4")
    assert status == 0, told
    folder = train.parent / "train-folds-4"
    content = json.loads(train.read_text())
    every = sorted(image["id"] for image in content["images"])
    folds = fold_files(folder)
    assert [fold["fold"] for fold in folds] == [0, 1, 2, 3]
    assert sorted(image for fold in folds for image in fold["val"]) == every
    for fold in folds:
        assert sorted([*fold["train"], *fold["val"]]) == every
        assert 5 <= len(fold["val"]) <= 7
    # Of the most frequent class each fold has its share, as nearly as whole images let it.
    of_class: dict[int, list[int]] = {}
    for box in content["annotations"]:
        of_class.setdefault(box["category_id"], []).append(box["image_id"])
    most = max(of_class.values(), key=len)
    counts = [sum(image in fold["val"] for image in most) for fold in folds]
    assert max(counts) - min(counts) <= 2, counts
    assert "Largest deviation: " in told and f"folds: {folder}" in told
    report = (folder / "report.md").read_text()
    assert "Largest deviation: " in report and "| fold 3 |" in report
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert split(train, "--folds", "4")[0] == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    status, told = split(train, "--folds", "3", "--out", str(folder))
    assert status == 2 and "holds another division" in told
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_tables_fit_a_terminal_of_80_columns(train: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("command._environment", lambda more: {**os.environ, "COLUMNS": "80"})
    changed(train, train, lambda c: c["categories"][0].update(name="A class of many words " * 4))
    status, told = split(train, "--folds", "10", "--no-duplicates")
    assert status == 0
    tables = told.split("24 images in")[0]
    assert max(map(len, tables.splitlines())) <= 80 and "A class of many" in tables


def test_a_group_stays_in_one_fold(train: Path) -> None:
    def by_video(content: dict[str, Any]) -> None:
        for number, image in enumerate(content["images"]):
            # as tools write one and the same
            image["video"] = (number // 4, float(number // 4), str(number // 4))[number % 3]

    changed(train, train, by_video)
    status, told = split(train, "--folds", "3", "--group", "video")
    assert status == 0 and "Groups by video: 6" in told
    content = json.loads(train.read_text())
    video = {image["id"]: int(image["video"]) for image in content["images"]}
    for fold in fold_files(train.parent / "train-folds-3"):
        inside, outside = ({video[image] for image in fold[key]} for key in ("val", "train"))
        assert not inside & outside
        assert sorted(map(len, fold["groups"])) == [4] * 6


def test_a_pattern_over_file_names_makes_groups(train: Path) -> None:
    out = train.parent / "out"
    status, told = split(train, "--folds", "2", "--group", r"_\d+(\d)\.", "--out", str(out))
    assert status == 0 and r"Groups by _\d+(\d)\.: 10" in told
    names = {i["id"]: i["file_name"] for i in json.loads(train.read_text())["images"]}
    inside, outside = (
        {names[image][-5] for image in fold_files(out)[0][k]} for k in ("val", "train")
    )
    assert not inside & outside


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--folds", "3", "--group", "vidoe"], "no entry of 'images' in"),
        (["--folds", "3", "--group", "vidoe"], "no group in brackets"),
        (["--folds", "3", "--group", "(["], "no regular expression"),
        (["--folds", "3", "--group", "^(x)_"], "does not find a group in 24 of 24 file names"),
        (["--folds", "3", "--group", "patient"], "it is not in 23 of 24"),
        (["--folds", "3", "--group", "scene"], "24 images in 2 groups, the largest of 12,"),
        (["--folds", "25"], "24 images cannot be divided into 25 folds"),
        (["--folds", "3", "--holdout", "0.1"], "give one of them, not both"),
        ([], "give one of them"),
        (["--holdout", "1.5"], "--holdout 1.5: give a share"),
        (["--holdout", "nan"], "--holdout nan: give a share"),
        (["--folds", "3", "--images", "nowhere"], "its images are not there"),
        (["--folds", "3", "--images", "nowhere"], "--no-duplicates"),
    ],
)
def test_what_cannot_be_divided_is_refused(train: Path, options: list[str], words: str) -> None:
    def group(content: dict[str, Any]) -> None:
        content["images"][0]["patient"] = "a"
        for number, image in enumerate(content["images"]):
            image["scene"] = number % 2

    changed(train, train, group)
    status, told = split(train, *options)
    assert status == 2 and words in told, told
    assert "Traceback" not in told and not list(train.parent.glob("train-*"))


def test_broken_entries_are_refused_before_they_are_divided(train: Path) -> None:
    def broken(content: dict[str, Any]) -> None:
        content["images"][1]["id"] = content["images"][0]["id"]
        content["annotations"][0].pop("bbox")

    status, told = split(changed(train, train, broken), "--folds", "3")
    assert status == 2 and "image ids that repeat" in told and "'bbox' is missing" in told
    assert split(train.parent, "--folds", "3")[1].count("a folder; give the annotation file") == 1
    _, told = split(train.with_name("lost.json"), "--folds", "3")
    assert told.strip().endswith("lost.json: no such annotation file; there is train.json")
    _, told = split(train.parent / "images" / "lost.json", "--folds", "3")
    assert told.strip().endswith("lost.json: no such annotation file")


def test_a_file_without_an_object_is_refused(train: Path) -> None:
    changed(train, train, lambda content: content["annotations"].clear())
    for options in (["--folds", "3"], ["--holdout", "0.1"]):
        status, told = split(train, *options, "--no-duplicates")
        assert status == 2 and told.count("there is no object in it that a run has to find") == 1


def test_classes_too_rare_for_every_fold_are_told(train: Path) -> None:
    def rare(content: dict[str, Any]) -> None:
        content["categories"] += [{"id": 98, "name": "Rare"}, {"id": 99, "name": "Never"}]
        content["annotations"][0]["category_id"] = 98

    status, told = split(changed(train, train, rare), "--folds", "3", "--no-duplicates")
    assert status == 0
    assert "Rare (1 object in 1 group)" in told and "Classes without an object: Never" in told
    assert "Near-duplicates: not looked for" in told


def test_near_duplicates_stay_together(synthetic_data: Path, tmp_path: Path) -> None:
    """The same picture, smaller, as JPEG of a low quality and a little darker."""
    content = json.loads((synthetic_data / "train.json").read_text())
    images, rng, copies = tmp_path / "images", np.random.default_rng(0), []
    images.mkdir()
    for image in content["images"]:  # a view of something: large forms, not noise
        forms = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
        forms.resize((320, 240), Image.Resampling.BICUBIC).save(images / image["file_name"])
    for image in content["images"][:8]:
        half = Image.open(images / image["file_name"]).resize((160, 120))
        name = f"copy_{image['id']}.jpg"
        half.point(lambda level: int(0.9 * level)).save(images / name, quality=30)
        size = {"width": half.width, "height": half.height}
        copies.append({**image, **size, "id": 1000 + image["id"], "file_name": name})
    content["images"] += copies
    (tmp_path / "train.json").write_text(json.dumps(content))
    status, told = split(tmp_path / "train.json", "--folds", "4")
    assert status == 0 and "Near-duplicates: 16 images that look like another one" in told
    groups = fold_files(tmp_path / "train-folds-4")[0]["groups"]
    assert groups == [[image["id"] - 1000, image["id"]] for image in copies]
    for fold in fold_files(tmp_path / "train-folds-4"):
        assert all(len({*fold["val"]} & {*pair}) != 1 for pair in groups)
    # Without a look at the images the copies are images like any other.
    assert split(tmp_path / "train.json", "--holdout", "0.25", "--no-duplicates")[0] == 0


def test_an_image_that_cannot_be_read_is_like_none(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{number}.png" for number in range(4)]
    for file in files[:2]:
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(file)
    files[2].write_bytes(b"no picture")
    files[3].write_bytes(files[0].read_bytes())
    pairs, lost = alike(files)
    assert pairs.tolist() == [[0, 3]] and lost == [files[2]]
    assert alike([])[0].shape == (0, 2)


@pytest.mark.skipif(not PHOTOS, reason="no photographs here")
def test_photographs_of_one_kind_of_scene_are_not_alike() -> None:
    files = sorted(Path(str(PHOTOS)).rglob("*.jpg"))
    assert len(files) > 100 and not len(alike(files)[0])


def test_a_share_of_few_images_is_one_of_them(train: Path) -> None:
    changed(train, train, lambda content: content.update(images=content["images"][:8]))
    status, told = split(train, "--holdout", "0.1", "--out", str(train.parent / "out"))
    assert status == 0, told
    assert len(json.loads((train.parent / "out" / "val.json").read_text())["images"]) == 1
    changed(train, train, lambda content: content.update(images=content["images"][:1]))
    status, told = split(train, "--holdout", "0.1")
    assert status == 2 and "1 image cannot be divided into two parts" in told


def test_of_uneven_parts_the_one_nearest_to_the_share_is_held_out(train: Path) -> None:
    """Of seven groups of three images, four parts have six or three; a quarter would be five and a quarter."""

    def in_groups(content: Any) -> None:
        content["images"] = content["images"][:21]
        known = {image["id"] for image in content["images"]}
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] in known]
        for number, image in enumerate(content["images"]):
            image["place"] = number % 7

    changed(train, train, in_groups)
    for seed in range(4):
        out = train.parent / f"out{seed}"
        options = ("--group", "place", "--no-duplicates", "--seed", str(seed), "--out", str(out))
        status, told = split(train, "--holdout", "0.25", *options)
        assert status == 0, told
        assert len(json.loads((out / "val.json").read_text())["images"]) == 6
        assert "6 of 21 images held out, 29 %, where 1 of 4 even parts would be 25 %" in told


def test_images_are_found_where_coco_lays_them_out(train: Path) -> None:
    root = train.parent / "coco"
    (root / "annotations").mkdir(parents=True)
    (root / "train2017").symlink_to(train.parent / "images")
    file = Path(shutil.copy(train, root / "annotations" / "instances_train2017.json"))
    status, told = split(file, "--folds", "2")
    assert status == 0 and "Near-duplicates: 0 images" in told, told


def test_a_holdout_is_two_annotation_files(train: Path) -> None:
    status, told = split(train, "--holdout", "0.25")
    assert status == 0, told
    folder = train.parent / "train-holdout-1-of-4"
    whole = json.loads(train.read_text())
    parts = [json.loads((folder / f"{name}.json").read_text()) for name in ("train", "val")]
    ids = [{image["id"] for image in part["images"]} for part in parts]
    assert len(ids[0] | ids[1]) == 24 and 5 <= len(ids[1]) <= 7 and not ids[0] & ids[1]
    assert sum(len(part["annotations"]) for part in parts) == len(whole["annotations"])
    assert all(part["categories"] == whole["categories"] for part in parts)
    (chosen,) = (json.loads(path.read_text()) for path in folder.glob("holdout.json"))
    assert {*chosen["val"]} == ids[1]
    found = describe(folder)
    assert found.train.images == found.val.images == folder / "images"
    # Without a look at the images there is nothing to lead to where they are not beside the file.
    (train.parent / "images").unlink()
    assert split(train, "--holdout", "0.5", "--no-duplicates")[0] == 0
    assert not (train.parent / "train-holdout-1-of-2" / "images").exists()
