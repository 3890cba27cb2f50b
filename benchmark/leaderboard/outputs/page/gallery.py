"""Validation images with true and predicted boxes, small enough to be part of a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import NotRequired, TypedDict

from benchmark.data.absent import outside
from benchmark.errors import UserError
from benchmark.files import is_file
from benchmark.leaderboard.document import Leaderboard, Line
from benchmark.leaderboard.outputs.base import Looks
from benchmark.run.runs import Runs
from benchmark.run.samples import BoxJson, SampleJson, read_samples
from benchmark.writing.words import cut_short

MOST_ROWS = 100
MOST_IMAGES = 8
_FOLD = 0
_LONGEST_SIDE = 480  # pixels
_LARGE_PIXELS = 1 << 26
_QUALITY = 80
_LYING = {5, 6, 7, 8}  # EXIF orientations that turn the picture by a quarter

_NO_RUN = "No row is complete."
_NO_SAMPLES = "The complete runs have no samples.json."
_NO_IMAGES = "The validation images are not where the runs found them, in their folder of images."


@dataclass(frozen=True)
class _Sampled:
    """A run that has samples: its row, its seed, its id, and what ``samples.json`` holds."""

    row: str
    seed: int
    run_id: str
    samples: list[SampleJson]


class DrawnBox(TypedDict):
    """A box: ``xyxy`` in pixels of the original image, at a tenth of a pixel; ``score`` of a predicted one."""

    label: str
    xyxy: list[float]
    score: NotRequired[float]


class PictureJson(TypedDict):
    """A picture: ``src`` is a JPEG as a data URI.

    ``width`` and ``height`` are those of the original image, as mmdet loads it: turned as its EXIF data says.
    """

    file: str
    width: int
    height: int
    src: str
    truth: list[DrawnBox]


class GalleryJson(TypedDict):
    """The gallery.

    Attributes:
        images: The pictures with their true boxes.
        predictions: By row a list of boxes of each picture.
        seed: By row the seed of its run.
        missing: Why there are no pictures, None where there are.
        fold: The fold whose images are shown; not there where the data is not divided.
    """

    images: list[PictureJson]
    predictions: dict[str, list[list[DrawnBox]]]
    seed: dict[str, int]
    missing: str | None
    fold: NotRequired[int]


def gallery(leaderboard: Leaderboard, runs: Runs, looks: Looks | None = None) -> GalleryJson:
    """The gallery of the first complete run of each row, of the first 100 rows; of folds only the first has pictures.

    Args:
        leaderboard: The table.
        runs: The runs of the results folder.
        looks: Takes what is read.
    """
    looks = Looks() if looks is None else looks
    complete = [line for line in leaderboard.rows if _complete(line)][:MOST_ROWS]
    shown = [found for line in complete if (found := _sampled(line, runs, looks)) is not None]
    if not shown:
        return _nothing(_NO_SAMPLES if complete else _NO_RUN)
    images = _images(shown, runs, looks)
    if not images:
        return _nothing(_NO_IMAGES)
    files = [image["file"] for image in images]
    made: GalleryJson = {
        "images": images,
        "predictions": {run.row: _predictions(run, files) for run in shown},
        "seed": {run.row: run.seed for run in shown},
        "missing": None,
    }
    return {**made, "fold": _FOLD} if leaderboard.dataset.folds else made


def _nothing(why: str) -> GalleryJson:
    return {"images": [], "predictions": {}, "seed": {}, "missing": why}


def _complete(line: Line) -> list[tuple[int, str]]:
    """Seed and id of the complete runs, of one fold where there are folds: others have other images."""
    complete = (run for run in line.runs if run.state == "complete" and run.fold in (None, _FOLD))
    return [(run.seed, run.run_id) for run in complete if run.run_id]


def _sampled(line: Line, runs: Runs, looks: Looks) -> _Sampled | None:
    """The row's first complete run with samples; older runs have none."""
    for seed, run_id in _complete(line):
        try:
            samples = read_samples(looks.before(runs.folder(run_id).samples_file))
        except (OSError, ValueError):
            continue
        return _Sampled(line.row, seed, run_id, samples[:MOST_IMAGES])
    return None


def _images(sampled: Sequence[_Sampled], runs: Runs, looks: Looks) -> list[PictureJson]:
    """The images of the first run whose images are there: the others have the same ones."""
    for run in sampled:
        looks.before(runs.folder(run.run_id).spec_file)
        try:
            folder = runs.spec(run.run_id).dataset.val.images
        except (OSError, UserError):
            continue
        found = [_image(folder, sample, looks) for sample in run.samples]
        if shown := [image for image in found if image is not None]:
            return shown
    return []


def _image(folder: Path, sample: SampleJson, looks: Looks) -> PictureJson | None:
    # A received samples.json may name any file of this machine; and a pipe never ends.
    if outside(sample["file"]) or not is_file(looks.before(folder / sample["file"])):
        return None
    try:
        width, height, source = _thumbnail(folder / sample["file"])
    except Exception:  # a camera's EXIF data may hold anything, and fail in any way: one image less
        return None
    truth = [_box(box) for box in sample["truth"]]
    return {
        "file": sample["file"],
        "width": width,
        "height": height,
        "src": source,
        "truth": truth,
    }


def _thumbnail(path: Path) -> tuple[int, int, str]:
    """Width and height of the upright image, in pixels, and a small JPEG of it as a data URI."""
    from PIL import ExifTags, Image, ImageOps

    with _scans_allowed(), Image.open(path) as image:
        size = image.size
        lying = image.getexif().get(ExifTags.Base.Orientation) in _LYING
        image.draft("RGB", (2 * _LONGEST_SIDE, 2 * _LONGEST_SIDE))  # a large JPEG is read small
        if image.width * image.height > _LARGE_PIXELS:  # as colours, a scan takes gigabytes
            image.thumbnail((4 * _LONGEST_SIDE, 4 * _LONGEST_SIDE))
        small = ImageOps.exif_transpose(image).convert("RGB")
    width, height = size[::-1] if lying else size
    small.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    written = io.BytesIO()
    small.save(written, "JPEG", quality=_QUALITY, optimize=True)
    encoded = base64.b64encode(written.getvalue()).decode()
    return width, height, f"data:image/jpeg;base64,{encoded}"


@contextmanager
def _scans_allowed() -> Iterator[None]:
    """Pillow takes an image of over 179 million pixels for an attack; a run has read this one."""
    from PIL import Image

    most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = most


def _predictions(run: _Sampled, files: Sequence[str]) -> list[list[DrawnBox]]:
    by_file = {sample["file"]: sample["predictions"] for sample in run.samples}
    return [[_box(box) for box in by_file.get(file, ())] for file in files]


def _box(box: BoxJson) -> DrawnBox:
    """A box at a tenth of a pixel: a hundred rows' digits are most of a page."""
    short = DrawnBox(label=cut_short(box["label"]), xyxy=[round(value, 1) for value in box["xyxy"]])
    if "score" in box:
        short["score"] = round(box["score"], 4)
    return short
