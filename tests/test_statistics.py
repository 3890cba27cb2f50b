"""Matching and resampling, held against pycocotools and against image sets that really repeat."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmark.statistics import resample
from benchmark.statistics.evaluation import Detections, GroundTruth
from benchmark.statistics.matches import Matches, match
from benchmark.statistics.resample import bootstrap, class_precision, image_precision, image_weights
from benchmark.statistics.tide import KINDS, error_shares

CATEGORY_IDS = {"bag": 7, "can": 3, "lid": 90, "unseen": 12}
CLASSES = ("lid", "bag", "not in the file", "unseen", "can")
IMAGES = 14


def make_truth() -> dict[str, Any]:
    """Objects of four classes in images 2, 4 .. 28; no `unseen`, two images empty, some crowds."""
    random = np.random.default_rng(0)
    images = [
        {"id": 2 * i, "file_name": f"{i}.jpg", "width": 640, "height": 480}
        for i in range(IMAGES, 0, -1)
    ]
    things: list[dict[str, Any]] = []
    for image in images[2:]:
        for _ in range(random.integers(1, 9)):
            box = [*random.uniform(0, 300, 2), *np.exp(random.uniform(2, 5, 2))]
            things.append(
                {
                    "id": len(things) + 1,
                    "image_id": image["id"],
                    "category_id": int(random.choice([7, 3, 90])),
                    "bbox": [float(side) for side in box],
                    "area": float(box[2] * box[3]),
                    "iscrowd": int(random.random() < 0.15),
                }
            )
    categories = [{"id": number, "name": name} for name, number in CATEGORY_IDS.items()]
    return {"images": images, "annotations": things, "categories": categories}


def make_detections(truth: dict[str, Any], distinct: bool = False) -> Detections:
    """Shifted copies of the objects with few different scores; 130 of one class in one image.

    Args:
        truth: The annotations.
        distinct: No two scores of one image are alike; those of different images still are.
    """
    random = np.random.default_rng(1)
    crowded = next(t for t in truth["annotations"] if not t["iscrowd"])
    empty = truth["images"][3]["id"]  # has objects, and no detections
    things = [t for t in truth["annotations"] for _ in range(3) if t["image_id"] != empty]
    things += [crowded] * 130
    found = []
    for n, thing in enumerate(things):
        box = np.array(thing["bbox"]) + random.normal(0, [4, 4, 4, 4])
        kind = thing["category_id"] if random.random() < 0.7 else random.choice([7, 3, 90, 12])
        score = (n % 200 if distinct else random.integers(0, 10)) / 200
        found.append([thing["image_id"], *np.maximum(box, 1), score, kind])
    rows = np.array(found)[random.permutation(len(found))]
    image, category = rows[:, 0].astype(np.int64), rows[:, 6].astype(np.int64)
    return Detections(image, rows[:, 1:5], rows[:, 5], category)


def reference(
    truth: dict[str, Any], detections: Detections, classes: Sequence[str] = CLASSES
) -> list[float]:
    """AP50 of each class by pycocotools; NaN without an object."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(detections.to_coco()), "bbox")
        run.params.iouThrs = np.array([0.5])
        run.evaluate()
        run.accumulate()
    average = run.eval["precision"][0, :, :, 0, -1].mean(axis=0)
    known = dict(zip(run.params.catIds, average, strict=True))
    found = [known.get(CATEGORY_IDS.get(name, -1), -1.0) for name in classes]
    return [np.nan if value == -1 else value for value in found]


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    return make_truth()


@pytest.fixture(scope="module")
def detections(truth: dict[str, Any]) -> Detections:
    return make_detections(truth)


def matched(truth: dict[str, Any], detections: Detections) -> Matches:
    return match(GroundTruth(truth), detections, [i["id"] for i in truth["images"]], CLASSES)


@pytest.fixture(scope="module")
def matches(truth: dict[str, Any], detections: Detections) -> Matches:
    return matched(truth, detections)


def test_average_precision_is_that_of_pycocotools(
    truth: dict[str, Any], detections: Detections, matches: Matches
) -> None:
    expected = reference(truth, detections)
    assert np.isnan(expected).tolist() == [False, False, True, True, False]
    np.testing.assert_allclose(class_precision(matches), expected, rtol=0, atol=1e-12)
    whole = GroundTruth(truth).evaluate(detections, classes=CLASSES)
    ours = dict(zip(CLASSES, class_precision(matches), strict=True))
    assert whole.scores["mAP50"] == pytest.approx(np.nanmean([*ours.values()]), abs=1e-12)
    for name in ("lid", "bag", "can"):
        assert ours[name] == whole.per_class[name]["mAP50"]  # to the last bit


def test_matches_describe_the_evaluation(
    truth: dict[str, Any], detections: Detections, matches: Matches
) -> None:
    assert matches.image_ids.tolist() == sorted(image["id"] for image in truth["images"])
    assert matches.files[0] == "1.jpg"
    assert matches.classes == CLASSES
    counted = [thing for thing in truth["annotations"] if not thing["iscrowd"]]
    assert matches.objects.sum() == len(counted) < len(truth["annotations"])
    first = counted[0]
    place = matches.image_ids.tolist().index(first["image_id"])
    names = {number: name for name, number in CATEGORY_IDS.items()}
    label = CLASSES.index(names[first["category_id"]])
    same = [
        t
        for t in counted
        if (t["image_id"], t["category_id"]) == (first["image_id"], first["category_id"])
    ]
    assert matches.objects[place, label] == len(same)
    # 130 boxes of one class in this image, and others beside them: a hundred count.
    given = (detections.image_ids == first["image_id"]) & (
        detections.category_ids == first["category_id"]
    )
    assert given.sum() > 100
    assert ((matches.image == place) & (matches.label == label)).sum() == 100
    assert (np.diff(matches.label) >= 0).all()
    assert (np.diff(matches.score)[np.diff(matches.label) == 0] <= 0).all()


def test_subset_of_images_is_matched_alone(truth: dict[str, Any], detections: Detections) -> None:
    some = [image["id"] for image in truth["images"]][4:9]
    found = match(GroundTruth(truth), detections, some, CLASSES)
    whole = GroundTruth(truth).evaluate(detections, some, CLASSES)
    assert np.nanmean(class_precision(found)) == pytest.approx(whole.scores["mAP50"], abs=1e-12)
    assert found.objects.shape == (5, len(CLASSES))


def test_nothing_detected(truth: dict[str, Any]) -> None:
    found = matched(truth, Detections.from_coco([]))
    assert len(found.score) == 0
    np.testing.assert_array_equal(class_precision(found), [0, 0, np.nan, np.nan, 0])
    assert not bootstrap(found, 50).any()
    with_objects = found.objects.sum(axis=1) > 0
    np.testing.assert_array_equal(image_precision(found), np.where(with_objects, 0, np.nan))


def test_no_object_at_all_is_no_number(truth: dict[str, Any], detections: Detections) -> None:
    found = matched(truth | {"annotations": []}, detections)
    assert np.isnan(class_precision(found)).all()
    assert np.isnan(bootstrap(found, 20)).all()
    assert np.isnan(image_precision(found)).all()


def test_what_the_annotations_lack_is_refused(
    truth: dict[str, Any], detections: Detections
) -> None:
    with pytest.raises(ValueError, match=r"do not have: \[3, 99\]"):
        match(GroundTruth(truth), detections, [2, 3, 99], CLASSES)
    with pytest.raises(ValueError, match="no class of"):
        match(GroundTruth(truth), detections, [2], ["cup"])


def test_matches_survive_the_disk(matches: Matches, tmp_path: Path) -> None:
    path = tmp_path / "matches.npz"
    matches.save(path)
    first = path.read_bytes()
    again = Matches.load(path)
    for name, value in vars(matches).items():
        stored = getattr(again, name)
        if isinstance(value, np.ndarray):
            assert stored.dtype == value.dtype
        np.testing.assert_array_equal(stored, value)
    again.save(path)
    assert path.read_bytes() == first
    assert [item.name for item in tmp_path.iterdir()] == ["matches.npz"]


def repeated(
    truth: dict[str, Any], detections: Detections, counts: NDArray[np.int32]
) -> tuple[dict[str, Any], Detections]:
    """Image i, in the order of the ids, stands ``counts[i]`` times under new ids."""
    images = sorted(truth["images"], key=lambda image: int(image["id"]))
    parts = [(image, n) for image, count in zip(images, counts, strict=True) for n in range(count)]
    new: dict[str, Any] = {"images": [], "annotations": [], "categories": truth["categories"]}
    boxes = []
    for number, (image, _) in enumerate(parts, 1):
        new["images"].append(image | {"id": number})
        things = [t for t in truth["annotations"] if t["image_id"] == image["id"]]
        for thing in things:
            fresh = {"id": len(new["annotations"]) + 1, "image_id": number}
            new["annotations"].append(thing | fresh)
        own = [box for box in detections.to_coco() if box["image_id"] == image["id"]]
        boxes += [box | {"image_id": number} for box in own]
    return new, Detections.from_coco(boxes)


def test_bootstrap_is_the_evaluation_of_the_images_drawn(truth: dict[str, Any]) -> None:
    found = make_detections(truth, distinct=True)
    matches = matched(truth, found)
    weights = image_weights(IMAGES, 12, seed=3)
    assert weights.max() > 2 > weights.min() == 0
    draws = bootstrap(matches, 12, seed=3)
    for counts, precision, draw in zip(
        weights, class_precision(matches, weights), draws, strict=True
    ):
        expected = reference(*repeated(truth, found, counts))
        np.testing.assert_allclose(precision, expected, rtol=0, atol=1e-12)
        assert draw == pytest.approx(np.nanmean(expected), abs=1e-12)


def test_draws_are_the_same_whatever_the_threads(
    matches: Matches, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = bootstrap(matches, 100)
    assert len(np.unique(expected)) > 50
    for chunk, threads in ((1, 1), (7, 3), (1000, 2)):
        monkeypatch.setattr(resample, "_CHUNK", chunk)
        monkeypatch.setattr(resample, "_THREADS", threads)
        assert np.array_equal(bootstrap(matches, 100), expected)
    assert not np.array_equal(bootstrap(matches, 100, seed=1), expected)


def test_every_resample_draws_as_many_images_as_there_are() -> None:
    weights = image_weights(40, 500, seed=0)
    assert weights.shape == (500, 40)
    assert (weights.sum(axis=1) == 40).all()
    # A binomial count of 40 draws from 40 images: mean 1, variance 39 / 40.
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(39 / 40, rel=0.05)


def test_precision_within_each_image_is_that_of_the_image_alone(
    truth: dict[str, Any], detections: Detections, matches: Matches
) -> None:
    alone = GroundTruth(truth)
    expected = [
        alone.evaluate(detections, [i], CLASSES).scores["mAP50"] for i in matches.image_ids.tolist()
    ]
    assert None in expected
    numbers = [np.nan if value is None else value for value in expected]
    np.testing.assert_allclose(image_precision(matches), numbers, rtol=0, atol=1e-12)


BOX, ELSEWHERE = [10.0, 10.0, 40.0, 40.0], [200.0, 200.0, 40.0, 40.0]
CAN = [10.0, 300.0, 40.0, 40.0]
# What was detected of two bags, in BOX and in ELSEWHERE, beside a can that is always found.
WRONG = {
    "Cls": [(BOX, 7, 0.5), (ELSEWHERE, 3, 0.9)],
    "Loc": [(BOX, 7, 0.5), ([220.0, 200.0, 40.0, 40.0], 7, 0.9)],
    "Both": [(BOX, 7, 0.5), ([220.0, 200.0, 40.0, 40.0], 3, 0.9)],
    "Dupe": [(BOX, 7, 0.9), (BOX, 7, 0.8), (ELSEWHERE, 7, 0.5)],
    "Bkg": [(BOX, 7, 0.5), ([400.0, 10.0, 40.0, 40.0], 7, 0.9), (ELSEWHERE, 7, 0.4)],
    "Miss": [(BOX, 7, 0.5)],
}


def two_bags_and_a_can() -> dict[str, Any]:
    shape = {"width": 640, "height": 480}
    things = [
        {"id": n, "image_id": 1, "category_id": 7, "bbox": box, "area": 1600.0, "iscrowd": 0}
        for n, box in ((1, BOX), (2, ELSEWHERE))
    ]
    things.append(things[0] | {"id": 3, "bbox": CAN, "category_id": 3})
    things.append(things[0] | {"id": 4, "image_id": 2, "category_id": 3})
    images = [{"id": n, "file_name": f"{n}.jpg", **shape} for n in (1, 2)]
    categories = [{"id": number, "name": name} for name, number in CATEGORY_IDS.items()]
    return {"images": images, "annotations": things, "categories": categories}


@pytest.mark.parametrize("kind", KINDS)
def test_kind_of_error_is_told(kind: str) -> None:
    boxes = [
        {"image_id": 1, "category_id": category, "bbox": box, "score": score}
        for box, category, score in [*WRONG[kind], (CAN, 3, 0.3)]
    ]
    shares = error_shares(
        GroundTruth(two_bags_and_a_can()), Detections.from_coco(boxes), [1], ["bag", "can"]
    )
    assert list(shares) == list(KINDS)
    # A box of another class beside an object does not find it.
    expected = {"Both", "Miss"} if kind == "Both" else {kind}
    assert {name for name, share in shares.items() if share > 0.01} == expected


def shares_of(*boxes: tuple[list[float], int, float]) -> dict[str, float]:
    found = [
        {"image_id": 1, "category_id": category, "bbox": box, "score": score}
        for box, category, score in (*boxes, (CAN, 3, 0.3))
    ]
    truth = GroundTruth(two_bags_and_a_can())
    return error_shares(truth, Detections.from_coco(found), [1], ["bag", "can"])


def test_a_miss_that_is_put_right_no_longer_counts_and_is_not_found() -> None:
    """One bag of two is hit, below a box on the background: half of the boxes are right up to a recall of 1."""
    shares = shares_of(([400.0, 10.0, 40.0, 40.0], 7, 0.9), (BOX, 7, 0.5))
    before, not_counted, found = 0.5 * 51 / 101, 0.5, 2 / 3
    assert shares["Miss"] == pytest.approx((not_counted - before) / 2)
    assert shares["Miss"] < (found - before) / 2 - 0.05


def test_what_cls_and_loc_can_put_right_is_no_miss() -> None:
    """Unless the object has a box already: then the wrong box is left out, and another object stays missed."""
    near = [220.0, 200.0, 40.0, 40.0]  # IoU 1/3 with ELSEWHERE
    assert shares_of((BOX, 7, 0.9), (near, 7, 0.5))["Miss"] == 0
    assert shares_of((BOX, 7, 0.9), (ELSEWHERE, 3, 0.1))["Miss"] == 0
    assert shares_of((BOX, 7, 0.9), (CAN, 7, 0.5))["Miss"] > 0.1


def test_errors_are_those_of_the_images_asked_for() -> None:
    given = GroundTruth(two_bags_and_a_can())
    perfect = [
        {"image_id": 1, "category_id": category, "bbox": box, "score": 0.5}
        for box, category in ((BOX, 7), (ELSEWHERE, 7), (CAN, 3))
    ]
    found = Detections.from_coco(perfect)
    assert not any(error_shares(given, found, [1], ["bag", "can"]).values())
    wrong = [*perfect, {"image_id": 2, "category_id": 7, "bbox": BOX, "score": 0.9}]
    both = error_shares(given, Detections.from_coco(wrong), [1, 2], ["bag", "can"])
    assert both["Cls"] > 0.1
    assert not any(error_shares(given, Detections.from_coco(wrong), [1], ["bag", "can"]).values())


def test_nothing_detected_has_no_error_to_share_out(truth: dict[str, Any]) -> None:
    images = [image["id"] for image in truth["images"]]
    shares = error_shares(GroundTruth(truth), Detections.from_coco([]), images, CLASSES)
    assert shares == dict.fromkeys(KINDS, 0.0)
