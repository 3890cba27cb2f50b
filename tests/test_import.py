"""``detboard data import``: labelled images as tools write them, made a folder for ``--data-root``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import hotcoco
import pytest
from command import here
from exports import BOXES, CLASSES, EXPORTS, SIZES, coco, draw, dump
from PIL import Image

from benchmark.data.dataset import describe
from benchmark.data.importing import FORMATS
from benchmark.files import sha256_file

PHOTOS = os.environ.get("DETBOARD_TEST_DATA")


def imported(*arguments: str | Path) -> tuple[str, str, int]:
    """What ``data import`` says on standard output and standard error, and its status."""
    done = here(["data", "import", *map(str, arguments)])
    return done.stdout, done.stderr, done.returncode


def left_out(folder: Path) -> dict[str, tuple[int, int]]:
    """By the reason, how many things and boxes were left out."""
    found = json.loads((folder / "import.json").read_text())["left_out"]
    return {reason: (one["count"], one["boxes"]) for reason, one in found.items()}


def notes(folder: Path) -> dict[str, int]:
    found = json.loads((folder / "import.json").read_text())["notes"]
    return {kind: one["count"] for kind, one in found.items()}


def content(folder: Path, split: str = "train") -> dict[str, Any]:
    return json.loads((folder / f"{split}.json").read_text(encoding="utf-8"))


def boxes(folder: Path, split: str = "train") -> dict[str, list[tuple[str, list[float]]]]:
    """Class and box of every object, by the image's name."""
    found = content(folder, split)
    names = {kind["id"]: kind["name"] for kind in found["categories"]}
    return {
        image["file_name"]: [
            (names[box["category_id"]], box["bbox"])
            for box in found["annotations"]
            if box["image_id"] == image["id"]
        ]
        for image in found["images"]
    }


def test_every_format_has_an_export() -> None:
    assert [form.key for form in FORMATS] == list(EXPORTS)


@pytest.mark.parametrize("key", EXPORTS)
def test_every_format_gives_the_same_boxes(key: str, tmp_path: Path) -> None:
    EXPORTS[key](tmp_path / "source")
    out, err, status = imported(tmp_path / "source", tmp_path / "data")
    assert (status, err) == (0, "")
    (title,) = (form.title for form in FORMATS if form.key == key)
    assert f"{tmp_path / 'source'}: {title}\n" in out
    assert "3 images         3 boxes       1 images without a box" in out
    found = content(tmp_path / "data")
    assert [kind["name"] for kind in found["categories"]] == CLASSES
    sizes = {image["file_name"]: (image["width"], image["height"]) for image in found["images"]}
    assert sizes == SIZES
    tolerance = 1e-4 if key == "yolo" else 0  # hotcoco writes six decimals of 128 pixels
    for name, expected in BOXES.items():
        labels, xywh = zip(*boxes(tmp_path / "data")[name], strict=True) if expected else ((), ())
        assert list(labels) == [label for label, _ in expected]
        for one, (_, box) in zip(xywh, expected, strict=True):
            assert one == pytest.approx(box, abs=tolerance, rel=0)


def test_formats_that_hold_all_digits_give_the_same_bytes(tmp_path: Path) -> None:
    hashes = {}
    for key, export in {**EXPORTS, "yolo": exact_yolo}.items():
        export(tmp_path / key)
        assert imported(tmp_path / key, tmp_path / f"{key}-data")[2] == 0
        hashes[key] = sha256_file(tmp_path / f"{key}-data" / "train.json")
    assert len(set(hashes.values())) == 1, hashes


def exact_yolo(root: Path) -> None:
    """With all digits, lines that end as on Windows, and the classes in a text file."""
    for name, found in BOXES.items():
        wide, high = SIZES[name]
        lines = [
            f"{CLASSES.index(label)} {(x + w / 2) / wide!r} {(y + h / 2) / high!r} {w / wide!r} {h / high!r}"
            for label, (x, y, w, h) in found
        ]
        dump(root / "labels" / f"{Path(name).stem}.txt", "\r\n".join(lines))
    dump(root / "classes.txt", "\n".join(CLASSES) + "\n")
    draw(root / "images")


@pytest.mark.skipif(PHOTOS is None, reason="DETBOARD_TEST_DATA names no folder with photographs")
def test_photographs_have_the_same_boxes_after_every_format(tmp_path: Path) -> None:
    """VOC holds whole pixels, YOLO as written here six decimals, the others all digits."""
    photos = Path(PHOTOS or "")
    source, yolo_width = hotcoco.COCO(str(photos / "val.json")), 1e-6 * 1024
    for key, tolerance in (("voc", 1.0), ("yolo", yolo_width), ("cvat", 1e-9), ("data-root", 0.0)):
        root = tmp_path / key
        root.mkdir()
        if key == "voc":
            source.to_voc(str(root))
            (root / "JPEGImages").symlink_to(photos / "images")
        elif key == "yolo":
            source.to_yolo(str(root / "labels"))
            (root / "labels" / "data.yaml").rename(root / "data.yaml")
            (root / "images").symlink_to(photos / "images")
        elif key == "cvat":
            source.to_cvat(str(root / "val.xml"))
            (root / "images").symlink_to(photos / "images")
        else:
            (root / "train.json").symlink_to(photos / "val.json")
            (root / "images").symlink_to(photos / "images")
        assert imported(root, tmp_path / f"{key}-data")[2] == 0
        found = boxes(tmp_path / f"{key}-data", "val" if key == "cvat" else "train")
        for name, expected in boxes(photos, "val").items():
            assert [label for label, _ in found[name]] == [label for label, _ in expected]
            for (_, one), (_, box) in zip(found[name], expected, strict=True):
                assert one == pytest.approx(box, abs=tolerance, rel=0)


class TestSeveralSources:
    def test_classes_are_joined_by_name_in_the_order_of_the_first(self, tmp_path: Path) -> None:
        one = coco(["a.png"])
        one["categories"].reverse()
        dump(tmp_path / "one" / "train.json", one)
        draw(tmp_path / "one" / "images", ["a.png"])
        other = coco(["b.png"])
        other["categories"] = [{"id": 1, "name": "Can"}, {"id": 2, "name": "jar"}]
        dump(tmp_path / "other" / "train.json", other)
        draw(tmp_path / "other" / "images", ["b.png"])
        out, err, status = imported(tmp_path / "one", tmp_path / "other", tmp_path / "data")
        assert (status, err) == (0, "")
        found = content(tmp_path / "data")
        assert found["categories"] == [
            {"id": key, "name": name} for key, name in enumerate(["can", "bag", "Can", "jar"], 1)
        ]
        assert "these are classes of their own: can, Can; --map OLD=NEW joins them" in out
        assert boxes(tmp_path / "data")["b.png"] == [("Can", [31, 63, 1, 1])]
        assert "other numbers" not in out
        EXPORTS["coco"](tmp_path / "third")
        out, _, _ = imported(tmp_path / "one", tmp_path / "third", tmp_path / "both")
        assert boxes(tmp_path / "both")["b.png"] == [("bag", [31, 63, 1, 1])]
        assert f"classes have other numbers than in {tmp_path / 'third'}: the order of" in out

    def test_only_images_whose_name_is_taken_are_renamed(self, tmp_path: Path) -> None:
        for place, names in (("one", ["a.png"]), ("other", ["a.png", "c.png"])):
            dump(tmp_path / place / "train.json", coco(names))
            draw(tmp_path / place / "images", names)
        Image.new("RGB", SIZES["a.png"], "red").save(tmp_path / "other" / "images" / "a.png")
        dump(tmp_path / "third" / "train.json", coco(["a.png"]))
        draw(tmp_path / "third" / "images", ["a.png"])
        places = [tmp_path / name for name in ("one", "other", "third")]
        out, _, status = imported(*places, tmp_path / "data", "--copy")
        assert status == 0
        names = [image["file_name"] for image in content(tmp_path / "data")["images"]]
        assert names == ["a.png", "a-2.png", "c.png", "a-3.png"]
        for name, source in zip(names, ("one/a", "other/a", "other/c", "third/a"), strict=True):
            folder, _, stem = source.partition("/")
            original = tmp_path / folder / "images" / f"{stem}.png"
            assert sha256_file(tmp_path / "data" / "images" / name) == sha256_file(original)
        assert not (tmp_path / "data" / "images" / "a.png").is_symlink()
        kept = json.loads((tmp_path / "data" / "import.json").read_text())
        renamed = "images renamed, for another has their name"
        assert kept["notes"][renamed]["count"] == 2
        assert "byte for byte the one with their name (1)" in out

    def test_a_source_without_splits_goes_to_train_beside_one_that_has_them(
        self, tmp_path: Path
    ) -> None:
        EXPORTS["voc"](tmp_path / "voc")
        for split, name in (("train", "a.png"), ("valid", "b.png"), ("test", "c.png")):
            dump(tmp_path / "rf" / split / "_annotations.coco.json", coco([name]))
            draw(tmp_path / "rf" / split, [name])
        out, _, status = imported(tmp_path / "rf", tmp_path / "voc", tmp_path / "data")
        assert status == 0
        assert [len(content(tmp_path / "data", s)["images"]) for s in ("train", "val", "test")] == [
            4,
            1,
            1,
        ]
        assert f"no splits in {tmp_path / 'voc'}: all of its images are in train.json" in out
        assert "--holdout" not in out

    def test_images_without_labels_are_not_put_among_labelled_ones(self, tmp_path: Path) -> None:
        """Evaluated as images without an object they would count each box on them as wrong."""
        for split, name in (("train", "a.png"), ("test", "b.png")):
            dump(tmp_path / "rf" / split / "_annotations.coco.json", coco([name]))
            draw(tmp_path / "rf" / split, [name])
        EXPORTS["coco"](tmp_path / "coco")
        secret = {"images": coco(["c.png"])["images"], "categories": coco()["categories"]}
        dump(tmp_path / "coco" / "annotations" / "image_info_test2017.json", secret)
        draw(tmp_path / "coco" / "test2017", ["c.png"])
        imported(tmp_path / "rf", tmp_path / "coco", tmp_path / "data")
        assert boxes(tmp_path / "data", "test") == {"b-2.png": [("bag", [31, 63, 1, 1])]}
        assert left_out(tmp_path / "data") == {"images without labels": (1, 0)}


class TestMap:
    def source(self, tmp_path: Path) -> Path:
        EXPORTS["cvat"](tmp_path / "source")
        return tmp_path / "source"

    def test_renames_joins_and_drops(self, tmp_path: Path) -> None:
        source = self.source(tmp_path)
        assert imported(source, tmp_path / "one", "--map", "bag=can")[2] == 0
        assert [kind["name"] for kind in content(tmp_path / "one")["categories"]] == ["can"]
        assert len(boxes(tmp_path / "one")["a.png"]) == 2
        map_file = dump(tmp_path / "map.yaml", "bag:\ncan: tin can\n")
        out, _, _ = imported(source, tmp_path / "other", "--map", map_file)
        assert boxes(tmp_path / "other") == {
            "a.png": [("tin can", [0, 0, 64, 32])],
            "b.png": [],
            "c.png": [],
        }
        assert "boxes of classes that --map drops (2)" in out

    def test_what_cannot_be_is_refused_all_at_once(self, tmp_path: Path) -> None:
        source = self.source(tmp_path)
        _, err, status = imported(
            source, tmp_path / "data", "--map", "bag=a", "--map", "bag=b", "--map", "can"
        )
        assert status == 2
        assert "'bag' is mapped twice" in err
        assert "--map can: write OLD=NEW" in err
        _, err, status = imported(source, tmp_path / "data", "--map", "cen=a", "--map", "bog=")
        assert (status, err.count("error: --map: no source has a class")) == (2, 2)
        assert "'cen'; allowed: bag, can; did you mean 'can'?" in err
        _, err, status = imported(source, tmp_path / "data", "--map", "can=", "--map", "bag=")
        assert (status, "no class is left" in err) == (2, True)
        _, err, _ = imported(
            source, tmp_path / "data", "--map", dump(tmp_path / "m.yaml", "can: no\n")
        )
        assert "write names like no and 1 in quotes" in err
        assert not (tmp_path / "data").exists()


class TestDataRoot:
    """Layouts that need no import, and what is said of those that do."""

    def checked(self, root: Path) -> tuple[str, str, int]:
        done = here(["data", "check", str(root)])
        return done.stdout, done.stderr, done.returncode

    def split(self, root: Path, places: dict[str, str]) -> None:
        """An image in each of some annotation files; their images lie in folders of the same place."""
        for (file, folder), name in zip(places.items(), SIZES, strict=False):
            found = coco(["a.png"])
            found["images"][0]["file_name"] = f"own-{name}"
            dump(root / file, found)
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", SIZES["a.png"]).save(root / folder / f"own-{name}")

    def test_roboflows_layout_is_read_as_it_is(self, tmp_path: Path) -> None:
        root = tmp_path / "waste"
        names = ("train", "valid", "test")
        self.split(root, {f"{name}/_annotations.coco.json": name for name in names})
        out, err, status = self.checked(root)
        assert (status, [line for line in err.splitlines() if line.startswith("error")]) == (0, [])
        assert out.startswith("waste: 2 classes")
        found = describe(root)
        assert found.train.annotations == root / "train" / "_annotations.coco.json"
        assert (found.val.images, found.name) == (root / "valid", "waste")
        assert found.test is not None
        assert (found.test.images, found.test.labelled) == (root / "test", True)

    @pytest.mark.parametrize("images", ["{}", "images/{}", "images"])
    def test_cocos_layout_is_read_as_it_is(self, images: str, tmp_path: Path) -> None:
        root = tmp_path / "coco"
        names = ("train2017", "val2017")
        self.split(
            root, {f"annotations/instances_{name}.json": images.format(name) for name in names}
        )
        found = describe(root)
        assert found.train.annotations == root / "annotations" / "instances_train2017.json"
        assert found.val.images == root / images.format("val2017")
        assert found.test is None

    def test_cocos_test_images_without_labels_are_its_test_split(self, tmp_path: Path) -> None:
        root = tmp_path / "coco"
        names = ("train2017", "val2017")
        self.split(root, {f"annotations/instances_{name}.json": name for name in names})
        info = {"images": [{"id": 1, "file_name": "c.png", "width": 128, "height": 64}]}
        kinds = coco()["categories"]
        dump(root / "annotations" / "image_info_test2017.json", {**info, "categories": kinds})
        dump(root / "annotations" / "image_info_test-dev2017.json", {**info, "categories": kinds})
        assert describe(root).test is None  # the images were not fetched
        draw(root / "test2017", ["c.png"])
        found = describe(root).test
        assert found is not None
        assert (found.images, found.labelled) == (root / "test2017", False)
        assert imported(root, tmp_path / "data")[2] == 0
        assert "annotations" not in content(tmp_path / "data", "test")
        again = describe(tmp_path / "data").test
        assert again is not None
        assert not again.labelled

    def test_a_layout_with_a_split_twice_or_not_at_all_is_refused(self, tmp_path: Path) -> None:
        root = tmp_path / "coco"
        names = ("train2014", "train2017")
        self.split(root, {f"annotations/instances_{name}.json": name for name in names})
        _, err, status = self.checked(root)
        assert status == 2
        assert f"{root}: {root}/annotations/instances_train2014.json and {root}/annotations" in err
        assert f"{root}: there is no annotation file for val: name annotations and images" in err

    @pytest.mark.slow  # it imports scikit-learn
    def test_an_import_without_splits_is_divided_into_a_data_root(self, tmp_path: Path) -> None:
        EXPORTS["yolo"](tmp_path / "source")
        dump(tmp_path / "source" / "labels" / "c.txt", "0 .5 .5 .5 .5")  # each part needs an object
        data = tmp_path / "data"
        imported(tmp_path / "source", data)
        command = f"detboard data split {data}/train.json --holdout 0.1"
        assert f"'{command}' holds images out" in self.checked(data)[1]
        assert here([*command.split()[1:-1], "0.34", "--no-duplicates"]).returncode == 0
        (part,) = (path.parent for path in data.glob("*/holdout.json"))
        found = describe(part)
        assert {split.images.resolve() for split in (found.train, found.val)} == {data / "images"}
        assert f"a part was held out in {part}: give that folder" in self.checked(data)[1]

    @pytest.mark.parametrize("key", ["voc", "yolo", "cvat", "label-studio"])
    def test_the_check_names_a_format_that_it_cannot_read(self, key: str, tmp_path: Path) -> None:
        EXPORTS[key](tmp_path / "source")
        (title,) = (form.title for form in FORMATS if form.key == key)
        _, err, status = self.checked(tmp_path / "source")
        command = f"detboard data import {tmp_path / 'source'} DIR"
        assert status == 2
        assert err == (
            f"error: {tmp_path / 'source'}: this is {title}; '{command}' makes a data root of it\n"
        )
        if key == "yolo":
            _, err, status = self.checked(tmp_path / "source" / "data.yaml")
            assert (status, err.count("\n"), f"'{command}' makes a data root of its" in err) == (
                2,
                1,
                True,
            )
