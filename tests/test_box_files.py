"""Files of boxes from elsewhere: what other frameworks' writers write is read, or refused with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.data.annotations import Category, read_annotations
from benchmark.data.boxes.base import Hints, Target
from benchmark.data.boxes.evidence import Objects
from benchmark.data.boxes.read import FORMATS, Read, read_boxes
from benchmark.errors import UserError
from benchmark.statistics.evaluation import Detections, GroundTruth

FOREIGN = Path(__file__).parent / "foreign"
NUMERIC = FOREIGN / "numeric.json"
# mAP50 and mAP of the boxes that all writers were given, by pycocotools.
SCORES = (0.9413274660799411, 0.6933259992665932)
FROM_0 = "category numbers count from 0 in the order of the classes: mapped by that order"
FROM_1 = "category numbers count from 1 in the order of the classes: mapped by that order"
PAST = (
    "boxes that reach past the edge of their image (1): entry 15 in '0003.jpg' has [-12.5, 170.841, 392.239, 50]; by "
    "12.5 px at most, and kept as they are"
)

Entries = list[dict[str, Any]]


def target(path: Path = NUMERIC, name: str = "val") -> Target:
    return Target.of(name, read_annotations(path))


def detectron2() -> Entries:
    """Sound results on the four images of ``numeric.json``; their categories are 4, 7 and 9."""
    return json.loads((FOREIGN / "detectron2.json").read_text())


def written(folder: Path, content: object) -> Path:
    path = folder / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def refused(path: Path, *others: Target) -> list[str]:
    """What is said of a file, without its name, which begins each message."""
    with pytest.raises(UserError) as told:
        read_boxes(path, target(), lambda: others)
    start = f"{path}: "
    assert all(problem.startswith(start) for problem in told.value.problems)
    return [problem.removeprefix(start) for problem in told.value.problems]


@pytest.mark.parametrize(
    ("writer", "images", "notes"),
    [
        ("ultralytics_numeric", "numeric", [FROM_1]),
        ("ultralytics_named", "named", [FROM_1]),
        ("rfdetr", "numeric", [PAST]),
        ("detectron2", "numeric", []),
        ("detectron2_unmapped", "numeric", [FROM_0]),
    ],
)
def test_what_other_frameworks_write_gives_the_same_scores(
    writer: str, images: str, notes: Sequence[str]
) -> None:
    truth = FOREIGN / f"{images}.json"
    found = read_boxes(FOREIGN / f"{writer}.json", target(truth))

    scores = GroundTruth(read_annotations(truth).to_coco()).evaluate(found.detections).scores
    assert (scores["mAP50"], scores["mAP"]) == SCORES
    assert list(found.notes) == notes


def test_ultralytics_map_to_the_91_ids_of_coco() -> None:
    # The 80 classes have ids from 1 to 90; names do not count here. The made boxes are of classes 0, 37 and 74.
    holes = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    ids = [number for number in range(1, 91) if number not in holes]
    stems = [139, 285, 632, 724]
    coco = replace(
        target(),
        ids=np.array(stems, np.int64),
        files=[f"{stem:012}.jpg" for stem in stems],
        categories=[Category(number, f"class {number}") for number in ids],
    )
    found = read_boxes(FOREIGN / "ultralytics_coco.json", coco)
    own = read_boxes(FOREIGN / "detectron2.json", target())
    number_of = {4: ids[0], 7: ids[37], 9: ids[74]}
    assert found.notes == ()
    assert found.detections.category_ids.tolist() == [
        number_of[key] for key in own.detections.category_ids.tolist()
    ]


class TestImages:
    def read(self, folder: Path, name: Callable[[str], object], **hints: Any) -> Read:
        """Boxes whose images are called by what ``name`` makes of their file name."""
        file_of = dict(zip(target().ids.tolist(), target().files, strict=True))
        entries = [{**e, "image_id": name(file_of[e["image_id"]])} for e in detectron2()]
        return read_boxes(written(folder, entries), target(), hints=Hints(**hints))

    @pytest.mark.parametrize(
        ("name", "note"),
        [
            (lambda file: file, ()),
            (lambda file: f"/data/bins/val/{file}", ("images go by the ends of their paths",)),
            (lambda file: f"val\\{file}", ("images go by the ends of their paths",)),
            (
                lambda file: file.removesuffix(".jpg"),
                ("images go by their file names without the ending",),
            ),
        ],
    )
    def test_names(self, tmp_path: Path, name: Callable[[str], object], note: object) -> None:
        found = self.read(tmp_path, name)
        own = read_boxes(FOREIGN / "detectron2.json", target())
        assert found.detections.image_ids.tolist() == own.detections.image_ids.tolist()
        assert found.notes == note

    def test_ids_as_texts_and_as_fractions(self, tmp_path: Path) -> None:
        own = [entry["image_id"] for entry in detectron2()]
        for kind in (str, float):
            entries = [{**entry, "image_id": kind(entry["image_id"])} for entry in detectron2()]
            found = read_boxes(written(tmp_path, entries), target())
            assert found.detections.image_ids.tolist() == own

    def test_numbers_that_file_names_are(self, tmp_path: Path) -> None:
        found = self.read(tmp_path, lambda file: int(file.removesuffix(".jpg")))
        own = read_boxes(FOREIGN / "detectron2.json", target())
        assert found.detections.image_ids.tolist() == own.detections.image_ids.tolist()
        assert found.notes == ("images go by the numbers that their file names are",)

    def test_numbers_that_are_both_are_refused_until_the_row_says_which(
        self, tmp_path: Path
    ) -> None:
        # Image 2 has the file 0004.jpg, and image 12 the file 0002.jpg.
        entries = [{**e, "bbox": [5, 5, 50, 60]} for e in detectron2() if e["image_id"] in (2, 3)]
        path = written(tmp_path, entries)
        assert refused(path) == [
            "its images can be read in two ways, and too few boxes lie on an object to tell: 2 is '0004.jpg' if "
            "images go by their ids, and '0002.jpg' if images go by the numbers that their file names are; say which "
            "in the row: 'images: ids' or 'images: names'"
        ]
        for way, ids in (("ids", {2, 3}), ("names", {12, 3})):
            found = read_boxes(path, target(), hints=Hints(images=way))
            assert set(found.detections.image_ids.tolist()) == ids

    def test_of_another_split_they_are_said_to_be(self, tmp_path: Path) -> None:
        train = target(FOREIGN / "named.json", "train")
        (problem,) = refused(FOREIGN / "ultralytics_named.json", train)
        assert problem == (
            f"images that {NUMERIC} does not have (4): 'yard.jpg' (entry 1), 'wet street.jpg' (entry 6), "
            "'beach-3.jpg' (entry 11), 'pier.v2.jpg' (entry 16); it has 11, 12, 0001.jpg, 0002.jpg, ...; they are "
            f"of the train split, {train.path}"
        )

    def test_odd_names_are_names(self, tmp_path: Path) -> None:
        files = [".", "..", "a/.b", "9" * 5000]
        names = ["a/.b", "9" * 5000, "", "8" * 5000]
        entries = [{**detectron2()[0], "image_id": name, "score": 0.5} for name in names]
        with pytest.raises(UserError, match=r"does not have \(2\): '' \(entry 3\), '888"):
            read_boxes(written(tmp_path, entries), replace(target(), files=files))

    def test_blanks_around_a_name_count_where_a_file_has_them(self, tmp_path: Path) -> None:
        files = [" a.jpg", "b.jpg ", "c.jpg", "d.jpg"]
        lines = ["PredictionString,image_id", "0 0.5 1 2 9 9, a.jpg", ",b.jpg ", ", c.jpg "]
        path = tmp_path / "boxes.csv"
        path.write_text("\n".join(lines))
        found = read_boxes(path, replace(target(), files=files), hints=Hints())
        assert found.detections.image_ids.tolist() == target().ids[:1].tolist()

    def test_a_name_that_two_images_have_means_neither(self, tmp_path: Path) -> None:
        files = ["a/1.jpg", "b/1.jpg", "a/2.jpg", "a/3.jpg"]
        entries = [{**detectron2()[0], "image_id": name} for name in ("1.jpg", "a/2.jpg")]
        with pytest.raises(UserError, match=r"does not have \(1\): '1\.jpg' \(entry 1\)"):
            read_boxes(written(tmp_path, entries), replace(target(), files=files))


class TestCategories:
    def test_numbers_that_can_be_read_in_several_ways(self, tmp_path: Path) -> None:
        classes = [Category(1, "bottle"), Category(2, "can"), Category(3, "net")]
        entries = [{**e, "category_id": 1 + n % 2} for n, e in enumerate(detectron2())]
        path, of = written(tmp_path, entries), replace(target(), categories=classes)
        with pytest.raises(UserError) as told:
            read_boxes(path, of)
        assert told.value.problems == [
            f"{path}: its category numbers (1, 2) can be read in 2 ways, and too few boxes lie on an object to tell: "
            "1 is bottle if they are ids of the annotations, can if they count from 0 in the order of the classes; say "
            "which in the row: 'categories: ids' or 'categories: from 0'"
        ]
        for numbering, first in (("ids", 1), ("from 1", 1), ("from 0", 2)):
            found = read_boxes(path, of, hints=Hints(categories=numbering))
            assert found.detections.category_ids[0] == first

    @pytest.mark.parametrize("first", [0, 1])
    def test_where_a_class_is_never_found_the_objects_tell(
        self, tmp_path: Path, first: int
    ) -> None:
        # Numbers from 1 to 4 of five classes with ids from 1 to 5: ids, or classes from 0.
        count = 14
        classes = [Category(number, f"class {number}") for number in range(1, 6)]
        number = 1 + np.arange(count) % 4
        key = number + 1 - first
        boxes = np.column_stack([np.arange(count) * 30.0, *[np.full(count, 20.0)] * 3])
        of = replace(
            target(),
            categories=classes,
            objects=Objects(np.zeros(count, np.int64), key, boxes),
        )
        entries = [
            {"image_id": 11, "category_id": int(n), "bbox": list(box), "score": 0.5}
            for n, box in zip(number, boxes, strict=True)
        ]
        found = read_boxes(written(tmp_path, entries), of)
        assert found.detections.category_ids.tolist() == key.tolist()
        way = "are ids of the annotations" if first else "count from 0 in the order of the classes"
        assert found.notes[0] == (
            f"category numbers {way}: so 14 boxes have the class of the object that they overlap, else 0 at most"
        )

    def test_a_number_that_only_one_way_knows_decides(self, tmp_path: Path) -> None:
        classes = [Category(1, "bottle"), Category(2, "can"), Category(3, "net")]
        of = replace(target(), categories=classes)
        for numbers, first, notes in (([0, 1, 2], 1, (FROM_0,)), ([1, 2, 3], 1, ())):
            entries = [
                {**e, "category_id": numbers[n % 3], "score": n / 100}
                for n, e in enumerate(detectron2())
            ]
            found = read_boxes(written(tmp_path, entries), of)
            assert found.detections.category_ids[0] == first
            assert found.notes == notes

    def test_names(self, tmp_path: Path) -> None:
        name = {4: "bottle", 7: "can", 9: "net"}
        named = [
            {**e, "category_id": n, "category_name": name[e["category_id"]]}
            for n, e in enumerate(detectron2())
        ]
        own = [entry["category_id"] for entry in detectron2()]
        found = read_boxes(written(tmp_path, named), target())
        assert found.detections.category_ids.tolist() == own
        assert found.notes == ("categories go by their names",)
        named[3]["category_name"] = "nett"
        assert refused(written(tmp_path, named)) == [
            "classes that are not there (1): 'nett'; allowed: bottle, can, net; did you mean 'net'?"
        ]


def changed(number: int, **changes: object) -> Entries:
    """Sound results, with one entry changed."""
    return [{**e, **(changes if n == number else {})} for n, e in enumerate(detectron2())]


def test_scores_of_a_fusion_may_exceed_1(tmp_path: Path) -> None:
    found = read_boxes(written(tmp_path, changed(0, score=1.4)), target())
    assert found.detections.scores[0] == 1.4
    assert found.notes == (
        "scores above 1 (1): entry 1 in '0001.jpg' has 1.4: as a weighted fusion gives them; "
        "their order is what counts",
    )


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("", ["the file is empty"]),
        ("[]", ["it holds no box, so there is nothing to judge"]),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:00",
            ["no file of boxes: a git-lfs pointer; 'git lfs pull' fetches the file"],
        ),
        (
            "\n".join(map(json.dumps, detectron2())),
            [
                "not JSON: trailing characters at line 2 column 1; it goes on behind the first value; write one list "
                "of all boxes"
            ],
        ),
        (
            "score,x,y",
            [
                "neither COCO results nor CSV with PredictionString in its first line: it begins "
                "with 'score,x,y'"
            ],
        ),
        (
            {"images": [], "annotations": []},
            [
                "it is COCO annotations, not results (images, annotations); results are a list of {image_id, "
                "category_id, bbox: [x, y, width, height], score}"
            ],
        ),
        (
            [{k: v for k, v in e.items() if k != "score"} for e in detectron2()],
            ["no entry has 'score', a number: are these annotations, and no detector's boxes?"],
        ),
        (
            changed(2, bbox=[1, 2, 3], score="0.5"),
            [
                "entries whose 'bbox' is not [x, y, width, height] (1): entry 3 has [1, 2, 3]",
                "entries whose 'score' is not a number (1): entry 3 has '0.5'",
            ],
        ),
        (
            [
                {**e, "score": float("nan") if n == 4 else 73 if n == 6 else e["score"]}
                for n, e in enumerate(changed(1, image_id=99, category_id=5))
            ],
            [
                f"images that {NUMERIC} does not have (1): 99 (entry 2); it has 11, 12, 0001.jpg, 0002.jpg, ...",
                f"categories that are not there (1): 5 (entry 2); {NUMERIC} has 4 = bottle, 7 = can, 9 = net",
                "scores that are NaN or infinite (1): entry 5 in '0001.jpg'",
                "scores outside 0..1 (1): entry 7 in '0002.jpg' has 73; are they percent?",
            ],
        ),
        (
            changed(0, bbox=[float("inf"), 1, 2, 3]),
            ["boxes with NaN or infinity (1): entry 1 in '0001.jpg' has [inf, 1, 2, 3]"],
        ),
        (
            changed(0, bbox=[642, 1, 2, 3]),
            ["boxes outside their image (1): entry 1 in '0001.jpg' has [642, 1, 2, 3]"],
        ),
        (
            changed(0, bbox=[40, 1, -2, 3]),
            ["boxes with a negative width or height (1): entry 1 in '0001.jpg' has [40, 1, -2, 3]"],
        ),
        (
            [*detectron2(), detectron2()[3]],
            [
                "boxes that are there twice, with image, category and score (1): entry 21 in '0001.jpg'; leave each "
                "in once"
            ],
        ),
    ],
)
def test_refused_with_every_problem(
    tmp_path: Path, content: object, problems: Sequence[str]
) -> None:
    assert refused(written(tmp_path, content)) == problems


def test_a_file_that_was_cut_short(tmp_path: Path) -> None:
    (problem,) = refused(written(tmp_path, json.dumps(detectron2())[:-40]))
    assert problem.startswith("not JSON: EOF while parsing")
    assert problem.endswith("; it ends in the middle, so it was cut short: copy it again")


def test_boxes_in_another_form(tmp_path: Path) -> None:
    forms = {
        "corners, x1, y1, x2, y2": lambda x, y, w, h: [x, y, x + w, y + h],
        "centres, with width and height": lambda x, y, w, h: [x + w / 2, y + h / 2, w, h],
    }
    for words, form in forms.items():
        (problem,) = refused(
            written(tmp_path, [{**e, "bbox": form(*e["bbox"])} for e in detectron2()])
        )
        assert problem.startswith(f"its boxes are {words}: so "), problem
        assert problem.endswith("write the left upper corner, width and height")
    fractions = [{**e, "bbox": [value / 1000 for value in e["bbox"]]} for e in detectron2()]
    (problem,) = refused(written(tmp_path, fractions))
    assert problem.startswith("boxes that are fractions of the image (20): entry 1 in '0001.jpg'")


def test_corners_are_told_where_nobody_says_what_is_to_be_found(tmp_path: Path) -> None:
    corners = [
        {**e, "bbox": [x, y, x + width, y + height]}
        for e in detectron2()
        for x, y, width, height in [e["bbox"]]
    ]
    with pytest.raises(UserError) as told:
        read_boxes(written(tmp_path, corners), replace(target(), objects=None))
    assert "and as corners x1, y1, x2, y2 all lie inside: write width" in str(told.value)


def test_boxes_that_lie_on_nothing_are_doubted(tmp_path: Path) -> None:
    many = [
        {**e, "bbox": [1 + n, 1, 4, 4], "score": e["score"] / 2 + n / 3}
        for n in range(2)
        for e in detectron2()
    ]
    of = target()
    objects = of.objects
    assert objects is not None
    twice = Objects(*(np.concatenate([column] * 2) for column in vars(objects).values()))
    found = read_boxes(written(tmp_path, many), replace(of, objects=twice))
    assert found.notes == (
        "hardly any box lies on an object: 0 of the best 24; are they in pixels of the original images, and of these "
        "images?",
    )


def test_what_is_odd_is_said_and_kept(tmp_path: Path) -> None:
    first = detectron2()[0]
    many = [{**first, "score": n / 1000, "category_id": 4 + n % 2 * 3} for n in range(101)]
    entries = [*many, {**first, "bbox": [5, 5, 0, 9], "category_id": 9}]
    found = read_boxes(written(tmp_path, entries), target())
    assert len(found.detections) == 102
    assert found.notes == (
        "boxes with no area (1): entry 102 in '0001.jpg' has [5, 5, 0, 9]; they can find nothing, and count as wrong",
        "over 100 boxes in 1 image (up to 102; first '0001.jpg'): all are kept; COCO's evaluation counts the best 100 "
        "of an image and class, and rows of mmdet have 100 an image in all",
        "boxes in 1 of 4 images",
    )


class TestCsv:
    def sound(self, **of_file: str) -> str:
        strings = {"0001.jpg": "0 0.9 1 2 30 40 2 0.5 5 5 60.5 70", "0003.jpg": "", **of_file}
        return "\n".join(["PredictionString,image_id", *(f"{s},{f}" for f, s in strings.items())])

    def test_labels_count_from_0_and_corners_become_sides(self, tmp_path: Path) -> None:
        found = read_boxes(written(tmp_path, self.sound()), target())
        assert found.notes == ("boxes in 1 of 4 images",)
        assert found.detections.to_coco() == [
            {"image_id": 11, "category_id": 4, "bbox": [1, 2, 29, 38], "score": 0.9},
            {"image_id": 11, "category_id": 9, "bbox": [5, 5, 55.5, 65], "score": 0.5},
        ]

    @pytest.mark.parametrize(
        "other",
        [
            lambda text: "\ufeff" + text.replace("\n", "\r\n"),
            lambda text: "\n".join(
                ",".join(f'"{cell}"' for cell in line.split(",")) for line in text.split("\n")
            ),
            lambda text: "\n".join(
                f"{n},{line}" if n else f",{line}" for n, line in enumerate(text.split("\n"))
            ),
            lambda text: "\n".join(
                ",".join(reversed(line.split(","))) for line in text.split("\n")
            ),
        ],
        ids=["a byte order mark and CRLF", "quoted", "with an index, as pandas writes", "turned"],
    )
    def test_as_other_programs_save_it(self, tmp_path: Path, other: Callable[[str], str]) -> None:
        path = tmp_path / "boxes.csv"
        path.write_bytes(other(self.sound()).encode())
        assert read_boxes(path, target()).detections.scores.tolist() == [0.9, 0.5]

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (
                "PredictionString,image\n0 1 2 3 4 5,a.jpg",
                "no column image_id: it has 'PredictionString', 'image'; wanted: columns PredictionString,image_id; "
                "the string repeats 'label score x1 y1 x2 y2'",
            ),
            (
                "PredictionString,image_id\n0 0.5 2 3 4,0001.jpg",
                "lines whose numbers are not six a box, label score x1 y1 x2 y2 (1): line 2 (0001.jpg) has 5",
            ),
            (
                "PredictionString,image_id\n0 x 2 3 4 5,0001.jpg",
                "what is no number in PredictionString (1): line 2 has 'x'",
            ),
            (
                "PredictionString,image_id\n,0001.jpg",
                "it holds no box, so there is nothing to judge",
            ),
            (
                'PredictionString,image_id\n"0 0.5 2 3 4',
                "line 2: not CSV: unexpected end of data; was it cut short?",
            ),
            (
                "PredictionString,image_id\n3 0.5 2 3 4 5,0001.jpg",
                "categories that are not there (1): 3 (line 2); the classes are 0 = bottle, 1 = can, 2 = net; they "
                "would be with 'categories: from 1' in the row",
            ),
            (
                "PredictionString,image_id\n0 0.5 2 3 4 5,0001.jpg\n,0009.jpg",
                f"images that {NUMERIC} does not have (1): '0009.jpg'; it has 11, 12, 0001.jpg, 0002.jpg, ...",
            ),
        ],
    )
    def test_refused(self, tmp_path: Path, content: str, problem: str) -> None:
        assert refused(written(tmp_path, content)) == [problem]

    def test_a_long_line_is_read(self, tmp_path: Path) -> None:
        boxes = " ".join(f"0 {n / 5000} {n / 10} 5.25 600.125 400.0625" for n in range(5000))
        text = f"PredictionString,image_id\n{boxes},0001.jpg\n"
        assert len(text) > 131_072  # what csv takes in a cell by default
        assert len(read_boxes(written(tmp_path, text), target()).detections) == 5000


@pytest.mark.parametrize("name", FORMATS)
def test_written_and_read_back_the_boxes_are_the_same(tmp_path: Path, name: str) -> None:
    random = np.random.default_rng(0)
    # As detectors give them: float32, of which corners and sides are exact in float64.
    start = (random.random((200, 2)) * 300).astype(np.float32)
    far = (start + random.random((200, 2)).astype(np.float32) * 70).astype(np.float64)
    of = target()
    made = Detections(
        np.sort(random.choice(of.ids[:3], 200))[::-1],
        np.column_stack([start, far - start]),
        random.random(200).astype(np.float32).astype(np.float64),
        random.choice([4, 7, 9], 200),
    )
    path = tmp_path / "handed-in"
    path.write_text(FORMATS[name].text(made, of))
    again = read_boxes(path, of).detections
    assert sorted(map(str, again.to_coco())) == sorted(map(str, made.to_coco()))
    truth = GroundTruth(read_annotations(NUMERIC).to_coco())
    assert truth.evaluate(again).scores == truth.evaluate(made).scores


def test_a_csv_has_a_line_an_image() -> None:
    nothing = Detections.from_coco([])
    assert FORMATS["csv"].text(nothing, target()).splitlines() == [
        "PredictionString,image_id",
        ",0001.jpg",
        ",0002.jpg",
        ",0003.jpg",
        ",0004.jpg",
    ]
