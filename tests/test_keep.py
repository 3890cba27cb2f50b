"""The keep rules against mmdet's own data set and pycocotools, over files of odd boxes."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmark.data.annotations import Annotations, read_annotations
from benchmark.data.keep import (
    TRAINING,
    ImageFilter,
    evaluated,
    firsts,
    images_with,
    kept_images,
    left_out,
    past_edge,
    trained,
)
from benchmark.statistics.evaluation import Detections, GroundTruth
from benchmark.statistics.matches import match
from benchmark.statistics.resample import class_precision

CLASSES = ("bag", "can")


def odd_file(folder: Path, seed: int) -> Path:
    """40 images, some small, some empty, ids in no order; 200 boxes, of which every kind of odd one is drawn."""
    random = np.random.default_rng(seed)
    ids = random.permutation(1000)[:40].tolist()
    images = [
        {
            "id": key,
            "file_name": f"{key}.png",
            "width": int(random.choice([20, 31, 32, 100])),
            "height": int(random.choice([32, 90])),
        }
        for key in ids
    ]
    boxes = []
    for number in range(200):
        x, y = random.choice([-30.0, -2.5, 0, 5, 12.5, 100], 2).tolist()
        w, h = random.choice([-3.0, 0, 0.4, 1, 9.5, 40], 2, p=[0.05, 0.05, 0.1, 0.1, 0.4, 0.3])
        boxes.append(
            {
                "id": number + 1,
                "image_id": int(random.choice(ids[:30])),
                "category_id": int(random.choice([7, 3])),
                "bbox": [x, y, float(w), float(h)],
                "area": float(random.choice([-4.0, 0, 1e-9, w * h], p=[0.1, 0.1, 0.1, 0.7])),
                "iscrowd": int(random.random() < 0.1),
                "ignore": bool(random.random() < 0.1),
            }
        )
    categories = [{"id": 7, "name": "bag"}, {"id": 3, "name": "can"}]
    path = folder / f"{seed}.json"
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return path


def mmdet_items(path: Path, **config: Any) -> list[dict[str, Any]]:
    from mmdet.datasets import CocoDataset

    with contextlib.redirect_stdout(io.StringIO()):
        dataset = CocoDataset(
            ann_file=str(path),
            data_prefix={"img": ""},
            metainfo={"classes": CLASSES},
            pipeline=[],
            **config,
        )
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def corners_learnt(annotations: Annotations, row: int) -> list[list[float]]:
    """The boxes that `trained` gives an image, as xyxy."""
    boxes = annotations.boxes
    here = trained(annotations) & (boxes.image_ids == annotations.images.ids[row])
    return [[x, y, x + w, y + h] for x, y, w, h in boxes.xywh[here].tolist()]


@pytest.mark.slow  # for mmdet's import
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "config",
    [
        {"filter_cfg": {"filter_empty_gt": True, "min_size": 32}},
        {"filter_cfg": {"filter_empty_gt": True}},
        {"filter_cfg": {"min_size": 33}},
        {"filter_cfg": {"filter_empty_gt": True, "min_size": 32}, "test_mode": True},
        {},
    ],
)
def test_keeps_the_images_and_boxes_of_mmdet(
    tmp_path: Path, seed: int, config: dict[str, Any]
) -> None:
    annotations = read_annotations(odd_file(tmp_path, seed))
    theirs = mmdet_items(annotations.path, **config)
    rows = kept_images(annotations, ImageFilter.of(config)).tolist()
    assert [item["img_id"] for item in theirs] == annotations.images.ids[rows].tolist()
    held = images_with(annotations, trained(annotations))
    for item, row in zip(theirs, rows, strict=True):
        learnt = [thing["bbox"] for thing in item["instances"] if not thing["ignore_flag"]]
        assert corners_learnt(annotations, row) == learnt
        assert held[row] == bool(learnt)


def test_the_odd_files_hold_every_kind(tmp_path: Path) -> None:
    annotations = read_annotations(odd_file(tmp_path, 0))
    reasons = firsts(left_out(annotations))
    counts = {reason: int(mask.sum()) for reason, mask in reasons.items()}
    assert counts.pop("unlisted") == 0
    assert min(counts.values()) > 1
    crowds = annotations.boxes.crowd & ~np.logical_or.reduce(list(reasons.values()))
    assert trained(annotations).sum() + sum(counts.values()) + crowds.sum() == 200
    assert 0 < len(kept_images(annotations, TRAINING)) < 30
    assert (past_edge(annotations)[trained(annotations)] > 0).any()


@pytest.mark.parametrize("seed", range(3))
def test_counts_the_objects_of_pycocotools(tmp_path: Path, seed: int) -> None:
    annotations = read_annotations(odd_file(tmp_path, seed))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations.path))
        nothing = [{"image_id": int(truth.getImgIds()[0]), "category_id": 7, "bbox": [0, 0, 1, 1]}]
        run = COCOeval(truth, truth.loadRes([{**nothing[0], "score": 0.5}]), "bbox")
        run.evaluate()
    theirs = {
        key
        for found in run.evalImgs
        if found is not None and found["aRng"] == [0, 1e10]
        for key, ignored in zip(found["gtIds"], found["gtIgnore"], strict=True)
        if not ignored
    }
    assert set(annotations.boxes.ids[evaluated(annotations)].tolist()) == theirs


def test_boxes_of_what_is_not_listed_are_left_out(tmp_path: Path) -> None:
    path = odd_file(tmp_path, 0)
    content = json.loads(path.read_text())
    content["annotations"][0].update(image_id=5000)
    content["annotations"][1].update(category_id=5000)
    path.write_text(json.dumps(content))
    annotations = read_annotations(path)
    assert np.flatnonzero(left_out(annotations)["unlisted"]).tolist() == [0, 1]
    assert not trained(annotations)[:2].any()
    assert not evaluated(annotations)[:2].any()


def test_a_file_without_images_keeps_nothing(tmp_path: Path) -> None:
    path = odd_file(tmp_path, 0)
    path.write_text(json.dumps({**json.loads(path.read_text()), "images": []}))
    annotations = read_annotations(path)
    assert not trained(annotations).any()
    assert len(kept_images(annotations, TRAINING)) == 0


@pytest.mark.parametrize("area", [-400.0, 2e10])
def test_matches_agree_with_the_evaluation_on_areas_out_of_range(
    tmp_path: Path, area: float
) -> None:
    """The objects behind an interval are those that the measured value counts."""
    things = [
        {
            "id": n,
            "image_id": n,
            "category_id": 7,
            "bbox": [5, 5, 20, 20],
            "area": 400,
            "iscrowd": 0,
        }
        for n in range(1, 7)
    ]
    things[0]["area"] = things[3]["area"] = area
    truth = GroundTruth(
        {
            "images": [
                {"id": n, "file_name": f"{n}.png", "width": 90, "height": 90} for n in range(1, 7)
            ],
            "annotations": things,
            "categories": [{"id": 7, "name": "bag"}],
        }
    )
    perfect = [
        {"image_id": n, "category_id": 7, "bbox": [5, 5, 20, 20], "score": 0.9} for n in range(1, 7)
    ]
    found = Detections.from_coco(perfect)  # type: ignore[arg-type]
    matched = match(truth, found, range(1, 7), ["bag"])
    assert truth.evaluate(found).scores["mAP50"] == 1.0
    assert matched.objects.sum() == 4
    assert class_precision(matched).tolist() == [1.0]
