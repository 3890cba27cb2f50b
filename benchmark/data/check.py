"""Finds what is wrong with a dataset before any training pays for it."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence

from benchmark.data.annotations import Images, read_annotations
from benchmark.data.check_boxes import check_boxes, check_enough
from benchmark.data.check_pictures import check_pictures
from benchmark.data.dataset import Dataset, Split
from benchmark.data.findings import Findings, Reporter, repeated_ids
from benchmark.data.pictures import Decoding
from benchmark.errors import SHOWN, printable

_WIDEST = 56  # of a class name: with two counts, a line fits a terminal of 80 columns


def check(dataset: Dataset, limit: int = SHOWN, decoding: Decoding | None = None) -> Findings:
    """Checks both splits: their annotations, and that jobs can read the image files.

    Args:
        dataset: What `benchmark.data.dataset.describe` found.
        limit: How many offenders a message names.
        decoding: Which images are decoded, and how; all of them, as mmdet does by default, if None.

    Raises:
        UserError: An annotation file cannot be read, or is not in COCO's form.
    """
    findings = Findings()
    _check_classes(Reporter(dataset.train.annotations, limit, findings), dataset.classes)
    files = {}
    for name, split in (("train", dataset.train), ("val", dataset.val)):
        annotations = read_annotations(split.annotations)
        reporter = Reporter(split.annotations, limit, findings)
        _check_images(reporter, annotations.images)
        check_boxes(reporter, annotations)
        check_pictures(reporter, name, split, decoding or Decoding())
        check_enough(reporter, name, annotations)
        files[name] = _absolute(split, annotations.images.files)
    shared = sorted(files["train"] & files["val"])
    reporter = Reporter(dataset.val.annotations, limit, findings)
    reporter.warning(shared, "images that are in train too: what is measured was seen in training")
    return findings


def report_text(dataset: Dataset) -> str:
    """Counts images, boxes, and boxes of each class in both splits, as a text of several lines.

    Raises:
        UserError: An annotation file cannot be read, or is not in COCO's form.
    """
    lines = [f"{printable(dataset.name)}: {len(dataset.classes)} classes"]
    counts = []
    splits = {"train": dataset.train, "val": dataset.val}
    for name, split in splits.items():
        annotations = read_annotations(split.annotations)
        lines.append(
            f"  {name:<5}  {len(annotations.images):>7} images  {len(annotations.boxes.ids):>8} boxes"
            f"  {annotations.images_without_box:>6} images without a box"
        )
        counts.append(annotations.boxes_per_class)
    lines += [f"  images of {name:<5} in {split.images}" for name, split in splits.items()]
    named = [(name, _cut(printable(name))) for name in dataset.classes]
    width = max(len("class"), *(len(shown) for _, shown in named))
    lines += ["", f"  {'class':<{width}}  {'train':>8}  {'val':>8}"]
    lines += [f"  {shown:<{width}}  {counts[0][c]:>8}  {counts[1][c]:>8}" for c, shown in named]
    return "\n".join(lines) + "\n"


def _cut(name: str) -> str:
    return name if len(name) <= _WIDEST else f"{name[: _WIDEST - 1]}…"


def _check_classes(reporter: Reporter, classes: Sequence[str]) -> None:
    """Warns of names that no reader of a table can tell apart; their numbers are right nonetheless."""
    looks: dict[str, list[str]] = {}
    for name in classes:
        looks.setdefault(" ".join(unicodedata.normalize("NFKC", name).split()), []).append(
            repr(name)
        )
    alike = [" and ".join(names) for look, names in looks.items() if len(names) > 1 and look]
    reporter.warning(alike, "classes whose names look the same, and are two classes nonetheless")
    reporter.warning(looks.get("", []), "classes whose name is white space alone")


def _check_images(reporter: Reporter, images: Images) -> None:
    reporter.error(images.faults, "images with a field missing or wrong")
    reporter.error(repeated_ids(images.ids), "image ids that repeat")
    names = Counter(images.files)
    repeated = [name for name, count in names.items() if count > 1]
    reporter.warning(repeated, "image files that are listed more than once")


def _absolute(split: Split, files: Sequence[str]) -> set[str]:
    return {os.path.normpath(split.images / name) for name in files}
