"""Finds what is wrong with a dataset before any training pays for it."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmark.data.absent import outside
from benchmark.data.annotations import Images
from benchmark.data.check_boxes import boxes_found
from benchmark.data.check_pictures import tell_pictures
from benchmark.data.dataset import Dataset, Split
from benchmark.data.findings import Findings, Reporter, repeated_ids
from benchmark.data.memory import Memory
from benchmark.data.overlap import Files, in_both
from benchmark.data.pictures import Decoding, look_at
from benchmark.data.selection import EVALUATED, LEARNT, left, nothing_left, told_of
from benchmark.errors import SHOWN, printable
from benchmark.writing.words import counted

_WIDEST = 36  # of a class name: with four counts, a line fits a terminal of 80 columns


def check(
    dataset: Dataset,
    limit: int = SHOWN,
    decoding: Decoding | None = None,
    memory: Memory | None = None,
) -> Findings:
    """Checks every split: its annotations, and that jobs can read the image files.

    Args:
        dataset: What `benchmark.data.dataset.describe` found.
        limit: How many offenders a message names.
        decoding: Which images are decoded, and how; all of them, as mmdet does by default, if None.
        memory: Remembers what large annotation files hold; None reads them.

    Raises:
        UserError: An annotation file cannot be read, or is not in COCO's form.
    """
    findings, memory = Findings(), memory or Memory()
    dataset = undivided(dataset)
    _check_classes(Reporter(dataset.train.annotations, limit, findings), dataset.classes)
    splits = {"train": dataset.train, "val": dataset.val}
    if dataset.test is not None:
        splits["test"] = dataset.test
    images = {name: split.read_images(memory) for name, split in splits.items()}
    for name, split in splits.items():
        if split.labelled:
            findings.add(boxes_found(name, split, limit, memory))
        if name == "val" and split == dataset.train:
            continue  # it was looked at as train
        reporter = Reporter(split.annotations, limit, findings)
        _check_images(reporter, images[name])
        found = look_at(split.images, name, images[name], decoding or Decoding())
        tell_pictures(reporter, split, found)
    _check_apart(dataset, images, limit, findings)
    return findings


def undivided(dataset: Dataset) -> Dataset:
    """A data set as its files are: of a divided one the file that was divided, as train and as val.

    What is wrong with it is to be mended there, and not in the files of a fold.
    """
    fold = dataset.fold
    if fold is None or dataset.train.sha256 != fold.parts[fold.number][0]:
        return dataset  # one that a row trains on beside it is not divided
    return replace(dataset, train=fold.whole, val=fold.whole, fold=None)


def _check_apart(
    dataset: Dataset, images: Mapping[str, Images], limit: int, findings: Findings
) -> None:
    """Warns of images that a split shares with another that is learnt from, or chosen on."""
    files = {name: images[name].files for name in ("train", "val")}
    shared = sorted(_absolute(dataset.train, files["train"]) & _absolute(dataset.val, files["val"]))
    if dataset.train != dataset.val:
        reporter = Reporter(dataset.val.annotations, limit, findings)
        what = "images that are in train too: what is measured was seen in training"
        reporter.warning(shared, what)
    if dataset.test is None:
        return
    reporter = Reporter(dataset.test.annotations, limit, findings)
    others = {"train": (dataset.train, "what is measured on test was seen in training")}
    if dataset.train != dataset.val:
        others["val"] = (dataset.val, "what is measured on test was chosen on val")
    for name, (split, told) in others.items():
        own = Files(split.images, tuple(files[name]))
        again = in_both(own, Files(dataset.test.images, tuple(images["test"].files)))
        reporter.warning(again, f"images that are in {name} too: {told}")


def usual_losses(dataset: Dataset) -> Findings:
    """What the image filter of mmdet's own configs, and of the parts that are shipped, leaves out of training."""
    path, memory = dataset.train.annotations, Memory()
    return Findings(nothing_left([(path, LEARNT)], "", memory), told_of(path, LEARNT, memory))


def report_text(dataset: Dataset) -> str:
    """Counts images, boxes, and boxes of each class in every split, as a text of several lines.

    Of divided data the file that was divided is counted, once.

    Beside all boxes of a class stand those that training learns from, and those that an evaluation counts.

    Raises:
        UserError: An annotation file cannot be read, or is not in COCO's form.
    """
    dataset = undivided(dataset)
    lines = [f"{printable(dataset.name)}: {counted(len(dataset.classes), 'class', 'classes')}"]
    splits = {"train": dataset.train, "val": dataset.val}
    if dataset.train == dataset.val:
        splits.pop("val")
    splits |= {"test": dataset.test} if dataset.test is not None else {}
    lines += [_counts(name, split) for name, split in splits.items()]
    lines += [f"  images of {name:<5} in {split.images}" for name, split in splits.items()]
    labelled = {name: split for name, split in splits.items() if split.labelled}
    return "\n".join([*lines, "", *_table(dataset.classes, labelled)]) + "\n"


def _counts(name: str, split: Split) -> str:
    held = split.read()
    images = f"  {name:<5}  {len(held.images):>7} images"
    if not split.labelled:
        return f"{images}  without annotations: boxes are predicted, and not evaluated"
    return f"{images}  {len(held.boxes.ids):>8} boxes  {held.images_without_box:>6} images without a box"


def _table(classes: Sequence[str], splits: Mapping[str, Split]) -> list[str]:
    columns: dict[str, Mapping[str, int]] = {}
    for name, split in splits.items():
        taken = {"train": "learnt", "val": "counted"}.get(name, f"{name}, counted")
        selection = LEARNT if name == "train" else EVALUATED
        columns[name] = split.read().boxes_per_class
        columns[taken] = left(split.annotations, selection, Memory()).per_class
    named = [(name, _cut(printable(name))) for name in classes]
    width = max(len("class"), *(len(shown) for _, shown in named))
    wide = {title: max(8, len(title)) for title in columns}
    titles = "".join(f"  {title:>{wide[title]}}" for title in columns)
    rows = [
        f"  {shown:<{width}}"
        + "".join(f"  {count[name]:>{wide[title]}}" for title, count in columns.items())
        for name, shown in named
    ]
    return [f"  {'class':<{width}}{titles}", *rows]


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
    reporter.warning(
        [name for name in names if outside(name)],
        "image files that lie outside of the folder of images (absolute, or with '..'); "
        "they are read as they are, and the page does not show them",
    )


def _absolute(split: Split, files: Sequence[str]) -> set[str]:
    return {os.path.normpath(split.images / name) for name in files}
