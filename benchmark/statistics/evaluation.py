"""COCO box evaluation at full precision: detections and annotations in, average precision out.

The numbers are those of pycocotools' ``COCOeval``; hotcoco computes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from benchmark.files import JsonObject, write_text
from benchmark.statistics.counted import counted
from benchmark.statistics.ids import Ids, sorted_ids
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

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Detections:
        """Those boxes of which ``which``, shape (N,), is true, in their order; or whose numbers it holds, in its."""
        return Detections(
            self.image_ids[which], self.boxes[which], self.scores[which], self.category_ids[which]
        )

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


@dataclass(frozen=True)
class Things:
    """Annotations as columns: int64 ids, boxes (N, 4) as xywh in pixels, area in square pixels, and whether a crowd."""

    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    area: NDArray[np.float64]
    crowd: NDArray[np.bool_]

    @classmethod
    def from_coco(cls, things: Sequence[JsonObject]) -> Things:
        """Takes the ``annotations`` of a COCO file."""
        return cls(
            np.array([thing["image_id"] for thing in things], np.int64),
            np.array([thing["category_id"] for thing in things], np.int64),
            np.array([thing["bbox"] for thing in things], np.float64).reshape(-1, 4),
            np.array([thing["area"] for thing in things], np.float64),
            np.array([bool(thing.get("iscrowd")) for thing in things], np.bool_),
        )


class GroundTruth:
    """COCO annotations, taken apart once for any number of evaluations.

    hotcoco gets no id, but the number of an image or a class among the sorted ids, see `benchmark.statistics.ids`, and
    of an annotation no more than what it evaluates: it refuses files with optional fields that it takes for wrong, such
    as a year that is a text. An annotation whose id is 0 counts as any other; pycocotools takes that for "not found".

    Args:
        annotations: The content of a COCO file. ``images`` need ``id`` and ``file_name``, ``categories`` ``id`` and
            ``name``, ``annotations`` ``image_id``, ``category_id``, ``bbox`` (xywh in pixels) and ``area``; they may
            have ``iscrowd``. Ids are whole numbers of 64 bits.

    Attributes:
        category_ids: Category ids by name, in the order of the file.
        files: ``file_name`` of each image, by image id.
        things: The annotations, in the order given.

    Raises:
        ValueError: An annotation is of an image or a category that is not listed.
    """

    def __init__(self, annotations: Mapping[str, Sequence[JsonObject]]) -> None:
        import hotcoco

        images, categories = annotations["images"], annotations["categories"]
        self.files: dict[int, str] = {image["id"]: image["file_name"] for image in images}
        self.category_ids: dict[str, int] = {kind["name"]: kind["id"] for kind in categories}
        self._images = Ids(np.array([*self.files], np.int64), "images")
        self._categories = Ids(np.array([*self.category_ids.values()], np.int64), "categories")
        self.things = things = Things.from_coco(annotations["annotations"])
        self._coco = hotcoco.COCO.from_arrays(
            [{"id": number + 1} for number in range(len(self._images))],
            [{"id": n + 1, "name": str(n + 1)} for n in range(len(self._categories))],
            self._images.numbers(things.image_ids),
            self._categories.numbers(things.category_ids),
            things.boxes,
            ids=np.arange(1, len(things.boxes) + 1),
            area=things.area,
            iscrowd=things.crowd,
        )

    @property
    def objects(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Image ids and category ids of the objects to find, see `counted`; both (N,)."""
        chosen = counted(self.things.area, self.things.crowd)
        return self.things.image_ids[chosen], self.things.category_ids[chosen]

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
            ValueError: The file has none of the classes, or lacks an image or the category of a detection.
        """
        names = list(self.category_ids if classes is None else classes)
        images = sorted_ids(self.files if image_ids is None else image_ids)
        numbers = self._known(names)
        result = self._prepared(detections, images, [*numbers.values()])
        result.evaluate()
        result.accumulate()
        result.summary_lines()  # computes `stats` as summarize() does, and prints nothing
        precision = (result.eval or {})["precision"]
        position = {name: k for k, name in enumerate(numbers)}
        return Evaluation(
            scores={key: _present(score.read(result)) for key, score in SCORES.items()},
            per_class={name: _class_precision(precision, position.get(name)) for name in names},
            no_predictions=len(detections) == 0,
            detections=detections,
            image_ids=images,
        )

    def matching(
        self, detections: Detections, image_ids: Iterable[int], classes: Sequence[str]
    ) -> COCOeval:
        """Hotcoco's ``COCOeval`` after matching at IoU 0.5 only, objects of all sizes.

        Its images and categories are numbers, its detections those given, numbered from 1.

        Raises:
            ValueError: The file has none of the classes, or lacks an image or the category of a detection.
        """
        numbers = self._known(classes)
        run = self._prepared(detections, sorted_ids(image_ids), [*numbers.values()])
        run.params.iouThrs = [0.5]
        run.params.areaRng = [[0, 1e10]]
        run.params.areaRngLbl = ["all"]
        run.params.maxDets = [100]
        run.evaluate()
        return run

    def _known(self, classes: Sequence[str]) -> dict[str, int]:
        """Numbers of those classes that the file has, rising."""
        names = [name for name in dict.fromkeys(classes) if name in self.category_ids]
        if not names:
            raise ValueError(f"no class of {list(classes)} is among {list(self.category_ids)}")
        ids = np.array([self.category_ids[name] for name in names], np.int64)
        numbers = zip(self._categories.numbers(ids).tolist(), names, strict=True)
        return {name: number for number, name in sorted(numbers)}

    def _prepared(
        self, detections: Detections, image_ids: NDArray[np.int64], category_numbers: list[int]
    ) -> COCOeval:
        import hotcoco

        run = hotcoco.COCOeval(self._coco, self._coco.load_res(self._rows(detections)), "bbox")
        # pycocotools sorts both lists; the order decides how a mean rounds.
        run.params.catIds = category_numbers
        run.params.imgIds = self._images.numbers(image_ids).tolist()
        return run

    def _rows(self, detections: Detections) -> NDArray[np.float64]:
        """One array, shape (N, 7): number of the image, x, y, w, h, score, number of the category."""
        images = self._images.numbers(detections.image_ids)
        categories = self._categories.numbers(detections.category_ids)
        return np.column_stack([images, detections.boxes, detections.scores, categories])


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
