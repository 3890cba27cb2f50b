"""Ids of annotation files that no float holds: 64 bit hashes, nanoseconds."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_coco_metric import (
    IMAGE_IDS,
    assert_same,
    detections,
    ground_truth,
    measured,
    reference,
    samples,
)

from benchmark.statistics.evaluation import Detections, Evaluation, GroundTruth, write_predictions
from benchmark.statistics.matches import match
from benchmark.statistics.tide import error_shares

SMALL, GREATEST = 7, 2**63 - 1
KEYS = {"images": "image_id", "categories": "category_id"}


def with_large_ids(
    content: dict[str, Any], found: list[Any], of: str
) -> tuple[dict[str, Any], Any]:
    """The same data, and the same boxes, but ids of one kind are neighbours below 2**63, in the same order."""
    content, found = copy.deepcopy(content), copy.deepcopy(found)
    ids = sorted(entry["id"] for entry in content[of])
    large = {key: GREATEST - len(ids) + place + 1 for place, key in enumerate(ids)}
    for entry in content[of]:
        entry["id"] = large[entry["id"]]
    for entry in [*content["annotations"], *found] if of in KEYS else ():
        entry[KEYS[of]] = large[entry[KEYS[of]]]
    return content, found


def evaluated(content: dict[str, Any], found: list[Any]) -> Evaluation:
    return GroundTruth(content).evaluate(Detections.from_coco(found))


@pytest.mark.parametrize("of", ["images", "categories", "annotations"])
def test_large_ids_change_no_number(of: str, tmp_path: Path) -> None:
    content, found = ground_truth(), detections(ground_truth())
    changed, boxes = with_large_ids(content, found, of)
    before, after = evaluated(content, found), evaluated(changed, boxes)
    assert after.scores == before.scores
    assert after.per_class == before.per_class
    assert after.image_ids.tolist() == sorted(entry["id"] for entry in changed["images"])
    write_predictions(tmp_path / "predictions.json", after.detections)
    assert json.loads((tmp_path / "predictions.json").read_text()) == boxes


@pytest.mark.parametrize("of", ["images", "categories", "annotations"])
def test_large_ids_change_no_match(of: str) -> None:
    content, found = ground_truth(), detections(ground_truth())
    names = [kind["name"] for kind in content["categories"]]
    sides = []
    for changed, boxes in ((content, found), with_large_ids(content, found, of)):
        given = (GroundTruth(changed), Detections.from_coco(boxes))
        ids = [image["id"] for image in changed["images"]]
        sides.append((match(*given, ids, names), error_shares(*given, ids, names), sorted(ids)))
    (before, shares, _), (after, same_shares, ids) = sides
    assert same_shares == shares
    assert any(shares.values())
    assert after.image_ids.tolist() == ids
    for key in ("files", "label", "image", "score", "hit", "objects"):
        np.testing.assert_array_equal(getattr(after, key), getattr(before, key), err_msg=key)
    assert after.hit.any()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image_id": 2**53 + 1}, "images that the annotations do not have: [9007199254740993]"),
        ({"category_id": 4}, "categories that the annotations do not have: [4]"),
    ],
)
def test_a_box_of_what_the_file_does_not_list_is_refused(
    change: Mapping[str, int], told: str
) -> None:
    content, found = ground_truth(), detections(ground_truth())
    content["images"].append({"id": 2**53, "file_name": "near.png"})
    found[4].update(change)
    with pytest.raises(ValueError) as caught:
        evaluated(content, found)
    assert told in str(caught.value)


def test_an_image_that_the_file_does_not_list_is_refused() -> None:
    content, found = ground_truth(), detections(ground_truth())
    with pytest.raises(ValueError, match=r"images that the annotations do not have: \[6\]"):
        GroundTruth(content).evaluate(Detections.from_coco(found), [5, 6])


def test_the_id_0_of_an_annotation_is_an_id_as_any_other() -> None:
    """pycocotools takes it for "not found", so that nothing ever finds the object."""
    content = ground_truth()
    found = detections(content)
    usual = reference(content, found, IMAGE_IDS)
    alone = next(thing for thing in content["annotations"] if not thing["iscrowd"])
    alone["id"] = 0
    assert reference(content, found, IMAGE_IDS) != usual
    assert_same(evaluated(content, found), usual)


@pytest.mark.parametrize("of", ["images", "categories"])
def test_metric_hands_ids_on_as_they_are(metric_type: type, tmp_path: Path, of: str) -> None:
    content, found = ground_truth(), detections(ground_truth())
    classes = [kind["name"] for kind in content["categories"]]
    sides = []
    for number, (changed, boxes) in enumerate(
        ((content, found), with_large_ids(content, found, of))
    ):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(changed))
        metric = metric_type(ann_file=str(file))
        kinds = {kind["name"]: kind["id"] for kind in changed["categories"]}
        images = [image["id"] for image in changed["images"]]
        values = measured(metric, samples(boxes, classes, images, kinds), classes)
        sides.append((values, {box["category_id"] for box in metric.last.detections.to_coco()}))
    (before, _), (after, seen) = sides
    assert after == before
    assert seen == {box["category_id"] for box in boxes}


def test_metric_refuses_a_label_of_no_class(metric_type: type, tmp_path: Path) -> None:
    content = ground_truth()
    (tmp_path / "val.json").write_text(json.dumps(content))
    metric = metric_type(ann_file=str(tmp_path / "val.json"))
    kinds = {"bag": 7, "can": 3, "lid": 90, "unseen": 12}
    given = samples(detections(content), ["bag", "can", "lid", "unseen"], IMAGE_IDS, kinds)
    with pytest.raises(ValueError, match=r"image 5 have the labels \[2\], but there are 2 classes"):
        measured(metric, given, ["bag", "can"])
