"""A few validation images of a run with their true and predicted boxes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

from benchmark.data.dataset import Dataset
from benchmark.files import read_json
from benchmark.run.samples import Box, ImageSample

MAX_BOXES_PER_IMAGE = 30


class _Detections(Protocol):
    """What is needed of `benchmark.statistics.evaluation.Detections`."""

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
