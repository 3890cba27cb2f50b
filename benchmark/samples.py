"""``samples.json``: a few validation images of a run with their true and predicted boxes, for a gallery."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmark.files import write_json
from benchmark.tracked_images import Box, ImageSample

COUNT = 8


def write_samples(path: Path, samples: Iterable[ImageSample]) -> None:
    """Writes the samples: the same images for every run over the same data.

    A list with ``{"file", "truth", "predictions"}`` an image: its name relative to the folder of the images, and
    lists of ``{"label", "xyxy"}``, predictions with ``score`` and best first. ``xyxy`` is left, top, right and
    bottom in pixels of the original image.

    Raises:
        ValueError: A box or a score is not finite.
    """
    write_json(path, [_plain(sample) for sample in samples], indent=None)


def _plain(sample: ImageSample) -> dict[str, Any]:
    return {
        "file": sample.file,
        "truth": [_plain_box(box) for box in sample.truth],
        "predictions": [{**_plain_box(box), "score": box.score} for box in sample.predictions],
    }


def _plain_box(box: Box) -> dict[str, Any]:
    return {"label": box.label, "xyxy": list(box.xyxy)}
