"""Optional fields of COCO files in odd forms: the check, the evaluator, pycocotools and mmdet agree.

What pycocotools and mmdet read, the check lets pass, and the evaluator has pycocotools' numbers; what the check lets
pass, both read. `EXCEPTIONS` lists where the check alone refuses, and where it lets more pass, each with the reason.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmark.data.annotations import read_annotations
from benchmark.data.check import check
from benchmark.data.dataset import describe
from benchmark.data.pictures import Decoding
from benchmark.errors import UserError
from benchmark.statistics.evaluation import Detections, GroundTruth

Content = dict[str, Any]

ABSENT = "(the field is left out)"
FORMS: tuple[Any, ...] = (
    ABSENT,
    *(None, True, False, "", "0", "1", "2024", "text", "a\u2028b", "\ud83d", [], {}, [[]], [None]),
    *(0, 1, -1, 2, 0.0, 1.0, 0.5, -7.5, 2**31, 2**53 + 1, 2**63, 2**70, -(2**63), 10**400, 1e308),
    *(float("nan"), float("inf"), float("-inf")),
    *([1, 2], [1.5, 2, 30, 2, 30, 40, 1.5, 40], [[1.5, 2, 30, 2, 30, 40, 1.5, 40]], [["1", "2"]]),
    *(
        {"size": [48, 64], "counts": [0, 3072]},
        {"size": [48, 64], "counts": "abc"},
        {"a": {"b": 1}},
    ),
    *("2024-06-25T13:08:10+00:00", [{"id": 1}], [1, "text", None, {"deep": [[[[[1]]]]]}]),
)
# Of an entry of these lists, and of the file itself, the fields that evaluating and training boxes needs not.
FIELDS = {
    "": ("info", "licenses", "type", "videos", "scene", "tag_categories", "segment_info"),
    "info": ("year", "version", "description", "contributor", "url", "date_created", "about"),
    "licenses": ("id", "name", "url"),
    "images": (
        "license",
        "flickr_url",
        "coco_url",
        "date_captured",
        "depth_file",
        "extra",
        "ignore",
    ),
    "annotations": (
        *("segmentation", "attributes", "keypoints", "num_keypoints", "rotation", "score"),
        *(
            "caption",
            "track_id",
            "bbox_mode",
            "tags",
            "segments_info",
            "category_name",
            "image_name",
        ),
    ),
    "categories": (
        "supercategory",
        "keypoints",
        "skeleton",
        "isthing",
        "color",
        "frequency",
        "synset",
    ),
}
# Fields that change what is trained or evaluated.
SWITCHES = ("iscrowd", "ignore", "area")
A_NUMBER_OF_CROWDS = (
    "0 and 1 alone say whether a box is a crowd; as a text, '0' is one to pycocotools"
)
NO_SIZE = "JSON has no such numbers, and true is none: an area that is none says nothing"
EXCEPTIONS: dict[tuple[str, str], tuple[str, list[Any]]] = {
    ("iscrowd", "refused"): (A_NUMBER_OF_CROWDS, ["0", "1", 2, 0.5]),
    ("area", "refused"): (
        NO_SIZE,
        [True, False, float("nan"), float("inf"), float("-inf"), 10**400],
    ),
    ("iscrowd", "read"): (
        "most boxes are no crowds: pycocotools cannot do without, mmdet can",
        [ABSENT],
    ),
}


def base() -> Content:
    """Four images, ten boxes of two classes, among them a crowd."""
    images = [{"id": 10 - n, "file_name": f"{n}.png", "width": 64, "height": 48} for n in range(4)]
    boxes = []
    for number in range(10):
        x, y, w, h = (3 * number, 2 * number, 12 + number, 10 + 2 * number)
        thing = {"id": number + 1, "image_id": 10 - number % 4, "category_id": (7, 3)[number % 2]}
        boxes.append({**thing, "bbox": [x, y, w, h], "area": w * h, "iscrowd": int(number == 9)})
    kinds = [{"id": 7, "name": "can"}, {"id": 3, "name": "bag"}]
    licenses = [{"id": 1, "name": "CC BY 4.0", "url": ""}]
    info = {"year": 2024, "version": "1"}
    return {
        "info": info,
        "licenses": licenses,
        "images": images,
        "annotations": boxes,
        "categories": kinds,
    }


def detections() -> list[Any]:
    """Boxes on and beside the objects of `base`."""
    random = Random(3)
    return [
        {
            "image_id": thing["image_id"],
            "category_id": thing["category_id"] if random.random() < 0.8 else 3,
            "bbox": [value + random.uniform(-2, 2) for value in thing["bbox"]],
            "score": round(random.random(), 2),
        }
        for thing in base()["annotations"]
        for _ in range(3)
    ]


def put(entry: Content, key: str, form: Any) -> None:
    if isinstance(form, str) and form == ABSENT:
        entry.pop(key, None)
    else:
        entry[key] = copy.deepcopy(form)


def entries(content: Content, where: str) -> list[Content]:
    """The entries that have the fields of `FIELDS`; none where the section is no longer of objects."""
    found = content if where == "" else content.get(where)
    found = found if isinstance(found, list) else [found]
    return [entry for entry in found if isinstance(entry, dict)]


def odd_file(seed: int) -> Content:
    """A file with a handful of optional fields in odd forms, of one entry or of all."""
    random, content = Random(seed), base()
    for _ in range(random.randint(1, 8)):
        where = random.choice([*FIELDS])
        key, form = random.choice(FIELDS[where]), random.choice(FORMS)
        found = entries(content, where)
        for entry in found if random.random() < 0.5 else found[:1]:
            put(entry, key, form)
    return content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fields")
    for image in base()["images"]:
        Image.new("RGB", (64, 48)).save(made / image["file_name"])
    return made


@pytest.fixture(scope="module", autouse=True)
def _quiet_mmdet() -> Iterator[None]:
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools tells of every index
        yield


def refused_by_check(folder: Path) -> str:
    """What the check has against the file; empty if nothing."""
    try:
        return "\n".join(check(describe(folder), decoding=Decoding(every=False)).errors)
    except UserError as error:
        return str(error)


def refused_by_mmdet(path: Path) -> str:
    """What ends mmdet's data set on the file, in training or in validation; empty if nothing."""
    from mmdet.datasets import CocoDataset
    from mmdet.datasets.transforms import LoadAnnotations

    try:
        for test_mode in (False, True):
            loaded = CocoDataset(
                ann_file=str(path),
                data_prefix={"img": str(path.parent)},
                metainfo={"classes": ("can", "bag")},
                pipeline=[],
                filter_cfg={"filter_empty_gt": True, "min_size": 32},
                test_mode=test_mode,
                serialize_data=False,  # which collects garbage each time: half a second
            )
            for index in range(len(loaded)):
                LoadAnnotations(with_bbox=True)(loaded.get_data_info(index))
    except Exception as error:
        return repr(error)
    return ""


def by_pycocotools(path: Path) -> list[float] | str:
    """The six numbers of pycocotools, or what ends it."""
    try:
        truth = COCO(str(path))
        run = COCOeval(truth, truth.loadRes(detections()), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    except Exception as error:
        return repr(error)
    return [float(value) for value in run.stats[:6]]


def by_evaluator(path: Path) -> list[float]:
    """The six numbers of the evaluator, read as the job reads them."""
    truth = GroundTruth(read_annotations(path).to_coco())
    scores = truth.evaluate(Detections.from_coco(detections())).scores
    names = ("mAP", "mAP50", "mAP75", "mAP_s", "mAP_m", "mAP_l")
    return [-1.0 if scores[name] is None else float(scores[name]) for name in names]  # type: ignore[arg-type]


def disagreement(folder: Path, content: Content, lets_pass: str = "") -> str:
    """Who does not agree on a file, and how; empty if all do.

    Args:
        folder: Holds the images.
        content: Of both splits.
        lets_pass: What the check is known to do that the others do not, ``refused`` or ``read``.
    """
    path = folder / "val.json"
    for split in ("train.json", "val.json"):
        (folder / split).write_text(json.dumps(content))
    ours, mmdet, theirs = refused_by_check(folder), refused_by_mmdet(path), by_pycocotools(path)
    others = mmdet or (theirs if isinstance(theirs, str) else "")
    if lets_pass == "refused":
        return "" if ours and not others else f"not refused by the check alone: {ours}; {others}"
    if bool(ours) != bool(others) and not (lets_pass == "read" and not ours and not mmdet):
        return f"check: {ours or 'passes'}\nmmdet: {mmdet or 'reads'}\npycocotools: {theirs}"
    if ours:
        return ""
    if isinstance(theirs, str):
        by_evaluator(path)  # it runs
        return ""
    numbers = by_evaluator(path)
    return "" if numbers == pytest.approx(theirs, abs=1e-12) else f"{numbers} is not {theirs}"


@pytest.mark.parametrize("block", range(8))
def test_odd_optional_fields_change_nothing(folder: Path, block: int) -> None:
    usual = by_evaluator(_written(folder, base()))
    for seed in range(25 * block, 25 * (block + 1)):
        content = odd_file(seed)
        found = disagreement(folder, content)
        assert not found, f"seed {seed}: {found}\n{json.dumps(content)}"
        assert refused_by_check(folder) == "", seed  # none of these fields is needed
        assert by_evaluator(folder / "val.json") == usual, seed


def _written(folder: Path, content: Content) -> Path:
    path = folder / "val.json"
    path.write_text(json.dumps(content))
    return path


def _known(key: str, form: Any) -> str:
    """What `EXCEPTIONS` says of a form: ``refused``, ``read`` or nothing."""
    for (field, what), (_, forms) in EXCEPTIONS.items():
        if field == key and any(
            type(form) is type(one) and repr(form) == repr(one) for one in forms
        ):
            return what
    return ""


@pytest.mark.parametrize("key", SWITCHES)
def test_fields_that_count_are_read_as_others_read_them(folder: Path, key: str) -> None:
    found = []
    for form in FORMS:
        content = base()
        put(content["annotations"][2], key, form)
        told = disagreement(folder, content, _known(key, form))
        found += [f"{form!r}: {told}"] if told else []
    assert not found, "\n".join(found)
