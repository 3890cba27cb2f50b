"""mmdet's COCO box metric, evaluated at full precision by `benchmark.statistics.evaluation`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.fileio import get_local_path
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations, read_annotations
from benchmark.files import JsonObject
from benchmark.statistics.evaluation import Detections, Evaluation, GroundTruth
from benchmark.statistics.scores import SCORES

# mmengine's word for sending what each process has found to the others, on CPUs, too. By "cpu" it means files in the
# folder that each stands in, which is another on every node, may take none, and is the user's.
_BY_THE_PROCESSES = "gpu"

Predicted = tuple[int, NDArray[np.floating], NDArray[np.floating], NDArray[np.int64]]
"""An image's id, boxes (N, 4) as xyxy in pixels of the original image, scores (N,) and labels (N,)."""


@METRICS.register_module()
class HotCocoMetric(CocoMetric):  # type: ignore[misc]
    """Takes the place of mmdet's ``CocoMetric`` for boxes.

    It differs in four ways: values are not rounded; a model that detects nothing scores 0 instead
    of giving no result, which would end a training that waits for one; only the images that were
    processed are evaluated, so that a validation on part of a dataset means what it says; labels
    are matched to the annotation file by class name, not by the order of its categories.

    Every result has a key for each of `benchmark.statistics.scores.SCORES` (``coco/bbox_mAP``, ``coco/bbox_mAP_50``,
    ...): fractions in 0..1, NaN where no object of that size exists.

    Args:
        ann_file: COCO annotation file.
        metric: ``bbox``; nothing else is evaluated.
        format_only: Must be False, as in mmdet's configs for validation.
        backend_args: As in mmdet, where the file is not local.
        collect_device: Taken as mmdet's configs have it; how the results of several processes come together, it does
            not decide.
        prefix: Replaces ``coco`` in the keys.

    Attributes:
        last: The newest evaluation, with values for each class and the detections; None before the
            first. In a distributed run only the first process has it.
    """

    def __init__(
        self,
        ann_file: str,
        metric: str | Sequence[str] = "bbox",
        format_only: bool = False,
        backend_args: Mapping[str, object] | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        if metric not in ("bbox", ["bbox"], ("bbox",)):
            raise ValueError(f"HotCocoMetric evaluates metric='bbox' only, not {metric!r}")
        if format_only:
            raise ValueError("HotCocoMetric evaluates; for format_only use mmdet's CocoMetric")
        # Without a file, so that the base class does not read it with pycocotools, too.
        super().__init__(collect_device=_BY_THE_PROCESSES, prefix=prefix, backend_args=backend_args)
        self.ann_file = ann_file
        self.last: Evaluation | None = None

    def process(self, data_batch: object, data_samples: Sequence[JsonObject]) -> None:
        """Keeps a batch's predictions: boxes as xyxy in pixels of the original image."""
        self.results += map(predicted_of, data_samples)

    def compute_metrics(self, results: Sequence[Predicted]) -> dict[str, float]:
        """Evaluates what `process` kept; called in the first process only."""
        truth = self.ground_truth
        classes = list(self.dataset_meta["classes"])
        found = _joined(results, classes, truth.category_ids)
        self.last = truth.evaluate(found, [result[0] for result in results], classes)
        values = {SCORES[key].metric: value for key, value in self.last.scores.items()}
        # mmdet's order: what waits for the first of them (``save_best="auto"``) waits for mAP.
        return {name: float("nan") if v is None else v for name, v in sorted(values.items())}

    @cached_property
    def annotations(self) -> Annotations:
        """The annotations, read when they are first asked for."""
        with get_local_path(self.ann_file, backend_args=self.backend_args) as path:
            return read_annotations(Path(path))

    @cached_property
    def ground_truth(self) -> GroundTruth:
        """What there is to find, as the evaluator holds it."""
        return GroundTruth(self.annotations.to_coco())


@METRICS.register_module()
class DetectionsMetric(BaseMetric):  # type: ignore[misc]
    """Gathers the boxes that a model finds, and evaluates none.

    Args:
        category_ids: Category id of each class by its name.

    Attributes:
        found: The boxes of all images; None before the first evaluation. In a distributed run only the first process
            has them.
    """

    def __init__(self, category_ids: Mapping[str, int]) -> None:
        super().__init__(collect_device=_BY_THE_PROCESSES)
        self._category_ids = category_ids
        self.found: Detections | None = None

    def process(self, data_batch: object, data_samples: Sequence[JsonObject]) -> None:
        """Keeps a batch's predictions."""
        self.results += map(predicted_of, data_samples)

    def compute_metrics(self, results: Sequence[Predicted]) -> dict[str, float]:
        """Joins what `process` kept; called in the first process only. Returns no score."""
        self.found = _joined(results, list(self.dataset_meta["classes"]), self._category_ids)
        return {}


def _joined(
    results: Sequence[Predicted], classes: Sequence[str], category_ids: Mapping[str, int]
) -> Detections:
    """The boxes of all images, without those of classes that have no category id.

    Raises:
        ValueError: A label is none of a class.
    """
    known = np.array([name in category_ids for name in classes], np.bool_)
    ids = np.array([category_ids.get(name, 0) for name in classes], np.int64)
    return Detections.concatenate([detections_of(result, known, ids) for result in results])


def predicted_of(sample: JsonObject) -> Predicted:
    """What a model has found in an image, of one of its data samples, moved to the host."""
    predicted = sample["pred_instances"]
    boxes, scores, labels = (predicted[key].cpu().numpy() for key in ("bboxes", "scores", "labels"))
    return sample["img_id"], boxes, scores, labels


def detections_of(
    predicted: Predicted, known: NDArray[np.bool_], category_ids: NDArray[np.int64]
) -> Detections:
    """One image's detections, without those of classes that the annotation file does not have.

    A box that is not finite becomes an empty one: it stays a false detection.

    Args:
        predicted: What the model found.
        known: Whether the file has the class of each label.
        category_ids: The file's id of each label's class; anything where it has none.

    Raises:
        ValueError: A label is none of a class.
    """
    image_id, boxes, scores, labels = predicted
    strange = (labels < 0) | (labels >= len(known))
    if np.any(strange):
        told = f"boxes of image {image_id} have the labels {np.unique(labels[strange]).tolist()}"
        raise ValueError(f"{told}, but there are {len(known)} classes")
    kept = known[labels]
    xyxy = np.nan_to_num(boxes[kept].astype(np.float64), nan=0, posinf=0, neginf=0)
    xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
    ids = np.full(len(xywh), image_id, np.int64)
    return Detections(ids, xywh, scores[kept].astype(np.float64), category_ids[labels[kept]])
