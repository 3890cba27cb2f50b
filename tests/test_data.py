from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark import ops
from benchmark.data import memory as memory_module
from benchmark.data.check import check, report_text, usual_losses
from benchmark.data.dataset import describe, describe_source
from benchmark.data.findings import Findings
from benchmark.data.memory import Memory
from benchmark.errors import UserError
from benchmark.experiment.data_source import DataSource
from benchmark.files import sha256_file

Content = dict[str, Any]


def box(key: int, image: int, bbox: list[Any], category: int = 7) -> Content:
    area = bbox[2] * bbox[3]
    return {"id": key, "image_id": image, "category_id": category, "bbox": bbox, "area": area}


def good(split: str) -> Content:
    """Two images of 40x30 and three boxes; category ids neither start at 1 nor ascend."""
    names = [f"{split}_{number}.png" for number in (1, 2)]
    return {
        "images": [
            {"id": number, "file_name": name, "width": 40, "height": 30}
            for number, name in enumerate(names, start=1)
        ],
        "annotations": [
            box(11, 1, [0, 0, 40, 30]),
            box(12, 1, [5.5, 4, 10, 10.25], category=3),
            box(13, 2, [30, 20, 10, 10]),
        ],
        "categories": [{"id": 7, "name": "can"}, {"id": 3, "name": "bag"}],
    }


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "waste"
    (root / "images").mkdir(parents=True)
    for split in ("train", "val"):
        content = good(split)
        write(root / f"{split}.json", content)
        for image in content["images"]:
            Image.new("RGB", (40, 30)).save(root / "images" / image["file_name"])
    return root


def edit(root: Path, split: str, change: Callable[[Content], None]) -> None:
    content = good(split)
    change(content)
    write(root / f"{split}.json", content)


def checked(root: Path, change: Callable[[Content], None], split: str = "train") -> Findings:
    edit(root, split, change)
    return check(describe(root))


def problems(action: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        action()
    return str(caught.value)


class TestDescribe:
    def test_names_classes_in_file_order_and_hashes_the_files(self, data: Path) -> None:
        found = describe(data)
        assert found.name == "waste"
        assert found.classes == ("can", "bag")
        assert found.train.annotations == data / "train.json"
        assert found.val.images == data / "images"
        assert found.val.sha256 == sha256_file(data / "val.json")
        assert describe(data, "other name").name == "other name"

    def test_labels_are_those_of_mmdet(self, data: Path) -> None:
        ops.install()
        from mmdet.datasets import CocoDataset

        found = describe(data)
        loaded = CocoDataset(
            ann_file=str(found.train.annotations),
            data_prefix={"img": str(found.train.images)},
            metainfo={"classes": found.classes},
            pipeline=[],
        )
        labels = [thing["bbox_label"] for thing in loaded.get_data_info(0)["instances"]]
        assert [found.classes[label] for label in labels] == ["can", "bag"]

    @pytest.mark.parametrize("place", [".", "images", "{split}"])
    def test_finds_the_images(self, data: Path, place: str) -> None:
        for split in ("train", "val"):
            folder = data / place.format(split=split)
            folder.mkdir(exist_ok=True)
            for picture in list((data / "images").glob(f"{split}_*")):
                picture.rename(folder / picture.name)
        found = describe(data)
        assert found.train.images == (data / place.format(split="train")).resolve()
        assert found.val.images == (data / place.format(split="val")).resolve()

    def test_takes_the_folder_that_holds_most(self, data: Path) -> None:
        (data / "images" / "train_1.png").rename(data / "train_1.png")
        names = [f"train_{number}.png" for number in range(1, 5)]
        images = [{"id": n, "file_name": name} for n, name in enumerate(names)]
        for name in names[2:]:
            (data / "images" / name).touch()
        edit(data, "train", lambda content: content.update(images=images))
        assert describe(data).train.images == data / "images"

    def test_says_where_it_looked_for_the_images(self, data: Path) -> None:
        (data / "images").rename(data / "pictures")
        told = problems(lambda: describe(data))
        assert "train_1.png, train_2.png" in told
        assert "val_1.png" in told
        for folder in (data, data / "images", data / "train", data / "val"):
            assert str(folder) in told

    def test_names_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        assert str(tmp_path / "no") in problems(lambda: describe(tmp_path / "no"))

    def test_names_annotation_files_of_other_names(self, data: Path) -> None:
        """As exports of tools have, in the folders of their images."""
        for split, folder in (("train", "train"), ("val", "valid")):
            (data / folder).mkdir(exist_ok=True)
            (data / f"{split}.json").rename(data / folder / "annotations.json")
        for told in problems(lambda: describe(data)).splitlines():
            assert "train/annotations.json, valid/annotations.json" in told
            assert "'dataset'" in told and "no such annotation file" in told

    def test_tells_of_both_files_at_once(self, data: Path) -> None:
        (data / "train.json").unlink()
        (data / "val.json").write_text('{"images": [', encoding="utf-8")
        told = problems(lambda: describe(data)).splitlines()
        assert len(told) == 2
        assert "train.json: no such annotation file" in told[0]
        assert "val.json: not JSON" in told[1]

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ([1, 2], "not COCO annotations"),
            ({"images": []}, "'categories' is missing"),
            ({**good("train"), "annotations": {}}, "'annotations' is no list"),
            ({**good("train"), "categories": []}, "'categories' is empty"),
            ({**good("train"), "images": []}, "'images' is empty"),
            ({**good("train"), "images": [{"id": 1}]}, "no 'file_name'"),
            ({**good("train"), "categories": [{"id": "7", "name": "can"}]}, "integer 'id'"),
            ({**good("train"), "categories": [{"id": True, "name": "can"}]}, "integer 'id'"),
            ({**good("train"), "categories": [{"id": 2**63, "name": "can"}]}, "integer 'id'"),
            ({**good("train"), "categories": [{"id": 1}]}, "number 1: {'id': 1}"),
            (
                {**good("train"), "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]},
                "category names repeat: a (ids 1, 2); a class goes by its name: rename one",
            ),
            (
                {**good("train"), "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]},
                "category ids repeat: 1",
            ),
        ],
    )
    def test_says_what_is_not_coco(self, data: Path, content: Any, told: str) -> None:
        write(data / "train.json", content)
        message = problems(lambda: describe(data))
        assert told in message
        assert "train.json" in message

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"\xff\xfe\x00\x01", "UTF-16: save it as UTF-8"),
            (b"", "the file is empty"),
            (b"\xef\xbb\xbf{}", "a byte order mark"),
            (b"\x1f\x8b\x08\x00", "packed by gzip: unpack it"),
            (b"<!DOCTYPE html>", "HTML or XML"),
            (b'{"images": "caf\xe9"}', "can't decode byte 0xe9 in position 15"),
            (b"[" * 100_000, "recursion"),
        ],
    )
    def test_says_what_is_not_json(self, data: Path, content: bytes, told: str) -> None:
        (data / "train.json").write_bytes(content)
        message = problems(lambda: describe(data))
        assert "train.json: not JSON" in message
        assert told in message

    def test_refuses_categories_that_differ_between_the_splits(self, data: Path) -> None:
        edit(data, "val", lambda content: content["categories"].reverse())
        told = problems(lambda: describe(data))
        assert "7=can, 3=bag" in told
        assert "3=bag, 7=can" in told


class TestDescribeSource:
    def test_takes_a_root_relative_to_the_experiment(self, data: Path) -> None:
        source = DataSource(root=Path("waste"), name="mine", classes=["can", "bag"])
        found = describe_source(source, data.parent)
        assert found.name == "mine"
        assert found.train.annotations == data / "train.json"

    def test_takes_paths_of_both_splits(self, data: Path) -> None:
        (data / "images").rename(data / "pictures")
        (data / "val.json").rename(data.parent / "held_out.json")
        source = DataSource.model_validate(
            {
                "train": {"annotations": "waste/train.json", "images": "waste/pictures"},
                "val": {"annotations": "held_out.json", "images": str(data / "pictures")},
            }
        )
        found = describe_source(source, data.parent)
        assert found.name == "waste"
        assert found.val.annotations == data.parent / "held_out.json"
        assert found.val.images == data / "pictures"

    def test_shows_both_lists_of_classes_when_they_differ(self, data: Path) -> None:
        source = DataSource(root=data, classes=["bag", "can"])
        told = problems(lambda: describe_source(source, data.parent))
        assert "experiment: bag, can" in told
        assert "train.json: can, bag" in told

    def test_says_how_to_name_the_data(self, tmp_path: Path) -> None:
        assert "--data-root" in problems(lambda: describe_source(DataSource(), tmp_path))


class TestCache:
    @pytest.fixture(autouse=True)
    def _cache_small_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory_module, "_FROM_BYTES", 0)

    def test_saves_the_parsing(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = tmp_path / "results" / "datasets.json"
        first = describe(data, cache=cache)

        def refuse(path: Path) -> Any:
            raise AssertionError(f"{path} was read again")

        monkeypatch.setattr(memory_module, "read_annotations", refuse)
        assert describe(data, cache=cache) == first

    def test_sees_a_change_that_keeps_size_and_time(self, data: Path, tmp_path: Path) -> None:
        cache, file = tmp_path / "datasets.json", data / "train.json"
        before = describe(data, cache=cache)
        stat = file.stat()
        for split in ("train", "val"):
            text = (data / f"{split}.json").read_text().replace('"can"', '"tin"')
            (data / f"{split}.json").write_text(text)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        after = describe(data, cache=cache)
        assert (before.classes, after.classes) == (("can", "bag"), ("tin", "bag"))
        assert after.train.sha256 == sha256_file(file)

    @pytest.mark.parametrize(
        "content", ["", "[]", '{"version": 1}', '{"version": 99, "files": {}}']
    )
    def test_does_without_a_broken_cache(self, data: Path, tmp_path: Path, content: str) -> None:
        cache = tmp_path / "datasets.json"
        cache.write_text(content)
        assert describe(data, cache=cache) == describe(data)

    def test_what_was_asked_of_images_alone_is_no_answer_for_a_split_with_objects(
        self, data: Path, tmp_path: Path
    ) -> None:
        memory, file = Memory(tmp_path / "datasets.json"), data / "train.json"
        content = json.loads(file.read_text())
        file.write_text(json.dumps({"images": content["images"]}))
        assert len(memory.images(file, of_images=True)) == len(content["images"])
        assert "'annotations' is missing" in problems(lambda: memory.images(file))

    def test_does_without_a_place_to_write(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert describe(data, cache=tmp_path / "file" / "cache.json") == describe(data)


class TestCheck:
    def test_finds_nothing_in_good_data(self, data: Path) -> None:
        assert check(describe(data)) == Findings([], [])

    def test_finds_nothing_in_the_synthetic_data(self, synthetic_data: Path) -> None:
        assert check(describe(synthetic_data)).errors == []

    @pytest.mark.parametrize(
        ("entry", "change", "told"),
        [
            ("annotations", {"category_id": 99}, "annotation 12 (category 99)"),
            ("annotations", {"image_id": 44}, "annotation 12 (image 44)"),
            ("annotations", {"id": 11}, "annotation ids that repeat (1): 11"),
            ("annotations", {"bbox": [5, 5, float("nan"), 1]}, "[5, 5, nan, 1]"),
            ("annotations", {"bbox": [5, 5, float("inf"), 1]}, "[5, 5, inf, 1]"),
            ("annotations", {"bbox": [5, 5, 10**400, 1]}, "finite pixels"),
            ("annotations", {"bbox": [5, 5, True, 1]}, "[5, 5, True, 1]"),
            ("annotations", {"bbox": [5, 5, "3", 1]}, "[5, 5, '3', 1]"),
            ("annotations", {"bbox": [5, 5, 3]}, "'bbox' is [5, 5, 3]"),
            ("annotations", {"bbox": None}, "'bbox' is None"),
            ("annotations", {"area": "7"}, "'area' is '7'"),
            ("annotations", {"id": "12"}, "'id' is '12'"),
            ("annotations", {"id": 2**63}, "'id' is 9223372036854775808, not an integer from 0 to"),
            ("images", {"id": 2**63}, "'id' is 9223372036854775808, not an integer from 0 to"),
            ("annotations", {"image_id": True}, "'image_id' is True"),
            ("annotations", {"iscrowd": None}, "'iscrowd' is None"),
            ("images", {"width": None}, "id 2: 'width' is None"),
            ("images", {"height": 0}, "id 2: 'height' is 0"),
            ("images", {"width": True}, "'width' is True"),
            ("images", {"width": "40"}, "'width' is '40'"),
            ("images", {"width": 40.5}, "'width' is 40.5"),
            ("images", {"width": float("nan")}, "'width' is nan"),
            ("images", {"file_name": 5}, "'file_name' is 5"),
            ("images", {"id": 1}, "image ids that repeat (1): 1"),
            ("images", {"file_name": "gone.png"}, "(1): gone.png"),
            ("images", {"width": 60}, "train_2.png is 40x30, annotated as 60x30"),
        ],
    )
    def test_names_the_offender(self, data: Path, entry: str, change: Content, told: str) -> None:
        found = checked(data, lambda content: content[entry][1].update(change))
        assert any(told in error and "train.json" in error for error in found.errors), found

    @pytest.mark.parametrize("key", ["id", "image_id", "category_id", "bbox", "area"])
    def test_misses_a_field_of_an_annotation(self, data: Path, key: str) -> None:
        found = checked(data, lambda content: content["annotations"][1].pop(key))
        assert f"'{key}' is missing" in found.errors[0]

    def test_says_nothing_of_boxes_in_images_whose_entries_are_wrong(self, data: Path) -> None:
        def change(content: Content) -> None:
            for image in content["images"]:
                del image["width"]

        found = checked(data, change)
        (error,) = found.errors
        assert "images with a field missing or wrong (2)" in error
        assert not usual_losses(describe(data)).warnings

    @pytest.mark.parametrize("entry", ["images", "annotations"])
    def test_names_an_entry_that_is_no_object(self, data: Path, entry: str) -> None:
        found = checked(data, lambda content: content[entry].append("text"))
        assert "is 'text', not an object" in found.errors[0]

    @pytest.mark.parametrize("bbox", [[0, 0, 40.9, 30.9], [-0.5, -0.5, 10, 10]])
    def test_lets_rounding_pass(self, data: Path, bbox: list[float]) -> None:
        found = checked(data, lambda content: content["annotations"][1].update(bbox=bbox))
        assert found == Findings([], [])

    def test_whole_numbers_may_be_floats(self, data: Path) -> None:
        found = checked(data, lambda content: content["images"][1].update(width=40.0))
        assert found == Findings([], [])

    def test_counts_many_and_names_a_few(self, data: Path) -> None:
        def many(content: Content) -> None:
            content["annotations"] += [box(100 + n, 1, [35, n / 9, 9, 9]) for n in range(30)]

        edit(data, "train", many)
        told = check(describe(data), limit=2).warnings[0]
        assert "pass their image's edge, which training clips to it, 90.9% of all (30): " in told
        assert "annotation 101" in told
        assert "annotation 102" not in told
        assert told.endswith("... and 28 more")

    def test_box_is_held_against_its_own_image(self, data: Path) -> None:
        def bigger(content: Content) -> None:
            content["images"].reverse()  # ids no longer ascend
            content["images"][0].update(id=900, width=80, file_name="wide.png")
            content["annotations"][2].update(image_id=900, bbox=[60, 0, 20, 30])

        Image.new("RGB", (80, 30)).save(data / "images" / "wide.png")
        assert checked(data, bigger) == Findings([], [])

    @pytest.mark.parametrize(
        ("split", "told"), [("train", "nothing to learn from"), ("val", "nothing to measure")]
    )
    def test_wants_boxes(self, data: Path, split: str, told: str) -> None:
        found = checked(data, lambda content: content["annotations"].clear(), split)
        assert told in found.errors[0]

    def test_crowds_alone_are_not_enough(self, data: Path) -> None:
        def crowded(content: Content) -> None:
            for annotation in content["annotations"]:
                annotation["iscrowd"] = 1

        assert "no box" in checked(data, crowded, "val").errors[0]

    def test_missing_files_in_subfolders(self, data: Path) -> None:
        def nested(content: Content) -> None:
            content["images"][0]["file_name"] = "deep/er/train_1.png"
            content["images"][1]["file_name"] = "none/train_2.png"

        folder = data / "images" / "deep" / "er"
        folder.mkdir(parents=True)
        (data / "images" / "train_1.png").rename(folder / "train_1.png")
        (error,) = checked(data, nested).errors
        assert "(1): none/train_2.png" in error

    def test_names_a_file_that_is_no_image(self, data: Path) -> None:
        (data / "images" / "val_2.png").write_text("not a picture")
        (error,) = check(describe(data)).errors
        assert "val_2.png cannot be read" in error


class TestWarnings:
    def test_image_in_both_splits(self, data: Path) -> None:
        found = checked(
            data, lambda content: content["images"][0].update(file_name="train_1.png"), "val"
        )
        assert found.errors == []
        assert "train_1.png" in found.warnings[0]

    def test_class_without_a_box(self, data: Path) -> None:
        found = checked(data, lambda content: content["annotations"].pop(1), "val")
        assert found.errors == []
        assert found.warnings[0].endswith("classes without a box in val (1): bag")

    @pytest.mark.parametrize(
        "change", [{"bbox": [0, 0, 0.5, 9]}, {"area": 0}, {"bbox": [3, 3, 9, 0.9]}]
    )
    def test_box_that_mmdet_leaves_out(self, data: Path, change: Content) -> None:
        found = checked(data, lambda content: content["annotations"][1].update(change))
        assert found.errors == []
        assert "annotation 12" in found.warnings[0]

    def test_annotation_id_that_evaluation_overlooks(self, data: Path) -> None:
        found = checked(data, lambda content: content["annotations"][0].update(id=0), "val")
        assert "the id 0" in found.warnings[0]

    def test_file_that_is_listed_twice(self, data: Path) -> None:
        found = checked(data, lambda content: content["images"][1].update(file_name="train_1.png"))
        assert "listed more than once (1): train_1.png" in found.warnings[0]

    @pytest.mark.parametrize(("orientation", "warned"), [(6, True), (8, True), (3, False)])
    def test_picture_that_exif_turns(self, data: Path, orientation: int, warned: bool) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new("RGB", (40, 30)).save(data / "images" / "train_1.png", exif=exif)
        found = check(describe(data))
        assert found.errors == []
        assert ["train_1.png is 30x40 upright" in told for told in found.warnings] == [
            True
        ] * warned

    def test_exif_is_read_as_mmdet_reads_it(self, data: Path) -> None:
        ops.install()
        import mmcv

        path = data / "images" / "train_1.jpg"
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (40, 30)).save(path, exif=exif)
        read = mmcv.imfrombytes(path.read_bytes(), flag="color", backend="cv2")
        assert read.shape == (40, 30, 3)

        def upright(content: Content) -> None:
            content["images"][0].update(file_name=path.name, width=30, height=40)
            content["annotations"] = [box(1, 1, [0, 0, 30, 40]), box(2, 2, [0, 0, 9, 9], 3)]

        assert checked(data, upright) == Findings([], [])


class TestHealth:
    """What hotcoco's health check adds; the two boxes of an object lie apart in the file."""

    @pytest.mark.parametrize("shift", [0, 0.2])
    def test_object_that_is_marked_twice(self, data: Path, shift: float) -> None:
        def twice(content: Content) -> None:
            content["annotations"].append(box(2**60 + 1, 1, [5.5 + shift, 4, 10, 10.25], 3))

        found = checked(data, twice)
        assert found.errors == []
        (told,) = found.warnings
        assert "train.json" in told
        first, second = "annotation 12 [5.5, 4.0, 10.0, 10.25]", f"annotation {2**60 + 1} "
        assert "objects marked twice? (2): " + first in told
        assert told.index(first) < told.index(second)
        assert told.endswith("in train_1.png of 40x30")

    def test_neighbours_and_other_classes_are_no_doubles(self, data: Path) -> None:
        def near(content: Content) -> None:
            content["annotations"].append(box(20, 1, [6.5, 4, 10, 10.25], 3))
            content["annotations"].append(box(21, 1, [5.5, 4, 10, 10.25], 7))
            content["annotations"].append(box(22, 2, [5.5, 4, 10, 10.25], 3))

        assert checked(data, near) == Findings([], [])

    def test_box_of_an_odd_shape(self, data: Path) -> None:
        found = checked(data, lambda content: content["annotations"][1].update(bbox=[0, 9, 31, 1]))
        assert found.errors == []
        (told,) = found.warnings
        assert "20 times as long as the other (1): annotation 12 [0.0, 9.0, 31.0, 1.0]" in told

    @pytest.mark.parametrize(
        "change",
        [{"bbox": [0, 0, 40, 0.5]}, {"bbox": [0, 0, 0, 5]}, {"image_id": 9}, {"category_id": 9}],
    )
    def test_says_nothing_twice(self, data: Path, change: Content) -> None:
        """Of two equal boxes with a fault only the fault is told."""

        def broken(content: Content) -> None:
            content["annotations"].append(box(20, 1, [5.5, 4, 10, 10.25], 3))
            for index in (1, 3):
                content["annotations"][index].update(change)

        found = checked(data, broken)
        told = [text for text in (*found.errors, *found.warnings) if "annotation 12" in text]
        assert len(told) == 1
        assert "(2): annotation 12" in told[0]
        assert "annotation 20" in told[0]

    def test_says_where_doubles_were_not_looked_for(self, data: Path) -> None:
        def many(content: Content) -> None:
            content["images"][0].update(id=2**60)
            content["annotations"] = [
                box(number + 1, 2**60, [number % 30, number // 30, 9, 9]) for number in range(101)
            ]
            content["annotations"].append(box(200, 2, [1, 1, 9, 9], 3))

        found = checked(data, many)
        assert found.errors == []
        assert found.warnings == [
            f"{data / 'train.json'}: images with over 100 boxes of a class, too many to look for objects "
            "marked twice (1): train_1.png"
        ]

    def test_optional_fields_are_not_looked_at(self, data: Path) -> None:
        """A file of a labelling tool, whose fields hotcoco would refuse."""

        def exported(content: Content) -> None:
            content["info"] = {"year": "2024", "version": 1}
            content["licenses"] = [{"id": "x"}]
            content["annotations"][0].update(segmentation={"no": "polygon"}, score="high")

        assert checked(data, exported) == Findings([], [])

    def test_failure_costs_only_itself(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(_coco: Any) -> Any:
            raise RuntimeError("out of luck")

        monkeypatch.setattr("hotcoco.COCO.healthcheck", broken)
        found = checked(data, lambda content: content["annotations"][0].update(id=0))
        assert found.errors == []
        assert any("the id 0" in told for told in found.warnings)
        assert any("RuntimeError: out of luck" in told for told in found.warnings)


def test_report_counts_images_and_boxes(data: Path) -> None:
    edit(data, "val", lambda content: content["annotations"].pop())
    lines = [line.split() for line in report_text(describe(data)).splitlines()]
    assert lines[0] == ["waste:", "2", "classes"]
    assert lines[1][:5] == ["train", "2", "images", "3", "boxes"]
    assert lines[2][:8] == ["val", "2", "images", "2", "boxes", "1", "images", "without"]
    assert ["class", "train", "learnt", "val", "counted"] in lines
    assert ["can", "2", "0", "1", "1"] in lines  # images of 40x30 are below mmdet's 32 pixels
    assert ["bag", "1", "0", "1", "1"] in lines


def test_report_counts_one_class_in_the_singular(data: Path) -> None:
    def one(content: Content) -> None:
        content["categories"].pop()
        content["annotations"] = content["annotations"][:1]
        content["annotations"][0]["category_id"] = content["categories"][0]["id"]

    for split in ("train", "val"):
        edit(data, split, one)
    assert report_text(describe(data)).splitlines()[0] == "waste: 1 class"


def test_report_counts_images_without_a_box(data: Path) -> None:
    def lost(content: Content) -> None:
        content["annotations"][1].update(image_id=98)
        content["annotations"][2].update(image_id=99)
        content["images"].append({"id": 5, "file_name": "no.png", "width": 1, "height": "?"})

    edit(data, "train", lost)
    edit(data, "val", lambda content: content["annotations"][0].update(image_id=99))
    train, val = report_text(describe(data)).splitlines()[1:3]
    assert "3 images         3 boxes       1 images without a box" in train
    assert "2 images         3 boxes       0 images without a box" in val


def test_file_that_is_missing_is_counted_once(data: Path) -> None:
    gone = {"file_name": "gone.png", "width": 40, "height": 30}
    found = checked(
        data, lambda content: content["images"].extend({"id": key, **gone} for key in (3, 4))
    )
    (error,) = found.errors
    assert error.endswith("(1): gone.png")


def test_check_agrees_with_hotcoco(data: Path) -> None:
    """Every error of hotcoco's health check is told here; a box of negative size is one that mmdet leaves out."""
    from hotcoco import COCO

    broken = copy.deepcopy(good("train"))
    broken["annotations"] += [box(11, 1, [1, 1, 2, 2]), box(20, 99, [1, 1, 2, 2], category=99)]
    broken["annotations"].append(box(21, 1, [1, 1, -2, 2]))
    write(data / "train.json", broken)
    theirs = COCO(str(data / "train.json")).healthcheck()
    assert len(theirs["errors"]) == 3
    found = check(describe(data))
    told = "\n".join([*found.errors, *found.warnings])
    for expected in ("repeat (1): 11", "20 (image 99)", "20 (category 99)", "annotation 21"):
        assert expected in told


def test_large_files_are_checked_by_column(data: Path) -> None:
    """A box that is wrong is found among many, whatever the order of images and boxes."""
    generator = np.random.default_rng(0)
    count = 2_000
    order = generator.permutation(count)
    images = [
        {"id": int(key), "file_name": "train_1.png", "width": 40 + int(key), "height": 30}
        for key in order
    ]
    annotations = [
        box(int(key), int(key), [0, 0, 40 + int(key), 30]) for key in generator.permutation(count)
    ]
    annotations[700]["bbox"][2] += 1
    content = {**good("train"), "images": images, "annotations": annotations}
    write(data / "train.json", content)
    passing = [told for told in check(describe(data)).warnings if "edge" in told]
    assert len(passing) == 1
    assert f"(1): annotation {annotations[700]['id']} " in passing[0]


POLYGON = [[0, 0, 40, 0, 40, 30]]
RUN_LENGTHS = {"size": [30, 40], "counts": "0"}


@pytest.mark.parametrize(
    ("masks", "crowd", "known"),
    [
        (POLYGON, 0, True),
        ([[0, 0, 40, 0], *POLYGON], 0, True),
        ([[0, 0, 40, 0]], 0, False),
        ([[0, 0, 40, 0, 40, 30, 7]], 0, False),
        ([], 0, False),
        (None, 0, False),
        (RUN_LENGTHS, 0, False),
        (RUN_LENGTHS, 1, True),
    ],
)
def test_a_data_set_has_masks_where_every_object_has_one(
    data: Path, masks: Any, crowd: int, known: bool
) -> None:
    def all_masked(content: Content) -> None:
        for entry in content["annotations"]:
            entry["segmentation"] = POLYGON

    def last_as_told(content: Content) -> None:
        all_masked(content)
        content["annotations"][-1].update(segmentation=masks, iscrowd=crowd)

    edit(data, "train", all_masked)
    assert not describe(data).masks
    edit(data, "val", last_as_told)
    assert describe(data).masks == known
