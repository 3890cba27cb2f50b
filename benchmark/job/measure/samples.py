"""A few validation images of a run with their true and predicted boxes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmark.data.annotations import Annotations
from benchmark.job.measure.evaluated import Evaluated
from benchmark.run.samples import COUNT, Box, ImageSample, write_samples
from benchmark.statistics.evaluation import Detections

MAX_BOXES_PER_IMAGE = 30


def keep_samples(evaluated: Evaluated) -> None:
    """Writes ``samples.json``."""
    write_samples(evaluated.folder.samples_file, samples_of(evaluated, COUNT))


def samples_of(evaluated: Evaluated, limit: int) -> Iterator[ImageSample]:
    """Images of a run's last validation; nothing is read before the first is asked for."""
    last, folder = evaluated.evaluation, evaluated.spec.dataset.val.images
    annotations, ids = evaluated.annotations, last.image_ids.tolist()
    yield from sample_images(annotations, folder, last.detections, limit, ids)


def sample_images(
    annotations: Annotations,
    folder: Path,
    detections: Detections,
    limit: int,
    image_ids: Collection[int] | None = None,
) -> Iterator[ImageSample]:
    """The first images of an annotation file that have true boxes: the same ones for every run.

    Args:
        annotations: The validation annotations.
        folder: The folder of the images.
        detections: Detections of the validation images: ``image_ids`` and ``category_ids`` of
            shape (N,), ``boxes`` of shape (N, 4) in COCO xywh pixels, ``scores`` of shape (N,).
        limit: Number of images.
        image_ids: Ids of the images to choose among, all of the annotations by default: a
            profile may evaluate only some of them.

    Yields:
        Samples with at most 30 predictions each, best first.
    """
    images, boxes = annotations.images, annotations.boxes
    names = dict(annotations.categories)
    shown = np.isin(images.ids, boxes.image_ids)
    if image_ids is not None:
        shown &= np.isin(images.ids, list(image_ids))
    for row in np.flatnonzero(shown)[:limit]:
        image_id, file = int(images.ids[row]), images.files[row]
        truth = [
            _box(names[int(boxes.category_ids[i])], boxes.xywh[i])
            for i in np.flatnonzero(boxes.image_ids == image_id)
        ]
        yield ImageSample(file, folder / file, truth, _predictions(detections, image_id, names))


def _predictions(detections: Detections, image_id: int, names: Mapping[int, str]) -> list[Box]:
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
