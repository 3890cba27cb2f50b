from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmark.errors import UserError
from benchmark.statistics.evaluation import (
    Detections,
    Evaluation,
    GroundTruth,
    write_predictions,
)

NAMES = ("mAP", "mAP50", "mAP75", "mAP_s", "mAP_m", "mAP_l")
CATEGORY_IDS = {"bag": 7, "can": 3, "lid": 90, "unseen": 12}
IMAGE_IDS = [5, 2, 9, 1, 33, 17, 8, 4]


def evaluate(
    annotations: Path | dict[str, Any], found: list[Any] | Detections, *chosen: Any, **named: Any
) -> Evaluation:
    boxes = found if isinstance(found, Detections) else Detections.from_coco(found)
    content = json.loads(annotations.read_text()) if isinstance(annotations, Path) else annotations
    return GroundTruth(content).evaluate(boxes, *chosen, **named)


def ground_truth(seed: int = 0) -> dict[str, Any]:
    """Objects of all sizes, some of them crowds; no object of the class `unseen`."""
    random = np.random.default_rng(seed)
    images = [{"id": i, "width": 640, "height": 480, "file_name": f"{i}.jpg"} for i in IMAGE_IDS]
    objects: list[dict[str, Any]] = []
    for image in images:
        for _ in range(random.integers(2, 9)):
            x, y, w, h = (*random.uniform(0, 300, 2), *np.exp(random.uniform(2, 5.5, 2)))
            objects.append(
                {
                    "id": len(objects) + 1,
                    "image_id": image["id"],
                    "category_id": int(random.choice([7, 3, 90])),
                    "bbox": [float(v) for v in (x, y, w, h)],
                    "area": float(w * h),
                    "iscrowd": int(random.random() < 0.15),
                }
            )
    categories = [{"id": number, "name": name} for name, number in CATEGORY_IDS.items()]
    return {"images": images, "annotations": objects, "categories": categories}


def detections(truth: dict[str, Any], seed: int = 1) -> list[dict[str, Any]]:
    """Shifted copies of the objects, many with equal scores or a wrong class, and one empty box."""
    random = np.random.default_rng(seed)
    results = [{"image_id": 5, "category_id": 3, "bbox": [0.0, 0.0, 0.0, 0.0], "score": 0.95}]
    for thing in truth["annotations"]:
        for spread in (1, 6, 20):
            x, y, w, h = np.array(thing["bbox"]) + random.normal(0, spread, 4)
            right = random.random() < 0.8
            category = thing["category_id"] if right else int(random.choice([7, 3, 90, 12]))
            results.append(
                {
                    "image_id": thing["image_id"],
                    "category_id": category,
                    "bbox": [float(v) for v in (x, y, max(w, 1.0), max(h, 1.0))],
                    "score": round(float(random.random()), 1),
                }
            )
    return results


def reference(
    truth: dict[str, Any],
    results: list[dict[str, Any]],
    images: list[int],
    names: list[str] | None = None,
) -> tuple[list[float | None], dict[str, dict[str, float | None]]]:
    """The summary in the order of NAMES, and AP by class, from pycocotools."""
    names = names or list(CATEGORY_IDS)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes([dict(result) for result in results]), "bbox")
        run.params.imgIds = images
        run.params.catIds = [CATEGORY_IDS[name] for name in names]
        run.evaluate()
        run.accumulate()
        run.summarize()
    per_class = {}
    for name in names:
        k = list(run.params.catIds).index(CATEGORY_IDS[name])
        values = run.eval["precision"][:, :, k, 0, -1]
        per_class[name] = {"mAP50": mean(values[0]), "mAP": mean(values)}
    return [None if v == -1 else float(v) for v in run.stats[:6]], per_class


def mean(values: np.ndarray) -> float | None:
    values = values[values > -1]
    return float(values.mean()) if values.size else None


def assert_same(
    ours: Evaluation, theirs: tuple[list[float | None], dict[str, dict[str, float | None]]]
) -> None:
    summary, per_class = theirs
    assert_close([ours.scores[name] for name in NAMES], summary)
    assert list(ours.per_class) == list(per_class)
    for name, values in per_class.items():
        assert ours.per_class[name].keys() == values.keys()
        assert_close(list(ours.per_class[name].values()), list(values.values()))


def assert_close(ours: list[float | None], theirs: list[float | None]) -> None:
    assert [v is None for v in ours] == [v is None for v in theirs]
    numbers = [[v for v in side if v is not None] for side in (ours, theirs)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-12, rel=0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("images", [IMAGE_IDS, [9, 5, 33]], ids=["all", "subset"])
def test_numbers_are_those_of_pycocotools(seed: int, images: list[int]) -> None:
    truth = ground_truth(seed)
    results = detections(truth, seed + 100)
    ours = evaluate(truth, results, image_ids=images)
    assert_same(ours, reference(truth, results, images))
    assert 0 < ours.scores["mAP50"] < 1  # type: ignore[operator]  # the random boxes make a real curve
    assert ours.per_class["unseen"] == {"mAP50": None, "mAP": None}
    assert not ours.no_predictions


def test_subset_gives_other_numbers_than_the_whole() -> None:
    truth = ground_truth()
    results = detections(truth)
    assert (
        evaluate(truth, results, [9, 5, 33]).scores["mAP"] != evaluate(truth, results).scores["mAP"]
    )


def test_more_than_100_boxes_an_image_are_cut_as_in_pycocotools() -> None:
    truth = ground_truth()
    results = detections(truth) + [
        {"image_id": 5, "category_id": 7, "bbox": [i, i, 9.0, 9.0], "score": i / 1000}
        for i in range(300)
    ]
    assert_same(evaluate(truth, results), reference(truth, results, IMAGE_IDS))


def test_classes_are_evaluated_by_name_and_in_the_order_given() -> None:
    truth = ground_truth()
    results = detections(truth)
    some = ["lid", "bag"]
    ours = evaluate(truth, results, classes=some)
    assert_same(ours, reference(truth, results, IMAGE_IDS, some))
    with_unknown = evaluate(truth, results, classes=["lid", "nothing", "bag"])
    assert with_unknown.scores["mAP"] == ours.scores["mAP"]
    assert with_unknown.per_class["nothing"] == {"mAP50": None, "mAP": None}
    with pytest.raises(ValueError, match=r"nothing.*bag"):
        evaluate(truth, results, classes=["nothing"])


def test_no_predictions_score_zero_and_say_so() -> None:
    ours = evaluate(ground_truth(), [])
    assert ours.no_predictions
    assert [ours.scores[name] for name in NAMES] == [0.0] * 6
    assert ours.per_class["bag"] == {"mAP50": 0.0, "mAP": 0.0}
    assert ours.per_class["unseen"] == {"mAP50": None, "mAP": None}


def test_one_junk_box_scores_zero_without_the_flag() -> None:
    truth = ground_truth()
    junk = [{"image_id": 5, "category_id": 7, "bbox": [9999.0, 0.0, -3.0, 2.0], "score": 0.1}]
    ours = evaluate(truth, junk)
    assert not ours.no_predictions
    assert_same(ours, reference(truth, junk, IMAGE_IDS))
    assert ours.scores["mAP50"] == 0.0


def test_sizes_that_do_not_occur_are_none_and_never_minus_one() -> None:
    truth = ground_truth()
    truth["annotations"] = [
        dict(thing, bbox=[1.0, 1.0, 20.0, 20.0], area=400.0) for thing in truth["annotations"]
    ]
    ours = evaluate(truth, detections(truth))
    assert ours.scores["mAP_s"] is not None
    assert ours.scores["mAP_m"] is None
    assert ours.scores["mAP_l"] is None
    truth["annotations"] = []
    nothing = evaluate(truth, [])
    assert [nothing.scores[name] for name in NAMES] == [None] * 6


def test_written_predictions_evaluate_to_the_same_bits(tmp_path: Path) -> None:
    truth = ground_truth()
    (tmp_path / "val.json").write_text(json.dumps(truth))
    ours = evaluate(tmp_path / "val.json", detections(truth))
    write_predictions(tmp_path / "out" / "predictions.json", ours.detections)
    text = (tmp_path / "out" / "predictions.json").read_text()
    assert " " not in text
    back = json.loads(text)
    assert back == detections(truth)
    again = evaluate(tmp_path / "val.json", back)
    assert [again.scores[n] for n in NAMES] == [ours.scores[n] for n in NAMES]
    assert again.per_class == ours.per_class
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.json"]


def test_no_predictions_are_an_empty_list(tmp_path: Path) -> None:
    write_predictions(tmp_path / "predictions.json", Detections.from_coco([]))
    assert json.loads((tmp_path / "predictions.json").read_text()) == []


# Through mmdet: data samples in, metric names out.


def samples(
    results: list[dict[str, Any]],
    classes: list[str],
    images: list[int],
    category_ids: Mapping[str, int] = CATEGORY_IDS,
) -> list[Any]:
    """What a detector hands to the evaluator: boxes are float32 xyxy, labels index `classes`."""
    import torch
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    labels = {category_ids[name]: label for label, name in enumerate(classes)}
    out = []
    for image in images:
        found = [result for result in results if result["image_id"] == image]
        xywh = torch.tensor([r["bbox"] for r in found]).reshape(-1, 4)
        boxes = torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1)
        sample = DetDataSample(metainfo={"img_id": image, "ori_shape": (480, 640)})
        sample.pred_instances = InstanceData(
            bboxes=boxes,
            scores=torch.tensor([r["score"] for r in found]),
            labels=torch.tensor([labels[r["category_id"]] for r in found], dtype=torch.long),
        )
        out.append(sample)
    return out


def measured(metric: Any, data_samples: list[Any], classes: list[str]) -> dict[str, float]:
    from mmengine.evaluator import Evaluator

    evaluator = Evaluator([metric])
    evaluator.dataset_meta = {"classes": classes}
    for start in range(0, len(data_samples), 3):
        evaluator.process(data_samples[start : start + 3])
    return evaluator.evaluate(len(data_samples))


@pytest.mark.parametrize("images", [IMAGE_IDS, [9, 5, 33]], ids=["all", "first images only"])
@pytest.mark.parametrize(
    "classes", [list(CATEGORY_IDS), ["can", "lid", "unseen", "bag"]], ids=["as file", "other order"]
)
def test_metric_is_pycocotools_on_the_same_float32_boxes(
    metric_type: type, tmp_path: Path, images: list[int], classes: list[str]
) -> None:
    truth = ground_truth()
    (tmp_path / "val.json").write_text(json.dumps(truth))
    metric = metric_type(ann_file=str(tmp_path / "val.json"), metric=["bbox"], format_only=False)
    values = measured(metric, samples(detections(truth), classes, images), classes)
    assert_same(metric.last, reference(truth, metric.last.detections.to_coco(), images, classes))
    assert len(metric.last.detections) == sum(r["image_id"] in images for r in detections(truth))
    expected = {"mAP": "mAP", "mAP_50": "mAP50", "mAP_75": "mAP75"}
    expected |= {name: name for name in ("mAP_s", "mAP_m", "mAP_l")}
    assert values == {f"coco/bbox_{key}": metric.last.scores[n] for key, n in expected.items()}
    assert all(type(value) is float for value in values.values())


def test_metric_takes_a_file_whose_optional_fields_hotcoco_refuses(
    metric_type: type, tmp_path: Path
) -> None:
    import hotcoco

    truth, file = ground_truth(), tmp_path / "val.json"
    file.write_text(json.dumps({**truth, "info": {"year": "twenty"}}))
    with pytest.raises(ValueError, match="invalid type"):
        hotcoco.COCO(str(file))
    metric, classes = metric_type(ann_file=str(file)), list(CATEGORY_IDS)
    measured(metric, samples(detections(truth), classes, IMAGE_IDS), classes)
    assert_same(metric.last, reference(truth, metric.last.detections.to_coco(), IMAGE_IDS, classes))


def test_metric_refuses_a_file_with_a_broken_annotation(metric_type: type, tmp_path: Path) -> None:
    truth, file = ground_truth(), tmp_path / "val.json"
    del truth["annotations"][3]["area"]
    file.write_text(json.dumps(truth))
    with pytest.raises(UserError, match="id 4: 'area' is missing"):
        metric_type(ann_file=str(file)).ground_truth  # noqa: B018 - it is read when asked for


def test_metric_agrees_with_the_stock_one_to_its_three_digits(
    metric_type: type, tmp_path: Path
) -> None:
    from mmdet.evaluation import CocoMetric

    truth = ground_truth()
    (tmp_path / "val.json").write_text(json.dumps(truth))
    classes = list(CATEGORY_IDS)
    stock, ours = (
        measured(kind(ann_file=str(tmp_path / "val.json"), metric="bbox"), found, classes)
        for kind, found in (
            (CocoMetric, samples(detections(truth), classes, IMAGE_IDS)),
            (metric_type, samples(detections(truth), classes, IMAGE_IDS)),
        )
    )
    assert stock.keys() == ours.keys()
    assert stock == pytest.approx(ours, abs=5.1e-4)


def test_metric_answers_where_nothing_was_predicted_and_forgets_the_round_before(
    metric_type: type, tmp_path: Path
) -> None:
    truth = ground_truth()
    (tmp_path / "val.json").write_text(json.dumps(truth))
    metric = metric_type(ann_file=str(tmp_path / "val.json"))
    classes = list(CATEGORY_IDS)
    assert metric.last is None
    assert measured(metric, samples(detections(truth), classes, IMAGE_IDS), classes)[
        "coco/bbox_mAP_50"
    ]
    values = measured(metric, samples([], classes, IMAGE_IDS), classes)
    assert set(values.values()) == {0.0}
    assert metric.last.no_predictions  # type: ignore[attr-defined] # it is set by now


def test_metric_reports_nan_for_sizes_that_do_not_occur(metric_type: type, tmp_path: Path) -> None:
    truth = ground_truth()
    for thing in truth["annotations"]:
        thing.update(bbox=[1.0, 1.0, 20.0, 20.0], area=400.0)
    (tmp_path / "val.json").write_text(json.dumps(truth))
    metric = metric_type(ann_file=str(tmp_path / "val.json"))
    classes = list(CATEGORY_IDS)
    values = measured(metric, samples(detections(truth), classes, IMAGE_IDS), classes)
    assert math.isnan(values["coco/bbox_mAP_l"])
    assert values["coco/bbox_mAP"] > 0


def test_metric_keeps_a_box_that_is_not_finite_as_a_false_detection(
    metric_type: type, tmp_path: Path
) -> None:
    truth = ground_truth()
    (tmp_path / "val.json").write_text(json.dumps(truth))
    metric = metric_type(ann_file=str(tmp_path / "val.json"))
    bad = {"image_id": 5, "category_id": 7, "bbox": [math.nan, 0.0, math.inf, 2.0], "score": 0.5}
    values = measured(metric, samples([bad], list(CATEGORY_IDS), IMAGE_IDS), list(CATEGORY_IDS))
    assert values["coco/bbox_mAP"] == 0.0
    assert not metric.last.no_predictions
    write_predictions(tmp_path / "predictions.json", metric.last.detections)
    assert json.loads((tmp_path / "predictions.json").read_text())[0]["score"] == 0.5


def test_metric_refuses_what_it_does_not_evaluate(metric_type: type) -> None:
    with pytest.raises(ValueError, match="segm"):
        metric_type(ann_file="val.json", metric=["bbox", "segm"])
    with pytest.raises(ValueError, match="format_only"):
        metric_type(ann_file="val.json", format_only=True)
