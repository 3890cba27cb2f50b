"""Validation images with their true and predicted boxes, and how Weights & Biases shows them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from benchmark.dataset import Dataset
from benchmark.files import read_json

MAX_BOXES_PER_IMAGE = 30


@dataclass(frozen=True)
class Box:
    """A box to draw.

    Attributes:
        label: Class name.
        xyxy: Left, top, right and bottom in pixels of the original image.
        score: Confidence in 0..1, or None for a true box.
    """

    label: str
    xyxy: tuple[float, float, float, float]
    score: float | None = None


@dataclass(frozen=True)
class ImageSample:
    """A validation image with its true and its predicted boxes.

    Attributes:
        file: The image's name in the annotation file, relative to the folder of the images.
        path: Where it is.
        truth: All true boxes.
        predictions: The best predicted ones, best first.
    """

    file: str
    path: Path
    truth: list[Box]
    predictions: list[Box]


class _Detections(Protocol):
    """What is needed of `benchmark.evaluate.Detections`."""

    image_ids: Any
    boxes: Any
    scores: Any
    category_ids: Any


def sample_images(
    dataset: Dataset, detections: _Detections, limit: int, image_ids: Collection[int] | None = None
) -> Iterator[ImageSample]:
    """The first validation images that have true boxes: the same ones for every run.

    Args:
        dataset: The dataset; its validation annotations are read when the first sample is drawn.
        detections: Detections of the validation images: ``image_ids`` and ``category_ids`` of
            shape (N,), ``boxes`` of shape (N, 4) in COCO xywh pixels, ``scores`` of shape (N,).
        limit: Number of images.
        image_ids: Ids of the images to choose among, all of the annotation file by default: a
            profile may evaluate only some of them.

    Yields:
        Samples with at most 30 predictions each, best first.
    """
    annotations = read_json(dataset.val.annotations) if limit else {"images": []}
    names = {category["id"]: category["name"] for category in annotations.get("categories", [])}
    truth: dict[Any, list[Box]] = {}
    for item in annotations.get("annotations", []):
        truth.setdefault(item["image_id"], []).append(
            _box(names[item["category_id"]], item["bbox"])
        )
    among = truth.keys() if image_ids is None else truth.keys() & set(image_ids)
    with_boxes = (image for image in annotations["images"] if image["id"] in among)
    for image in islice(with_boxes, limit):
        predictions = _predictions(detections, image["id"], names)
        path = dataset.val.images / image["file_name"]
        yield ImageSample(image["file_name"], path, truth[image["id"]], predictions)


def _predictions(detections: _Detections, image_id: Any, names: Mapping[int, str]) -> list[Box]:
    indices = (detections.image_ids == image_id).nonzero()[0]
    best = sorted(indices, key=lambda index: -detections.scores[index])[:MAX_BOXES_PER_IMAGE]
    return [
        _box(
            names[int(detections.category_ids[i])], detections.boxes[i], float(detections.scores[i])
        )
        for i in best
    ]


def _box(label: str, xywh: Iterable[float], score: float | None = None) -> Box:
    left, top, width, height = (float(value) for value in xywh)
    return Box(label, (left, top, left + width, top + height), score)


def wandb_image(sample: ImageSample, class_names: Sequence[str]) -> Any:
    """The ``wandb.Image`` of a sample; ``class_names`` are in label order."""
    import wandb

    labels = dict(enumerate(class_names))
    ids = {name: index for index, name in labels.items()}
    boxes = {
        key: {"box_data": [_box_data(box, ids) for box in drawn], "class_labels": labels}
        for key, drawn in (("ground_truth", sample.truth), ("predictions", sample.predictions))
    }
    return wandb.Image(str(sample.path), boxes=boxes, caption=sample.path.name)


def _box_data(box: Box, ids: Mapping[str, int]) -> dict[str, Any]:
    left, top, right, bottom = box.xyxy
    score = {} if box.score is None else {"score": box.score}
    return {
        "position": {"minX": left, "minY": top, "maxX": right, "maxY": bottom},
        "domain": "pixel",
        "class_id": ids[box.label],
        "box_caption": box.label if box.score is None else f"{box.label} {box.score:.2f}",
        "scores": score,
    }
