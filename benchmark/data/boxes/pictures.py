"""Pictures of images with the boxes that a detector found in them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from benchmark.data.absent import outside
from benchmark.data.boxes.base import Target
from benchmark.errors import UserError, fault_of, not_written, why
from benchmark.statistics.evaluation import Detections
from benchmark.writing.boxes_drawn import DrawnBox, write_picture
from benchmark.writing.drawing import PALETTE

LEAST_SCORE = 0.3
"""What a box must score to be drawn, unless somebody asks for another number: as mmdet's own visualizer has it."""


def check_folder(folder: Path, images: Path) -> None:
    """Refuses a folder of pictures in which these could take the places of the images.

    Raises:
        UserError: It is no folder; it is the images' own, or one of the two lies in the other.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise UserError(f"{folder}: is there, and is no folder: name another for the pictures")
    pictures, theirs = folder.resolve(), images.resolve()
    if pictures == theirs or theirs in pictures.parents or pictures in theirs.parents:
        raise UserError(
            f"{folder}: pictures cannot lie where the images are ({images}): give a folder of their own"
        )


def write_pictures(folder: Path, images: Path, detections: Detections, target: Target) -> list[str]:
    """Writes a PNG of each image with its boxes, those of higher scores above, a colour for each class.

    Args:
        folder: Takes the pictures; one is called like its image, with ``.png`` in the place of its suffix, or behind
            that where several images differ in nothing else.
        images: What the names of the images are relative to.
        detections: The boxes to draw.
        target: The images and the classes.

    Returns:
        A sentence for each image that cannot be shown.

    Raises:
        UserError: A picture cannot be written.
    """
    boxes = _drawn(detections, target)
    problems: list[str] = []
    names = _names(target.files)
    for key, name in zip(target.ids.tolist(), target.files, strict=True):
        if outside(name):
            problems.append(f"{name}: lies outside of {images}: no picture")
            continue
        path = folder / names[name]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_picture(path, images / name, boxes.get(key, ()))
        except OSError as error:
            if error.filename is None or Path(error.filename) == images / name:
                problems.append(f"{name}: cannot be shown: {why(error)}")
            else:
                raise not_written(path, error) from fault_of(error)
    return problems


def _names(files: Sequence[str]) -> dict[str, str]:
    """The name of the picture of each image."""
    short = {name: PurePosixPath(name).with_suffix(".png").as_posix() for name in files}
    times = Counter(name.casefold() for name in short.values())
    return {
        name: picture if times[picture.casefold()] == 1 else f"{name}.png"
        for name, picture in short.items()
    }


def _drawn(detections: Detections, target: Target) -> dict[int, Sequence[DrawnBox]]:
    """The boxes of each image by its id, rising by score."""
    import numpy as np

    colors = {kind.id: PALETTE[n % len(PALETTE)] for n, kind in enumerate(target.categories)}
    names = {kind.id: kind.name for kind in target.categories}
    found: dict[int, Sequence[DrawnBox]] = {}
    for row in np.argsort(detections.scores, kind="stable").tolist():
        left, top, width, height = detections.boxes[row].tolist()
        kind = int(detections.category_ids[row])
        text = f"{names[kind]} {detections.scores[row]:.2f}"
        box = DrawnBox((left, top, left + width, top + height), text, colors[kind])
        key = int(detections.image_ids[row])
        found[key] = [*found.get(key, ()), box]
    return found
