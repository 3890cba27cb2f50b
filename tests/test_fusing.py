"""Boxes of several rows fused, and their scores calibrated: held against mmdet's and mmcv's functions by hand."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark.experiment.rows.fuse import Calibration, Method
from benchmark.job.made.fusing.calibrate import Evidence, calibrated
from benchmark.job.made.fusing.fuse import fuse
from benchmark.job.made.fusing.most import counted
from benchmark.job.made.fusing.settings import Settings
from benchmark.statistics.evaluation import Detections, GroundTruth
from benchmark.statistics.matches import match

METHODS: tuple[Method, ...] = get_args(Method)
CALIBRATIONS: tuple[Calibration, ...] = get_args(Calibration)
LARGE = 2**53  # ids of this size and above are no float64
CATEGORIES = (LARGE + 1, LARGE + 2)
WBF = Settings("wbf", (1.0, 1.0, 2.5), iou=0.55, skip=0.05)

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


def truth(images: int = 4, each: int = 5) -> GroundTruth:
    """A few objects of two classes in each image; every second one of each class."""
    random = np.random.default_rng(0)
    boxes = np.hstack(
        [random.uniform(0, 60, (images * each, 2)), random.uniform(15, 40, (images * each, 2))]
    )
    return GroundTruth(
        {
            "images": [
                {"id": LARGE + i, "file_name": f"{i}.jpg", "width": 99, "height": 99}
                for i in range(images)
            ],
            "categories": [{"id": id_, "name": str(id_)} for id_ in CATEGORIES],
            "annotations": [
                {
                    "id": n,
                    "image_id": LARGE + n // each,
                    "category_id": CATEGORIES[n % 2],
                    "bbox": box.tolist(),
                    "area": float(box[2] * box[3]),
                }
                for n, box in enumerate(boxes)
            ],
        }
    )


TRUTH = truth()


def detector(seed: int, images: int = 4, number: int = 24) -> Detections:
    """Some boxes near the objects, some anywhere, in no order of images."""
    random = np.random.default_rng(seed)
    near = np.concatenate([TRUTH.things.boxes, random.uniform(5, 45, (number, 4))])
    total = len(near)
    return Detections(
        np.concatenate([TRUTH.things.image_ids, LARGE + random.integers(0, images, number)]),
        near + random.normal(0, 2.0, (total, 4)).clip(-4, 4),
        np.concatenate([random.uniform(0.3, 1, total - number), random.uniform(0.01, 0.6, number)]),
        np.concatenate([TRUTH.things.category_ids, random.choice(CATEGORIES, number)]),
    )


ROWS = [detector(seed) for seed in (1, 2, 3)]


def corners(boxes: Floats) -> Floats:
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def as_lines(detections: Detections) -> list[tuple[float, ...]]:
    """Boxes without their order."""
    columns = (detections.image_ids, detections.category_ids, *detections.boxes.T)
    return sorted(zip(*(c.tolist() for c in (*columns, detections.scores)), strict=True))


def by_hand_wbf(rows: list[Detections], settings: Settings) -> Detections:
    """mmdet's function, image by image, as somebody would call it in a notebook."""
    from benchmark import ops

    ops.install()
    from mmdet.models.utils import weighted_boxes_fusion

    parts = []
    for image in sorted({int(i) for row in rows for i in row.image_ids}):
        of_image = [row.image_ids == image for row in rows]
        boxes, scores, labels = weighted_boxes_fusion(
            [corners(row.boxes[mask]) for row, mask in zip(rows, of_image, strict=True)],
            [row.scores[mask] for row, mask in zip(rows, of_image, strict=True)],
            [row.category_ids[mask] - LARGE for row, mask in zip(rows, of_image, strict=True)],
            weights=settings.weights,
            iou_thr=settings.iou,
            skip_box_thr=settings.skip,
        )
        parts.append(made(image, boxes.double().numpy(), scores.double().numpy(), labels.numpy()))
    return Detections.concatenate(parts)


def made(image: int, boxes: Floats, scores: Floats, labels: Numbers) -> Detections:
    sized = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    ids = np.full(len(scores), image, np.int64)
    return Detections(ids, sized, scores, labels.astype(np.int64) + LARGE)


def by_hand_nms(rows: list[Detections], settings: Settings) -> Detections:
    """mmcv's operators, for each class of each image."""
    from benchmark import ops

    ops.install()
    from mmcv.ops import nms, soft_nms

    weighted = [
        replace(row, scores=row.scores * (weight / max(settings.weights)))
        for row, weight in zip(rows, settings.weights, strict=True)
    ]
    kept = [row.scores >= settings.skip for row in rows]
    parts = []
    for image in sorted({int(i) for row in rows for i in row.image_ids}):
        for category in CATEGORIES:
            masks = [
                (row.image_ids == image) & (row.category_ids == category) & keep
                for row, keep in zip(rows, kept, strict=True)
            ]
            boxes = np.concatenate(
                [corners(row.boxes[m]) for row, m in zip(weighted, masks, strict=True)]
            )
            scores = np.concatenate([row.scores[m] for row, m in zip(weighted, masks, strict=True)])
            suppress = nms if settings.method == "nms" else soft_nms
            results, _ = suppress(boxes, scores, iou_threshold=settings.iou)
            label = np.full(len(results), category - LARGE)
            parts.append(made(image, results[:, :4], results[:, 4], label))
    return Detections.concatenate(parts)


def test_wbf_is_mmdets_function_image_by_image() -> None:
    fused = fuse(ROWS, WBF).detections
    by_hand = by_hand_wbf(ROWS, WBF)
    assert as_lines(fused) == as_lines(by_hand)
    ours, theirs = (TRUTH.evaluate(boxes) for boxes in (fused, by_hand))
    assert ours.scores == theirs.scores
    assert ours.scores["mAP50"] is not None and ours.scores["mAP50"] > 0.5


@pytest.mark.parametrize("method", ["nms", "soft_nms"])
def test_nms_is_mmcvs_operator_class_by_class(method: Method) -> None:
    settings = replace(WBF, method=method)
    fused = fuse(ROWS, settings).detections
    assert as_lines(fused) == as_lines(by_hand_nms(ROWS, settings))
    assert 0 < len(fused) < sum(map(len, ROWS))


def iou(a: Floats, b: Floats) -> float:
    size = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    both = float(size.prod())
    return both / float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - both)


def paper_wbf(rows: list[Detections], settings: Settings) -> list[tuple[float, Floats]]:
    """Weighted boxes fusion of one image and class from its paper's words: (score, xyxy)."""
    found = [
        (score * weight, corners(box[None])[0])
        for row, weight in zip(rows, settings.weights, strict=True)
        for box, score in zip(row.boxes, row.scores, strict=True)
        if score >= settings.skip
    ]
    clusters: list[list[tuple[float, Floats]]] = []
    for score, box in sorted(found, key=lambda one: -one[0]):
        overlaps = [iou(average(cluster), box) for cluster in clusters]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if overlaps and overlaps[best] > settings.iou:
            clusters[best].append((score, box))
        else:
            clusters.append([(score, box)])
    share = 1 / sum(settings.weights)
    return [
        (
            float(np.mean([score for score, _ in cluster])) * min(len(rows), len(cluster)) * share,
            average(cluster),
        )
        for cluster in clusters
    ]


def average(cluster: list[tuple[float, Floats]]) -> Floats:
    scores = np.array([score for score, _ in cluster])
    boxes = np.array([box for _, box in cluster])
    return np.asarray((boxes * scores[:, None]).sum(0) / scores.sum())


def of_one(row: Detections) -> Detections:
    mask = (row.image_ids == LARGE) & (row.category_ids == CATEGORIES[0])
    return Detections(
        row.image_ids[mask], row.boxes[mask], row.scores[mask], row.category_ids[mask]
    )


def test_wbf_is_what_its_paper_says() -> None:
    rows = [of_one(row) for row in ROWS]
    expected = sorted(paper_wbf(rows, WBF), key=lambda one: -one[0])
    fused = fuse(rows, WBF).detections
    assert np.allclose(fused.scores, [score for score, _ in expected], atol=1e-6)
    assert np.allclose(corners(fused.boxes), [box for _, box in expected], atol=1e-3)
    assert len(fused) < sum(map(len, rows))


@pytest.mark.parametrize("method", METHODS)
def test_a_row_of_weight_0_takes_no_part(method: Method) -> None:
    settings = Settings(method, (1.0, 0.0, 2.0))
    without = Settings(method, (1.0, 2.0))
    assert as_lines(fuse(ROWS, settings).detections) == as_lines(
        fuse([ROWS[0], ROWS[2]], without).detections
    )


@pytest.mark.parametrize("method", METHODS)
def test_boxes_of_score_0_or_without_area_spoil_nothing(method: Method) -> None:
    row = ROWS[0]
    silent = replace(row, scores=np.where(np.arange(len(row)) % 2, row.scores, 0.0))
    flat = replace(row, boxes=np.where(np.arange(len(row))[:, None] % 3, row.boxes, 0.0))
    fused = fuse([silent, silent, flat], Settings(method, (1.0, 1.0, 1.0)))
    assert np.isfinite(fused.detections.boxes).all() and np.isfinite(fused.detections.scores).all()
    assert fused.flat == (np.arange(len(row)) % 3 == 0).sum()


@pytest.mark.parametrize("method", METHODS)
def test_nothing_found_is_nothing_fused(method: Method) -> None:
    nothing = Detections.from_coco([])
    assert len(fuse([nothing, nothing], Settings(method, (1, 1))).detections) == 0
    one = fuse([nothing, ROWS[0]], Settings(method, (1, 1))).detections
    assert len(one) > 0


def test_what_pycocotools_would_not_count_is_left_out_and_told() -> None:
    many = Detections.concatenate([detector(seed, images=1, number=150) for seed in range(3)])
    fused = fuse([many], Settings("nms", (1,), iou=0.99))
    whole = counted(many, most=10**6)
    kept = counted(many)
    assert fused.beyond > 0
    assert TRUTH.evaluate(whole).scores == TRUTH.evaluate(kept).scores
    of_image = [
        int(((kept.image_ids == image) & (kept.category_ids == category)).sum())
        for image in np.unique(many.image_ids)
        for category in CATEGORIES
    ]
    assert max(of_image) == 100
    assert as_lines(whole) == as_lines(many)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ((1.0,), "1 weights for 2 rows"),
        ((1.0, -1.0), "each is 0 or above"),
        ((0.0, 0.0), "one above 0"),
        ((float("nan"), 1.0), "each is 0 or above"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights: tuple[float, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fuse(ROWS[:2], Settings("wbf", weights))


def test_scores_below_0_are_refused() -> None:
    logits = replace(ROWS[1], scores=ROWS[1].scores - 0.5)
    with pytest.raises(ValueError, match=r"row 2 .* scores below 0"):
        fuse([ROWS[0], logits], Settings("wbf", (1, 1)))


def evidence(row: Detections) -> Evidence:
    return Evidence.of([match(TRUTH, row, TRUTH.files, [*TRUTH.category_ids])])


@pytest.mark.parametrize("kind", CALIBRATIONS)
def test_a_calibration_does_not_change_what_a_row_is_worth_alone(kind: Calibration) -> None:
    row = ROWS[0]
    after = calibrated(row, kind, evidence(row))
    assert (np.argsort(after.scores) == np.argsort(row.scores)).all()
    assert TRUTH.evaluate(after).scores == TRUTH.evaluate(row).scores
    assert after.scores.min() >= 0 and after.scores.max() <= 1


def test_isotonic_scores_are_rates_of_hits() -> None:
    scores = np.repeat([0.2, 0.5, 0.6, 0.9], 100)
    hits = np.concatenate(
        [np.arange(100) < n for n in (10, 50, 40, 95)]
    )  # 0.5 and 0.6 the wrong way round
    row = replace(ROWS[0], scores=np.resize([0.2, 0.5, 0.6, 0.9], len(ROWS[0])))
    after = calibrated(row, "isotonic", Evidence(scores, hits))
    rates = {float(s): float(a) for s, a in zip(row.scores, after.scores, strict=True)}
    assert rates == pytest.approx({0.2: 0.1, 0.5: 0.45, 0.6: 0.45, 0.9: 0.95}, abs=2e-4)
    assert rates[0.5] < rates[0.6]


def test_minmax_stretches_what_it_was_fitted_on() -> None:
    row = replace(ROWS[0], scores=np.resize([0.0, 0.1, 0.3, 0.5, 0.7], len(ROWS[0])))
    after = calibrated(row, "minmax", Evidence(np.array([0.1, 0.5]), np.array([False, True])))
    assert after.scores[:5] == pytest.approx([0, 0, 0.5, 1, 1])


def test_without_boxes_nothing_is_calibrated() -> None:
    none = Evidence.of([])
    assert len(calibrated(Detections.from_coco([]), "isotonic", none)) == 0
    with pytest.raises(ValueError, match="no boxes to calibrate"):
        calibrated(ROWS[0], "minmax", none)
