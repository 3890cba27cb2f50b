"""``samples.json``: a few validation images of a run with their true and predicted boxes, for a gallery."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from typing_extensions import NotRequired, TypedDict

from benchmark.files import read_bytes, write_json


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


COUNT = 8
_WRITTEN = TypeAdapter(list[ImageSample])


def write_samples(path: Path, samples: Iterable[ImageSample]) -> None:
    """Writes the samples: the same images for every run over the same data.

    A list with ``{"file", "truth", "predictions"}`` an image: its name relative to the folder of the images, and
    lists of ``{"label", "xyxy"}``, predictions with ``score`` and best first. ``xyxy`` is left, top, right and
    bottom in pixels of the original image.

    Raises:
        ValueError: A box or a score is not finite.
    """
    without_path = {"__all__": {"path"}}
    plain = _WRITTEN.dump_python(list(samples), exclude=without_path, exclude_none=True)
    write_json(path, plain, indent=None)


class BoxJson(TypedDict):
    """A box: ``xyxy`` in pixels of the original image; ``score`` of a predicted one."""

    label: str
    xyxy: tuple[float, float, float, float]
    score: NotRequired[float]


class SampleJson(TypedDict):
    """An image of ``samples.json``."""

    file: str
    truth: list[BoxJson]
    predictions: list[BoxJson]


_SAMPLES = TypeAdapter(list[SampleJson])


def read_samples(path: Path) -> list[SampleJson]:
    """Reads what `write_samples` wrote.

    Raises:
        OSError: The file is missing.
        ValueError: It holds something else.
    """
    return _SAMPLES.validate_json(read_bytes(path))
