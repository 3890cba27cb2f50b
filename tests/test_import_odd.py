"""``detboard data import`` on what formats hold beside plain boxes, and on what is wrong with them."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command import here, run
from exports import CLASSES, SIZES, coco, cvat, draw, dump, voc, yolo
from PIL import Image
from test_import import boxes, content, imported, left_out, notes

from benchmark.data.importing import ledger


def images(folder: Path, split: str = "train") -> list[str]:
    return [image["file_name"] for image in content(folder, split)["images"]]


def voc_xml(
    *objects: str, size: tuple[int, int] | None = SIZES["a.png"], name: str = "a.png"
) -> str:
    told = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation><filename>{name}</filename>{told}{''.join(objects)}</annotation>"


def voc_object(corners: str, name: str = "can", more: str = "") -> str:
    keys = ("xmin", "ymin", "xmax", "ymax")
    inner = "".join(f"<{k}>{v}</{k}>" for k, v in zip(keys, corners.split(), strict=False))
    return f"<object><name>{name}</name>{more}<bndbox>{inner}</bndbox></object>"


class TestVoc:
    def source(self, tmp_path: Path, **labels: str) -> Path:
        root = tmp_path / "voc"
        for name, text in labels.items():
            dump(root / "Annotations" / f"{name}.xml", text)
        draw(root / "JPEGImages")
        return root

    def test_lists_divide_the_images(self, tmp_path: Path) -> None:
        voc(tmp_path / "voc")
        lists = tmp_path / "voc" / "ImageSets" / "Main"
        for name, text in {
            "train": "a\nlost\n",
            "val": "b.png\n",
            "trainval": "a\nb\nc\n",
            "can_train": "a  1\n",
        }.items():
            dump(lists / f"{name}.txt", text)
        out, _, status = imported(tmp_path / "voc", tmp_path / "data")
        assert status == 0
        assert images(tmp_path / "data") == ["a.png"]
        assert images(tmp_path / "data", "val") == ["b.png"]
        assert left_out(tmp_path / "data") == {
            ledger.LISTED_NOT_THERE: (1, 0),
            ledger.NO_SPLIT_LISTS: (1, 0),
        }
        assert "train.txt: lost" in out
        (lists / "train.txt").unlink()
        (lists / "val.txt").unlink()
        imported(tmp_path / "voc", tmp_path / "other")
        assert images(tmp_path / "other") == ["a.png", "b.png", "c.png"]

    def test_lists_name_images_with_spaces_and_a_pipe_is_no_label(self, tmp_path: Path) -> None:
        root = self.source(tmp_path, a=voc_xml(voc_object("2 2 9 9")))
        for folder, end in (("Annotations", "xml"), ("JPEGImages", "png")):
            (root / folder / f"a.{end}").rename(root / folder / f"my photo.{end}")
        os.mkfifo(root / "Annotations" / "b.xml")
        dump(root / "ImageSets" / "Main" / "train.txt", "my photo 1\nmy photo\n")
        imported(root, tmp_path / "data")
        assert images(tmp_path / "data") == ["my photo.png"]
        assert left_out(tmp_path / "data")[ledger.LISTED_NOT_THERE] == (1, 0)

    def test_images_may_lie_beside_their_labels(self, tmp_path: Path) -> None:
        hard = [f"<difficult>{word}</difficult>" for word in ("True", "yes", "0", "Unspecified")]
        objects = [voc_object("2 2 9 9", more=more) for more in hard]
        dump(tmp_path / "voc" / "Annotations" / "a.xml", voc_xml(*objects))
        draw(tmp_path / "voc" / "Annotations", ["a.png"])
        imported(tmp_path / "voc", tmp_path / "data")
        assert images(tmp_path / "data") == ["a.png"]
        crowds = [box["iscrowd"] for box in content(tmp_path / "data")["annotations"]]
        assert crowds == [1, 1, 0, 0]

    def test_a_test_split_may_have_no_labels(self, tmp_path: Path) -> None:
        """As that of VOC 2012 has none."""
        voc(tmp_path / "voc")
        lists = tmp_path / "voc" / "ImageSets" / "Main"
        for name, text in {"train": "a\n", "val": "a\nb\n", "test": "c\n"}.items():
            dump(lists / f"{name}.txt", text)
        (tmp_path / "voc" / "Annotations" / "c.xml").unlink()
        imported(tmp_path / "voc", tmp_path / "data")
        assert images(tmp_path / "data", "val") == ["b.png"]
        assert notes(tmp_path / "data") == {ledger.IN_TWO_SPLITS: 1}
        test = content(tmp_path / "data", "test")
        assert [image["file_name"] for image in test["images"]] == ["c.png"]
        assert "annotations" not in test

    @pytest.mark.parametrize(
        ("corners", "xywh", "from_edge"),
        [
            ("1 1 64 32", [0, 0, 64, 32], False),
            ("5 6 5 6", [4, 5, 1, 1], False),
            ("0 0 64 32", [0, 0, 64, 32], True),
            ("1.5 2.25 10 12", [1.5, 2.25, 8.5, 9.75], True),
            ("5.0 6.0 9.0 12.0", [5, 6, 4, 6], True),  # as CVAT writes them
        ],
    )
    def test_corners_count_from_1_unless_they_cannot(
        self, corners: str, xywh: list[float], from_edge: bool, tmp_path: Path
    ) -> None:
        source = self.source(tmp_path, a=voc_xml(voc_object(corners)))
        out, _, _ = imported(source, tmp_path / "data")
        assert boxes(tmp_path / "data")["a.png"] == [("can", xywh)]
        assert ("whose corners are edges counted from 0" in out) is from_edge

    def test_label_studio_counts_from_0(self, tmp_path: Path) -> None:
        owner = "<owner><name>Label Studio</name></owner>"
        source = self.source(tmp_path, a=voc_xml(owner, voc_object("5 6 9 12")))
        imported(source, tmp_path / "data")
        assert boxes(tmp_path / "data")["a.png"] == [("can", [5, 6, 4, 6])]

    def test_xml_of_another_tool_comes_to_no_box(self, tmp_path: Path) -> None:
        labelme = "<object><name>can</name><polygon><pt><x>1</x><y>1</y></pt></polygon></object>"
        _, err, status = imported(self.source(tmp_path, a=voc_xml(labelme)), tmp_path / "data")
        assert status == 2
        assert "there is no box of any class in what was found" in err
        assert "a.xml: can: bndbox is not xmin, ymin, xmax, ymax" in err

    def test_what_is_no_box_is_left_out_with_the_reason(self, tmp_path: Path) -> None:
        turned = "<object><name>can</name><robndbox><cx>5</cx></robndbox></object>"
        label = voc_xml(
            voc_object("2 2 9 9", more="<difficult>1</difficult><part><bndbox/></part>"),
            voc_object("9 2 7 9"),
            voc_object("2 2 nan 9"),
            voc_object("2 2 9"),
            voc_object("70 2 79 9"),
            turned,
            size=None,
        )
        imported(
            self.source(tmp_path, a=label, lost=voc_xml(voc_object("1 1 9 9"), name="l.png")),
            tmp_path / "data",
        )
        (box,) = content(tmp_path / "data")["annotations"]
        assert (box["bbox"], box["iscrowd"]) == ([1, 1, 8, 8], 1)
        assert left_out(tmp_path / "data") == {
            ledger.OTHER_SHAPES: (1, 1),
            ledger.NO_BOX: (2, 2),
            ledger.NO_IMAGE: (1, 1),
            ledger.NO_AREA: (1, 1),
            ledger.OUTSIDE: (1, 1),
            ledger.NO_LABELS: (2, 0),
        }

    def test_an_image_goes_by_the_name_of_its_file_of_labels(self, tmp_path: Path) -> None:
        wrong = voc_xml(voc_object("1 1 9 9"), name="c.png", size=SIZES["a.png"])
        other = voc_xml(voc_object("2 2 9 9"), name="b.png", size=SIZES["b.png"])
        imported(self.source(tmp_path, a=wrong, second=other), tmp_path / "data")
        assert boxes(tmp_path / "data") == {
            "a.png": [("can", [0, 0, 9, 9])],
            "b.png": [("can", [1, 1, 8, 8])],
        }

    def test_labels_of_one_image_are_not_mixed(self, tmp_path: Path) -> None:
        """The file of the image's own name is its; of two others, neither is."""
        label = voc_xml(voc_object("1 1 9 9"))
        other = voc_xml(voc_object("1 1 9 9"), name="b.png", size=SIZES["b.png"])
        source = self.source(tmp_path, a=label, copy=label, x=other, y=other)
        imported(source, tmp_path / "data")
        assert images(tmp_path / "data") == ["a.png"]
        assert left_out(tmp_path / "data")[ledger.TWO_NAMES] == (3, 3)

    def test_xml_that_grows_or_is_none_is_refused_all_at_once(self, tmp_path: Path) -> None:
        bomb = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + voc_xml(
            "<object>&b;</object>"
        )
        file = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + voc_xml(
            "<object>&a;</object>"
        )
        deep = "<annotation>" + "<a>" * 5000 + "</a>" * 5000 + "</annotation>"
        source = self.source(tmp_path, a=voc_xml(), b=bomb, c=file, d=deep, e="<annotation>")
        _, err, status = imported(source, tmp_path / "data")
        assert (status, err.count("not XML that can be read")) == (2, 4)
        assert err.count("it declares the entity 'a', as no labels do") == 2
        assert "nested over 100 deep" in err
        assert not (tmp_path / "data").exists()

    def test_folders_of_splits_are_splits(self, tmp_path: Path) -> None:
        """As Roboflow writes VOC: labels beside the images."""
        for split, name in (("train", "a.png"), ("valid", "b.png")):
            text = voc_xml(voc_object("1 1 9 9"), name=name, size=SIZES[name])
            dump(tmp_path / "voc" / split / f"{Path(name).stem}.xml", text)
            draw(tmp_path / "voc" / split, [name])
        imported(tmp_path / "voc", tmp_path / "data")
        assert images(tmp_path / "data") == ["a.png"]
        assert boxes(tmp_path / "data", "val") == {"b.png": [("can", [0, 0, 9, 9])]}


class TestYolo:
    def source(self, tmp_path: Path, text: str, told: str = "names: [bag, can]\n") -> Path:
        """One image of 64x32 with these labels, another with one box."""
        root = tmp_path / "yolo"
        draw(root / "images", ["a.png", "b.png"])
        dump(root / "labels" / "a.txt", text)
        dump(root / "labels" / "b.txt", "0 .5 .5 .5 .5\n")
        dump(root / "data.yaml", told)
        return root

    def test_lines_of_every_kind(self, tmp_path: Path) -> None:
        lines = (
            "1.0 0.5 0.5 1 1",
            "0 1.0 0.5 0.25 0.5",  # past the edge: kept
            "1 0 0 0.5 0 0.5 0.5 0 0.5",  # a polygon
            "7 0.5 0.5 0.1 0.1",
            "0.5 0.5 0.5 0.1 0.1",
            "1 0.5 0.5 0.1 0.1 0.9",  # a prediction
            "1 0.5 0.5 nan 0.1",
            "1 0.5 0.5 0 0.1",
            "can 0.5 0.5 0.1 0.1",
            "1 0.5 0.5 1e30 0.1",
        )
        _, _, status = imported(self.source(tmp_path, "\n".join(lines)), tmp_path / "data")
        assert status == 0
        assert boxes(tmp_path / "data")["a.png"] == [
            ("can", [0, 0, 64, 32]),
            ("bag", [56, 8, 16, 16]),
            ("can", [0, 0, 32, 16]),
        ]
        polygon = content(tmp_path / "data")["annotations"][2]["segmentation"]
        assert polygon == [[0, 0, 32, 0, 32, 16, 0, 16]]
        assert left_out(tmp_path / "data") == {
            ledger.UNKNOWN_CLASS: (2, 2),
            ledger.NO_BOX: (4, 4),
            ledger.NO_AREA: (1, 1),
        }

    def test_keypoints_are_passed_over(self, tmp_path: Path) -> None:
        told = "names: {0: bag, 1: can}\nkpt_shape: [2, 3]\n"
        source = self.source(tmp_path, "1 0.5 0.5 0.5 0.5 0 0 2 0 0 2\n", told)
        imported(source, tmp_path / "data")
        (box, _) = content(tmp_path / "data")["annotations"]
        assert box["bbox"] == [16, 8, 32, 16]
        assert "segmentation" not in box

    def test_boxes_in_pixels_are_refused(self, tmp_path: Path) -> None:
        source = self.source(tmp_path, "1 32 16 10 10\n0 30 10 4 4\n")
        _, err, status = imported(source, tmp_path / "data")
        assert status == 2
        assert "labels are no fractions of their images' width and height" in err
        assert "labels/a.txt:1: 1 32 16 10 10" in err

    def test_splits_as_the_yaml_file_says_within_the_source_alone(self, tmp_path: Path) -> None:
        """As Roboflow writes them, with a split that was not exported, and with a path of another machine."""
        root = tmp_path / "yolo"
        dump(tmp_path / "train" / "images" / "stranger.txt", "")
        for split, name in (("train", "a.png"), ("valid", "b.png"), ("other", "c.png")):
            draw(root / split / "images", [name])
            dump(root / split / "labels" / f"{Path(name).stem}.txt", "1 .5 .5 .5 .5")
        told = "path: /content/waste\ntrain: ../train/images\nval: /content/waste/valid/images\n"
        told += "test: ../test/images\nnames: [bag, can]\n"
        dump(root / "data.yaml", told)
        out, _, status = imported(root, tmp_path / "data")
        assert status == 0
        assert (images(tmp_path / "data"), images(tmp_path / "data", "val")) == (
            ["a.png"],
            ["b.png"],
        )
        assert "data.yaml: test: ../test/images" in out
        assert left_out(tmp_path / "data")[ledger.NO_SPLIT_FOLDER] == (1, 0)
        assert left_out(tmp_path / "data")[ledger.NO_SPLIT_LISTS] == (1, 0)

    def test_an_image_is_of_one_split(self, tmp_path: Path) -> None:
        """Many name the validation images as those of test, too, and some the training images as all three."""
        root = tmp_path / "yolo"
        for split, name in (("train", "a.png"), ("val", "b.png")):
            draw(root / "images" / split, [name])
            dump(root / "labels" / split / f"{Path(name).stem}.txt", "1 .5 .5 .5 .5")
        told = "train: images/train\nval: [images/val, images/train]\ntest: images/val\n"
        dump(root / "data.yaml", f"{told}names: [bag, can]\n")
        out, _, _ = imported(root, tmp_path / "data")
        assert [images(tmp_path / "data", s) for s in ("train", "val")] == [["a.png"], ["b.png"]]
        assert not (tmp_path / "data" / "test.json").exists()
        assert notes(tmp_path / "data") == {ledger.IN_TWO_SPLITS: 2}
        assert "images/val/b.png: val, test" in out
        assert here(["data", "check", str(tmp_path / "data")]).returncode == 0

    def test_lists_of_another_machine(self, tmp_path: Path) -> None:
        """As darknet has them, and as CVAT writes them."""
        root = tmp_path / "yolo"
        draw(root / "obj_train_data", ["a.png", "b.png"])
        dump(root / "obj_train_data" / "a.txt", "0 .5 .5 .5 .5")
        dump(root / "obj_train_data" / "b.txt", "")
        dump(root / "obj.names", "\n".join(CLASSES))
        dump(root / "train.txt", "data/obj_train_data/a.png\n/build/obj_train_data/lost.png\n")
        dump(root / "valid.txt", "/build/darknet/obj_train_data/b.png\n")
        _, _, status = imported(root, tmp_path / "data")
        assert status == 0
        assert boxes(tmp_path / "data") == {"a.png": [("bag", [16, 8, 32, 16])]}
        assert boxes(tmp_path / "data", "val") == {"b.png": []}
        assert left_out(tmp_path / "data") == {ledger.LEADS_OUT: (1, 0)}
        assert notes(tmp_path / "data")[ledger.FOUND_WITHIN] == 2

    def test_labels_that_are_not_there(self, tmp_path: Path) -> None:
        root = tmp_path / "yolo"
        for split, names in (("train", ["a.png", "b.png"]), ("val", ["c.png"])):
            draw(root / "images" / split, names)
        dump(root / "labels" / "train" / "a.txt", "0 .5 .5 .5 .5")
        dump(root / "labels" / "train" / "lost.txt", "0 .5 .5 .5 .5\n1 .5 .5 .5 .5")
        dump(root / "classes.txt", "bag\ncan\n\n")
        _, err, status = imported(root, tmp_path / "data")
        assert status == 2
        assert "none of the 1 images of val has a file of labels" in err
        assert f"looked for {root}/labels/val/c.txt and {root}/images/val/c.txt" in err
        (root / "images" / "val").rename(root / "images" / "test")
        out, _, status = imported(root, tmp_path / "data")
        assert status == 0
        assert "annotations" not in content(tmp_path / "data", "test")
        assert "test         1 images, without labels" in out
        assert left_out(tmp_path / "data") == {ledger.NO_IMAGE: (1, 2)}
        assert notes(tmp_path / "data") == {ledger.EMPTY_PICTURES: 1}
        assert (
            f"'detboard data split {tmp_path / 'data'}/train.json --holdout 0.1' makes a folder with some; "
            "an experiment with 'folds: 5' needs none" in out
        )

    def test_a_line_ends_where_editors_end_it(self, tmp_path: Path) -> None:
        """A name that holds U+2028, as spreadsheets have it, or a form feed would shift the numbers of all others."""
        source = self.source(tmp_path, "0 .5 .5 .5 .5\n1 .5 .5 .5 .5", "names: [bag, can]\n")
        (source / "data.yaml").unlink()
        dump(source / "classes.txt", "ba\u2028\x0cg\r\ncan\n")
        imported(source, tmp_path / "data")
        kinds = [kind["name"] for kind in content(tmp_path / "data")["categories"]]
        assert kinds == ["ba\u2028\x0cg", "can"]
        dump(source / "data.yaml", "names: [bag, can]\ntrain: list.txt\n")
        os.mkfifo(source / "list.txt")
        _, err, status = imported(source, tmp_path / "other")
        assert (status, "list.txt: no regular file" in err) == (2, True)

    def test_names_that_are_none_are_refused(self, tmp_path: Path) -> None:
        source = self.source(tmp_path, "", "names: [bag, no]\n")
        _, err, status = imported(source, tmp_path / "data")
        assert (status, "write names like no, on or 1 in quotes" in err) == (2, True)
        dump(source / "data.yaml", "names: []")
        assert imported(source, tmp_path / "data")[2] == 2
        (source / "data.yaml").unlink()
        dump(source / "classes.txt", "bag\n\ncan\n")
        _, err, status = imported(source, tmp_path / "data")
        assert (status, "classes.txt: line 2 is empty" in err) == (2, True)
        (source / "classes.txt").write_bytes("bag\ncanap\xe9".encode("latin-1"))
        _, err, status = imported(source, tmp_path / "data")
        assert (status, "classes.txt: is not UTF-8 (byte 9)" in err) == (2, True)


class TestCvat:
    def source(self, tmp_path: Path, *shapes: str, image: str = 'name="a.png"') -> Path:
        size = 'width="64" height="32"'
        text = f"<version>1.1</version><image id='0' {image} {size}>{''.join(shapes)}</image>"
        dump(tmp_path / "cvat" / "annotations.xml", f"<annotations>{text}</annotations>")
        draw(tmp_path / "cvat" / "images", ["a.png"])
        return tmp_path / "cvat"

    def test_shapes_of_every_kind(self, tmp_path: Path) -> None:
        edges = 'xtl="10" ytl="10" xbr="20" ybr="14"'
        source = self.source(
            tmp_path,
            f'<box label="can" {edges} occluded="0"><attribute name="x">1</attribute></box>',
            f'<box label="can" {edges} rotation="90"/>',
            '<polygon label="bag" points="1,1;5.5,1;5.5,9"/>',
            '<mask label="bag" rle="1, 2" left="3" top="4" width="5" height="6"/>',
            '<ellipse label="bag" cx="20" cy="16" rx="4" ry="2"/>',
            '<ellipse label="bag" cx="20" cy="16" rx="4" ry="2" rotation="90"/>',
            '<points label="bag" points="1,1"/>',
            '<box label="can" xtl="1" ytl="1" xbr="x" ybr="2"/>',
            '<tag label="scene"/>',
        )
        out, _, status = imported(source, tmp_path / "data")
        assert status == 0
        assert boxes(tmp_path / "data")["a.png"] == [
            ("can", [10, 10, 10, 4]),
            ("can", [13, 7, 4, 10]),
            ("bag", [1, 1, 4.5, 8]),
            ("bag", [3, 4, 5, 6]),
            ("bag", [16, 14, 8, 4]),
            ("bag", [18, 12, 4, 8]),
        ]
        assert left_out(tmp_path / "data") == {ledger.OTHER_SHAPES: (1, 1), ledger.NO_BOX: (1, 1)}
        assert notes(tmp_path / "data") == {ledger.TURNED: 1, ledger.POLYGONS: 1, ledger.ROUND: 3}
        assert ledger.TURNED in out

    def test_subsets_are_splits_and_folders_stay(self, tmp_path: Path) -> None:
        box = '<box label="can" xtl="1" ytl="1" xbr="9" ybr="2"/>'
        source = self.source(tmp_path, box, image='name="walk/a.png" subset="Validation"')
        draw(source / "images" / "Validation" / "walk", ["a.png"])
        imported(source, tmp_path / "data")
        assert images(tmp_path / "data", "val") == ["walk/a.png"]
        assert (tmp_path / "data" / "images" / "walk" / "a.png").is_file()

    def test_a_file_a_split_is_one(self, tmp_path: Path) -> None:
        box = '<box label="can" xtl="1" ytl="1" xbr="9" ybr="2"/>'
        source = self.source(tmp_path, box)
        (source / "annotations.xml").rename(source / "val.xml")
        imported(source, tmp_path / "data")
        assert images(tmp_path / "data", "val") == ["a.png"]

    @pytest.mark.parametrize(
        ("start", "told"),
        [
            ('<!DOCTYPE a [<!ENTITY lol "lol">]>', "it declares the entity 'lol'"),
            ('<?xml version="1.0" encoding="gb2312"?>', "multi-byte encodings are not supported"),
        ],
    )
    def test_xml_that_cannot_be_read_is_known_and_refused(
        self, start: str, told: str, tmp_path: Path
    ) -> None:
        cvat(tmp_path / "cvat")
        path = tmp_path / "cvat" / "annotations.xml"
        path.write_text(f"{start}<annotations{path.read_text().partition('<annotations')[2]}")
        _, err, status = imported(tmp_path / "cvat", tmp_path / "data")
        assert (status, f"{path}: not XML that can be read: {told}" in err) == (2, True), err

    def test_a_video_is_refused(self, tmp_path: Path) -> None:
        cvat(tmp_path / "cvat")
        path = tmp_path / "cvat" / "annotations.xml"
        path.write_text(path.read_text().replace("</annotations>", "<track/></annotations>"))
        _, err, status = imported(tmp_path / "cvat", tmp_path / "data")
        assert (status, "tracks of a video: export the task as" in err) == (2, True)


class TestCoco:
    def source(self, tmp_path: Path, content: object) -> Path:
        dump(tmp_path / "coco" / "result.json", content)
        draw(tmp_path / "coco" / "images")
        return tmp_path / "coco"

    def test_entries_that_are_none_are_left_out_with_the_reason(self, tmp_path: Path) -> None:
        found = coco()
        first, second, third = found["annotations"]
        del first["area"]
        rle = {"counts": "abc", "size": [32, 64]}
        first["segmentation"] = rle
        second.update(area=7.5, iscrowd=1, segmentation=rle)
        third["segmentation"] = [[0, 0, 1, 0, 1, 1], [1, 2, 3], ["x", 0, 1, 0, 1, 1]]
        found["annotations"] += [
            {**third, "category_id": 9},
            {**third, "image_id": 9},
            {**third, "bbox": [1, 2, None, 3]},
            {**third, "bbox": [1, 2, 0, 3]},
            "box",
        ]
        found["images"] += [
            {"id": 4, "file_name": "lost.png", "width": 1, "height": 1},
            {"id": 5, "file_name": "A.PNG", "width": 64, "height": 32},
            {"id": 6, "file_name": ""},
        ]
        found["images"][0].update(patient="p7", weight=float("nan"))
        found["images"][1]["patient"] = "p8"
        out, _, status = imported(self.source(tmp_path, found), tmp_path / "data")
        assert status == 0
        told = content(tmp_path / "data")
        assert [box["area"] for box in told["annotations"]] == [64 * 32, 7.5, 1]
        assert "segmentation" not in told["annotations"][0]
        assert told["annotations"][1]["segmentation"] == rle
        assert told["annotations"][2]["segmentation"] == [[0, 0, 1, 0, 1, 1]]
        assert [image.get("patient") for image in told["images"]] == [None, "p8", None]
        assert left_out(tmp_path / "data") == {
            ledger.UNKNOWN_CLASS: (1, 1),
            ledger.NO_IMAGE: (1, 1),
            ledger.NO_BOX: (2, 2),
            ledger.NO_FILE: (2, 0),
            ledger.BAD_IMAGE: (1, 0),
            ledger.NO_AREA: (1, 1),
        }
        assert notes(tmp_path / "data") == {ledger.NO_MASK: 1, ledger.NO_JSON: 1}
        assert "A.PNG (there is a.png)" in out

    def test_half_of_a_surrogate_pair_is_refused_with_the_file(self, tmp_path: Path) -> None:
        found = coco()
        found["categories"][0].update(name="\ud800", supercategory=[])
        _, err, status = imported(self.source(tmp_path, found), tmp_path / "data")
        assert (status, "result.json: " in err, "surrogate pair" in err) == (2, True, True)
        found["categories"][0]["name"] = "bag"
        assert imported(self.source(tmp_path, found), tmp_path / "data")[2] == 0

    def test_ids_that_repeat_are_refused(self, tmp_path: Path) -> None:
        found = coco()
        found["images"][1]["id"] = 1
        _, err, status = imported(self.source(tmp_path, found), tmp_path / "data")
        assert (status, "image ids repeat (1): 1" in err) == (2, True)
        found = coco()
        found["categories"][1]["id"] = 1
        _, err, status = imported(self.source(tmp_path, found), tmp_path / "data")
        assert (status, "category ids repeat" in err) == (2, True)

    def test_files_of_no_split_beside_splits_are_left_out(self, tmp_path: Path) -> None:
        """COCO's ``minival`` is a part of ``val``: to train on it would be to train on the test."""
        root = tmp_path / "coco"
        for part, name in (("train2014", "a.png"), ("val2014", "b.png"), ("minival2014", "b.png")):
            dump(root / "annotations" / f"instances_{part}.json", coco([name]))
        draw(root / "images")
        imported(root, tmp_path / "data")
        assert images(tmp_path / "data") == ["a.png"]
        assert images(tmp_path / "data", "val") == ["b.png"]
        assert left_out(tmp_path / "data") == {ledger.NO_SPLIT_LISTS: (1, 1)}

    def test_two_categories_of_one_name_are_one_class(self, tmp_path: Path) -> None:
        found = coco()
        found["categories"][1]["name"] = "bag"
        imported(self.source(tmp_path, found), tmp_path / "data")
        assert [kind["name"] for kind in content(tmp_path / "data")["categories"]] == ["bag"]
        assert len(content(tmp_path / "data")["annotations"]) == 3
        assert notes(tmp_path / "data") == {ledger.SAME_NAME: 1}

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("/build/media/a.png", ledger.FOUND_WITHIN),
            ("../../label-studio/images/a.png", ledger.FOUND_WITHIN),
            ("https://example.org/a.png", ledger.FOUND_WITHIN),
            ("images\\a.png", None),
            ("./a.png", None),
            ("{}/coco/images/a.png", None),
            ("../secret.png", ledger.LEADS_OUT),
            ("{}/secret.png", ledger.LEADS_OUT),
            ("images/../../secret.png", ledger.LEADS_OUT),
            ("https://example.org/secret.png", ledger.NO_FILE),
        ],
    )
    def test_no_name_leads_out_of_the_source(
        self, name: str, told: str | None, tmp_path: Path
    ) -> None:
        Image.new("RGB", SIZES["a.png"]).save(tmp_path / "secret.png")
        found = coco(["a.png", "b.png"])
        found["images"][0]["file_name"] = name.format(tmp_path)
        imported(self.source(tmp_path, found), tmp_path / "data", "--copy")
        is_there = told in (None, ledger.FOUND_WITHIN)
        there = ["a.png", "b.png"] if is_there else ["b.png"]
        assert images(tmp_path / "data") == there
        assert sorted(path.name for path in (tmp_path / "data" / "images").rglob("*")) == there
        assert notes(tmp_path / "data") == ({told: 1} if is_there and told else {})
        assert left_out(tmp_path / "data") == ({} if is_there else {told: (1, 2)})

    @pytest.mark.parametrize(
        ("name", "there"),
        [
            ("my%20photo%C3%A9.png", "my photo\u00e9.png"),
            ("e\u0301.png", "\u00e9.png"),  # as macOS writes an accent, and as others do
            ("\u00e9.png", "e\u0301.png"),
            ("x%20y.png", "x%20y.png"),
        ],
    )
    def test_names_may_be_written_otherwise(self, name: str, there: str, tmp_path: Path) -> None:
        found = coco(["a.png", "b.png"])
        found["images"][0]["file_name"] = name
        source = self.source(tmp_path, found)
        (source / "images" / "a.png").rename(source / "images" / there)
        imported(source, tmp_path / "data")
        assert images(tmp_path / "data") == sorted(["b.png", there])
        assert left_out(tmp_path / "data") == {}

    @pytest.mark.parametrize("export", [voc, yolo])
    def test_labels_are_found_beside_an_image_that_macos_has_named(
        self, export: Callable[[Path], None], tmp_path: Path
    ) -> None:
        export(tmp_path / "source")
        for path in [*(tmp_path / "source").rglob("a.*")]:
            name = "e\u0301" if path.suffix == ".png" else "\u00e9"
            path.rename(path.with_name(f"{name}{path.suffix}"))
        dump(tmp_path / "source" / "ImageSets" / "Main" / "train.txt", "\u00e9\nb\nc\n")
        imported(tmp_path / "source", tmp_path / "data")
        assert len(boxes(tmp_path / "data")["e\u0301.png"]) == 2
        assert left_out(tmp_path / "data") == {}

    def test_a_file_that_is_no_coco_is_told_as_everywhere(self, tmp_path: Path) -> None:
        for name in ("train", "valid"):
            dump(tmp_path / "rf" / name / "_annotations.coco.json", '{"images": [')
        _, err, status = imported(tmp_path / "rf", tmp_path / "data")
        assert (status, err.count("not JSON")) == (2, 2)


class TestPictures:
    def turned(self, root: Path, orientation: int, said: tuple[int, int], xywh: list[int]) -> Path:
        """A COCO file of one JPEG that EXIF turns; it is stored with 64x32 pixels."""
        exif = Image.Exif()
        exif[0x0112] = orientation
        draw(root / "images", ["a.png"])
        Image.open(root / "images" / "a.png").save(root / "images" / "t.jpg", exif=exif)
        found = coco(["a.png"])
        found["images"][0].update(file_name="t.jpg", width=said[0], height=said[1])
        found["annotations"] = [{**found["annotations"][0], "bbox": xywh, "area": 1}]
        dump(root / "result.json", found)
        return root

    @pytest.mark.parametrize(
        ("orientation", "xywh"),
        [
            (5, [2, 1, 4, 8]),
            (6, [26, 1, 4, 8]),
            (7, [26, 55, 4, 8]),
            (8, [2, 55, 4, 8]),
        ],
    )
    def test_boxes_of_the_stored_image_are_turned_with_it(
        self, orientation: int, xywh: list[int], tmp_path: Path
    ) -> None:
        source = self.turned(tmp_path / "source", orientation, (64, 32), [1, 2, 8, 4])
        imported(source, tmp_path / "data")
        (image,) = content(tmp_path / "data")["images"]
        assert (image["width"], image["height"]) == (32, 64)
        assert boxes(tmp_path / "data")["t.jpg"] == [("can", xywh)]
        assert notes(tmp_path / "data") == {ledger.TURNED_PICTURES: 1}

    def test_boxes_of_the_upright_image_stay(self, tmp_path: Path) -> None:
        imported(self.turned(tmp_path / "one", 6, (32, 64), [1, 2, 8, 4]), tmp_path / "data")
        assert boxes(tmp_path / "data")["t.jpg"] == [("can", [1, 2, 8, 4])]
        assert notes(tmp_path / "data") == {}
        imported(self.turned(tmp_path / "two", 3, (64, 32), [1, 2, 8, 4]), tmp_path / "other")
        assert notes(tmp_path / "other") == {ledger.MAYBE_TURNED: 1}

    def test_images_that_do_not_fit_or_cannot_be_read_are_left_out(self, tmp_path: Path) -> None:
        root = tmp_path / "source"
        dump(root / "train.json", coco())
        draw(root / "images")
        Image.new("RGB", (20, 20)).save(root / "images" / "a.png")
        (root / "images" / "c.png").write_bytes(b"")
        out, _, status = imported(root, tmp_path / "data")
        assert status == 0
        assert images(tmp_path / "data") == ["b.png"]
        assert left_out(tmp_path / "data")[ledger.OTHER_SIZE] == (1, 2)
        assert "a.png is 20x20, labelled as 64x32" in out
        assert "image files without content (1)" in out
        (root / "images" / "b.png").write_bytes(b"no image")
        _, err, status = imported(root, tmp_path / "other")
        assert status == 2
        assert "no box is left of what was found" in err
        assert "b.png: is no image" in err
        assert not (tmp_path / "other").exists()

    def test_folders_may_be_links_even_to_where_they_lie(self, tmp_path: Path) -> None:
        yolo(tmp_path / "source")
        (tmp_path / "source" / "images").rename(tmp_path / "photos")
        (tmp_path / "source" / "images").symlink_to(tmp_path / "photos")
        (tmp_path / "photos" / "again").symlink_to(tmp_path / "source")
        for name in ("loop.png", "loop.txt"):
            (tmp_path / "photos" / name).symlink_to(name)
        assert imported(tmp_path / "source", tmp_path / "data")[2] == 0
        assert images(tmp_path / "data") == ["a.png", "b.png", "c.png"]
        assert left_out(tmp_path / "data") == {"image files that cannot be opened": (1, 0)}

    def test_links_out_of_the_source_are_counted(self, tmp_path: Path) -> None:
        yolo(tmp_path / "source")
        imported(tmp_path / "source", tmp_path / "data")
        assert notes(tmp_path / "data") == {}
        imported(tmp_path / "data", tmp_path / "again")
        assert notes(tmp_path / "again") == {ledger.LINKED_OUT: 3}
        linked = tmp_path / "again" / "images" / "a.png"
        assert linked.readlink() == tmp_path / "source" / "images" / "a.png"

    def test_names_may_hold_anything_that_utf8_can(self, tmp_path: Path) -> None:
        root = tmp_path / "source"
        odd = ["a\nb.png", "😀 (1).png", "-x.png", "a" * 250 + ".png"]
        draw(root / "images", ["a.png"])
        for name in [*odd, os.fsdecode(b"\xff.png")]:
            (root / "images" / name).write_bytes((root / "images" / "a.png").read_bytes())
            dump(root / "labels" / f"{name[:-4]}.txt", "0 .5 .5 .5 .5")
        (root / "images" / "a.png").unlink()
        dump(root / "classes.txt", "bag")
        out, _, status = imported(root, tmp_path / "data")
        assert status == 0
        assert images(tmp_path / "data") == sorted(odd)
        assert all((tmp_path / "data" / "images" / name).is_file() for name in odd)
        assert left_out(tmp_path / "data") == {ledger.NOT_UTF8: (1, 1)}
        assert "images/\\udcff.png" in out


class TestFolder:
    def test_what_is_there_is_never_overwritten(self, tmp_path: Path) -> None:
        yolo(tmp_path / "source")
        kept = dump(tmp_path / "data" / "train.json", "mine")
        _, err, status = imported(tmp_path / "source", tmp_path / "data")
        assert (status, "is there and is not empty; nothing was overwritten" in err) == (2, True)
        assert kept.read_text() == "mine"
        _, err, status = imported(tmp_path / "source", tmp_path / "source" / "data")
        assert (status, "lies in" in err) == (2, True)
        _, err, status = imported(tmp_path / "source", tmp_path / "source", tmp_path / "new")
        assert (status, "is given 2 times" in err) == (2, True)
        (tmp_path / "empty").mkdir()
        assert imported(tmp_path / "source", tmp_path / "empty")[2] == 0

    def test_a_folder_of_no_format_or_of_several_is_refused_in_one_message(
        self, tmp_path: Path
    ) -> None:
        voc(tmp_path / "kit" / "VOC2007")
        _, err, status = imported(tmp_path / "kit", tmp_path / "data")
        assert status == 2
        assert err.startswith(
            f"error: {tmp_path / 'kit'}: is of no format that can be imported; looked for:"
        )
        assert "Label Studio's COCO: one COCO file in the folder itself" in err
        assert f"in it are {tmp_path / 'kit' / 'VOC2007'} (Pascal VOC): give these" in err
        both = tmp_path / "both"
        voc(both)
        dump(both / "annotations.xml", "<annotations/>")
        _, err, status = imported(both, tmp_path / "data")
        assert status == 2
        assert "is of several formats; say which is meant:" in err
        assert "--format voc: Pascal VOC" in err
        assert imported(both, tmp_path / "data", "--format", "voc")[2] == 0
        _, err, status = imported(both, tmp_path / "other", "--format", "yol")
        assert (status, "did you mean 'yolo'?" in err) == (2, True)
        _, err, status = imported(tmp_path / "no", tmp_path / "both.json", tmp_path / "other")
        assert (status, err.count("no such folder")) == (2, 2)

    def test_a_killed_import_leaves_no_half_data_set(self, tmp_path: Path) -> None:
        yolo(tmp_path / "source")
        done = run(
            [sys.executable, "-c", _KILLED, str(tmp_path / "source"), str(tmp_path / "data")]
        )
        assert done.returncode == -signal.SIGKILL
        (left,) = tmp_path.glob(".data.*")
        assert not (tmp_path / "data").exists()
        busy = tmp_path / ".data.0123abcd.tmp"  # of an import that works on it at this moment
        mine = tmp_path / ".data.backup.tmp"
        busy.mkdir()
        mine.mkdir()
        descriptor = os.open(busy, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            assert imported(tmp_path / "source", tmp_path / "data")[2] == 0
        finally:
            os.close(descriptor)
        assert [path.exists() for path in (left, busy, mine)] == [False, True, True]
        assert len(images(tmp_path / "data")) == 3

    def test_a_full_disk_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        yolo(tmp_path / "source")
        monkeypatch.setattr("shutil.copyfile", refuse)
        _, err, status = imported(tmp_path / "source", tmp_path / "data", "--copy")
        assert (status, "No space left on device" in err) == (1, True)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


# Ends without a chance to tidy up when the second image is linked.
_KILLED = """
import os, signal, sys
left = [1, 0]
def audit(event, given):
    if event == "os.symlink" and not left.pop(0):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(audit)
sys.argv = ["detboard", "data", "import", *sys.argv[1:]]
from benchmark.cli import main
main()
"""
