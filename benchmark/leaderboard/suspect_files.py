"""Suspect labels as files: all of them in a CSV, and a picture of each image that holds one of the surest."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark.data.absent import outside
from benchmark.data.annotations import read_annotations
from benchmark.errors import why
from benchmark.files import is_file, write_text
from benchmark.leaderboard.suspects import SuspectLabel
from benchmark.writing.boxes_drawn import DrawnBox, write_picture
from benchmark.writing.drawing import BLUE, VERMILLION
from benchmark.writing.spreadsheet import cell

LIST = "suspects.csv"
_PICTURES = 50
_COLUMNS = (
    "rank",
    "kind",
    "score",
    "found",
    "found_x",
    "found_y",
    "found_width",
    "found_height",
    "label",
    "label_x",
    "label_y",
    "label_width",
    "label_height",
    "annotation_id",
    "iou",
    "image_id",
    "file",
    "picture",
)

_Image = tuple[Path, str]


def write_suspects(folder: Path, labels: Sequence[SuspectLabel]) -> list[str]:
    """Writes the list and the pictures into a folder; of an earlier list there, only these files are replaced.

    A picture shows the labels of its image in blue and the suspects in vermillion, with their ranks; it is called by
    the rank of the first of them.

    Returns:
        A sentence for each image that cannot be shown.

    Raises:
        OSError: A file cannot be written.
    """
    images: dict[_Image, dict[int, SuspectLabel]] = {}
    for rank, label in enumerate(labels, 1):
        images.setdefault((label.annotations, label.file), {})[rank] = label
    shown = dict([*images.items()][:_PICTURES])
    problems: list[str] = []
    names = {image: _picture(folder, held, problems) for image, held in shown.items()}
    _remove_others(folder, set(names.values()))
    write_text(folder / LIST, _list(labels, names))
    return problems


def _remove_others(folder: Path, names: set[str]) -> None:
    """Removes the pictures of an earlier list: those whose names this one would give, too."""
    for path in folder.glob("suspect-*.png"):
        if path.name not in names:
            path.unlink()


def _picture(folder: Path, held: Mapping[int, SuspectLabel], problems: list[str]) -> str:
    """The name of the picture of an image; empty where it cannot be shown."""
    rank, label = next(iter(held.items()))
    path = label.images / label.file
    # As on the page: annotations of somebody else's may name any file of this machine.
    if outside(label.file) or not is_file(path):
        problems.append(
            f"{path}: is not there, or lies outside of the folder of images: no picture"
        )
        return ""
    name = f"suspect-{rank:04}.png"
    folder.mkdir(parents=True, exist_ok=True)
    boxes = [*_labels(label), *(_suspect(number, one) for number, one in held.items())]
    try:
        write_picture(folder / name, path, boxes)
    except OSError as error:
        if error.filename and str(error.filename) == str(folder / name):
            raise
        problems.append(f"{path}: cannot be shown: {why(error)}")
        return ""
    return name


def _labels(of: SuspectLabel) -> list[DrawnBox]:
    """Every label of an image."""
    annotations = read_annotations(of.annotations)
    names, boxes = dict(annotations.categories), annotations.boxes
    return [
        _drawn(boxes.xywh[row].tolist(), names.get(int(boxes.category_ids[row]), ""), BLUE)
        for row in np.flatnonzero(boxes.image_ids == of.image_id)
    ]


def _suspect(rank: int, label: SuspectLabel) -> DrawnBox:
    """What was found; where it has another class than its label, with that, for it lies over the label's box."""
    named = f", labelled {label.label}" if label.kind == "class" else ""
    return _drawn(label.found_xywh, f"{rank} {label.found} {label.score:.2f}{named}", VERMILLION)


def _drawn(xywh: Sequence[float], text: str, color: str) -> DrawnBox:
    left, top, width, height = xywh
    return DrawnBox((left, top, left + width, top + height), text, color)


def _list(labels: Sequence[SuspectLabel], names: Mapping[_Image, str]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for rank, label in enumerate(labels, 1):
        picture = names.get((label.annotations, label.file), "")
        writer.writerow(map(cell, [rank, *_cells(label), picture]))
    return file.getvalue()


def _cells(label: SuspectLabel) -> list[object]:
    there = label.label_xywh or ("",) * 4
    return [
        label.kind,
        label.score,
        label.found,
        *label.found_xywh,
        label.label,
        *there,
        "" if label.annotation_id is None else label.annotation_id,
        label.iou,
        label.image_id,
        label.file,
    ]
