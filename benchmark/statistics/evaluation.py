"""COCO box evaluation at full precision: detections and annotations in, average precision out.

The numbers are those of pycocotools' ``COCOeval``; hotcoco computes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from benchmark.files import write_text
from benchmark.statistics.counted import counted
from benchmark.statistics.scores import SCORES

if TYPE_CHECKING:
    from hotcoco import COCOeval


class CocoBox(TypedDict):
    """A box in COCO's results format: ``bbox`` is xywh in pixels of the original image."""

    image_id: int
    category_id: int
    bbox: Sequence[float]
    score: float


# What COCOeval reports where there is no object to find.
_ABSENT = -1.0


@dataclass(frozen=True)
class Detections:
    """Boxes that a detector found in a set of images; each array has one entry a box.

    Attributes:
        image_ids: Ids of the annotation file, shape (N,), int64.
        boxes: COCO xywh in pixels of the original image, shape (N, 4), float64.
        scores: Shape (N,), float64.
        category_ids: Ids of the annotation file, shape (N,), int64.
    """

    image_ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    category_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def from_coco(cls, results: Sequence[CocoBox]) -> Detections:
        """Takes a list in COCO's results format: image_id, category_id, bbox (xywh), score."""
        return cls(
            np.array([result["image_id"] for result in results], np.int64),
            np.array([result["bbox"] for result in results], np.float64).reshape(-1, 4),
            np.array([result["score"] for result in results], np.float64),
            np.array([result["category_id"] for result in results], np.int64),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Detections:
        """Joins the detections of several images, in the order given."""
        empty = cls.from_coco([])
        names = ("image_ids", "boxes", "scores", "category_ids")
        columns = ([getattr(part, name) for part in (empty, *parts)] for name in names)
        return cls(*(np.concatenate(column) for column in columns))

    def to_coco(self) -> list[CocoBox]:
        """The boxes as plain values in COCO's results format."""
        columns = (self.image_ids, self.category_ids, self.boxes, self.scores)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [
            {"image_id": image, "category_id": category, "bbox": box, "score": score}
            for image, category, box, score in rows
        ]

    def rows(self) -> NDArray[np.float64]:
        """One array, shape (N, 7): image id, x, y, w, h, score, category id."""
        return np.column_stack([self.image_ids, self.boxes, self.scores, self.category_ids])


@dataclass(frozen=True)
class Evaluation:
    """Scores as fractions in 0..1; None where there is no object to find.

    Attributes:
        scores: By key of `benchmark.statistics.scores.SCORES`, means over the classes.
        per_class: By class name, in label order: ``{"mAP50": ..., "mAP": ...}``.
        no_predictions: Nothing at all was detected.
        detections: What was evaluated.
        image_ids: Ids of the images that were evaluated, sorted, shape (I,), int64.
    """

    scores: dict[str, float | None]
    per_class: dict[str, dict[str, float | None]]
    no_predictions: bool
    detections: Detections
    image_ids: NDArray[np.int64]


class GroundTruth:
    """A COCO annotation file, given by its path or content, read once for any number of evaluations."""

    def __init__(self, annotations: str | PathLike[str] | Mapping[str, object]) -> None:
        import hotcoco

        given = dict(annotations) if isinstance(annotations, Mapping) else str(annotations)
        self._coco = hotcoco.COCO(given)

    @cached_property
    def category_ids(self) -> dict[str, int]:
        """Category ids by name, in the order of the file."""
        return {
            category["name"]: int(number)
            for number, category in zip(self._coco.cats, self._coco.cats.values(), strict=True)
        }

    @cached_property
    def files(self) -> dict[int, str]:
        """``file_name`` of each image, by image id."""
        return {int(number): image["file_name"] for number, image in self._coco.imgs.items()}

    @cached_property
    def objects(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Image ids and category ids of the objects to find, see `counted`; both (N,)."""
        things = self._coco.dataset["annotations"]
        pairs = [(thing["image_id"], thing["category_id"]) for thing in things]
        area = np.array([thing["area"] for thing in things], np.float64)
        crowd = np.array([bool(thing.get("iscrowd")) for thing in things], np.bool_)
        images, categories = np.array(pairs, np.int64).reshape(-1, 2)[counted(area, crowd)].T
        return images, categories

    def evaluate(
        self,
        detections: Detections,
        image_ids: Iterable[int] | None = None,
        classes: Sequence[str] | None = None,
    ) -> Evaluation:
        """Evaluates detections as pycocotools does, at most 100 an image.

        Args:
            detections: The boxes.
            image_ids: The images to evaluate on; all of the file by default.
            classes: Names of the classes to evaluate, in label order; all of the file by default. One
                that the file does not have counts as a class without objects.

        Raises:
            ValueError: The file has none of the classes.
        """
        names = list(self.category_ids if classes is None else classes)
        ids = self._known(names)
        result = self._prepared(detections, image_ids, ids)
        result.evaluate()
        result.accumulate()
        result.summary_lines()  # computes `stats` as summarize() does, and prints nothing
        precision = (result.eval or {})["precision"]
        position = {number: k for k, number in enumerate(ids)}
        slots = {name: position.get(self.category_ids.get(name, -1)) for name in names}
        return Evaluation(
            scores={key: _present(score.read(result)) for key, score in SCORES.items()},
            per_class={name: _class_precision(precision, k) for name, k in slots.items()},
            no_predictions=len(detections) == 0,
            detections=detections,
            image_ids=np.unique(np.asarray(result.params.imgIds, np.int64)),
        )

    def matching(
        self, detections: Detections, image_ids: Iterable[int], classes: Sequence[str]
    ) -> COCOeval:
        """Hotcoco's ``COCOeval`` after matching at IoU 0.5 only, objects of all sizes.

        Raises:
            ValueError: The file has none of the classes.
        """
        run = self._prepared(detections, image_ids, self._known(classes))
        run.params.iouThrs = [0.5]
        run.params.areaRng = [[0, 1e10]]
        run.params.areaRngLbl = ["all"]
        run.params.maxDets = [100]
        run.evaluate()
        return run

    def _known(self, classes: Sequence[str]) -> list[int]:
        """Category ids of those classes that the file has, sorted."""
        ids = sorted(self.category_ids[name] for name in classes if name in self.category_ids)
        if not ids:
            raise ValueError(f"no class of {list(classes)} is among {list(self.category_ids)}")
        return ids

    def _prepared(
        self, detections: Detections, image_ids: Iterable[int] | None, category_ids: list[int]
    ) -> COCOeval:
        import hotcoco

        run = hotcoco.COCOeval(self._coco, self._coco.load_res(detections.rows()), "bbox")
        # pycocotools sorts both lists; the order decides how a mean rounds.
        run.params.catIds = category_ids
        if image_ids is not None:
            run.params.imgIds = sorted({int(number) for number in image_ids})
        return run


def _class_precision(
    precision: NDArray[np.float64], position: int | None
) -> dict[str, float | None]:
    """AP of one class; ``precision`` is (IoU threshold, recall, class, object size, detections)."""
    if position is None:
        return {"mAP50": None, "mAP": None}
    values = precision[:, :, position, 0, -1]
    return {"mAP50": _mean(values[0]), "mAP": _mean(values)}


def _mean(values: NDArray[np.float64]) -> float | None:
    counted = values[values > _ABSENT]
    return float(np.mean(counted)) if counted.size else None


def _present(value: float) -> float | None:
    return None if value == _ABSENT else value


def write_predictions(path: Path, detections: Detections) -> None:
    """Writes COCO results JSON atomically, without spaces and without rounding.

    Evaluating the file again gives the same numbers to the last bit.
    """
    separators = (",", ":")
    write_text(path, json.dumps(detections.to_coco(), separators=separators, allow_nan=False))
