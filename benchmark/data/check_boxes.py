"""The boxes half of a check: annotations that training cannot use, leaves out or changes."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations, Boxes
from benchmark.data.check_geometry import check_geometry
from benchmark.data.dataset import Split
from benchmark.data.findings import Findings, Reporter, repeated_ids
from benchmark.data.healthcheck import health
from benchmark.data.keep import Mask, left_out
from benchmark.data.memory import Memory

_RULES = "boxes/4"  # another number where the rules below find something else in the same file


def boxes_found(name: str, split: Split, limit: int, memory: Memory) -> Findings:
    """What is wrong with the annotations of a split, ``train`` or ``val``, and what becomes of its boxes.

    ``limit`` is how many offenders a message names.

    Raises:
        UserError: The annotation file cannot be read, or is not in COCO's form.
    """
    question = f"{_RULES} {name} {limit}"
    find = partial(_check_boxes, name, limit)
    return memory.answer(split.annotations, question, Findings, find)


def _check_boxes(name: str, limit: int, annotations: Annotations) -> Findings:
    reporter = Reporter(annotations.path, limit, Findings())
    _check_entries(reporter, annotations)
    check_geometry(reporter, name, annotations)
    out = left_out(annotations)
    sound = ~np.logical_or.reduce([mask for reason, mask in out.items() if reason != "ignore"])
    _check_health(reporter, annotations, sound & ~_check_doubles(reporter, annotations, sound))
    none = [label for label, count in annotations.boxes_per_class.items() if not count]
    if len(annotations.boxes.ids):
        reporter.warning(none, f"classes without a box in {name}")
    return reporter.findings


def _check_entries(reporter: Reporter, annotations: Annotations) -> None:
    images, boxes = annotations.images, annotations.boxes
    reporter.error(boxes.faults, "annotations with a field missing or wrong")
    reporter.error(repeated_ids(boxes.ids), "annotation ids that repeat")
    strange = ~np.isin(boxes.category_ids, [category.id for category in annotations.categories])
    unknown = _named(boxes, strange, "category", boxes.category_ids)
    reporter.error(unknown, "annotations of a category that 'categories' does not list")
    lost = ~np.isin(boxes.image_ids, images.ids)
    if not images.faults:  # else the image may be there, and only its entry be wrong
        what = "annotations of an image that 'images' does not list"
        reporter.error(_named(boxes, lost, "image", boxes.image_ids), what)
    zero = [str(value) for value in boxes.ids[boxes.ids == 0]]
    reporter.warning(
        zero,
        "annotations with the id 0: evaluated as any other; pycocotools and mmdet's CocoMetric take "
        "that id for 'not found', and score this file a little lower",
    )


def _check_doubles(reporter: Reporter, annotations: Annotations, sound: Mask) -> Mask:
    """Reports boxes that repeat another's image, class and numbers; returns those that are one too many."""
    boxes = annotations.boxes
    keys = (*boxes.xywh.T, boxes.category_ids, boxes.image_ids)
    rows = np.flatnonzero(sound)
    order = rows[np.lexsort([key[rows] for key in keys])]
    same = np.logical_and.reduce([key[order][1:] == key[order][:-1] for key in keys])
    again = np.concatenate([[False], same]) if len(order) else same
    doubled = again | np.append(again[1:], False) if len(order) else again
    many = f"{again.sum()} too many" if again.sum() > 1 else "1 too many"
    what = f"boxes that repeat another of their image and class, {many}: objects marked twice?"
    reporter.boxes(annotations, order[doubled], what)
    surplus = np.zeros(len(sound), np.bool_)
    surplus[order[again]] = True
    return surplus


def _check_health(reporter: Reporter, annotations: Annotations, sound: Mask) -> None:
    images = annotations.images
    try:
        found = health(annotations, sound)
    except Exception as error:  # whatever hotcoco raises
        told = f"{type(error).__name__}: {error}"
        reporter.findings.warnings.append(
            f"{reporter.path}: objects marked twice were not looked for: hotcoco ended with {told}"
        )
        return
    what = "boxes that all but cover another of their class (IoU above 0.95): objects marked twice?"
    reporter.boxes(annotations, found.doubled, what)
    slim = "boxes with one side over 20 times as long as the other"
    reporter.boxes(annotations, found.slim, slim)
    reporter.warning(
        [images.files[row] for row in found.unsearched],
        "images with over 100 boxes of a class, too many to look for objects marked twice",
    )


def _named(boxes: Boxes, chosen: Mask, label: str, values: NDArray[np.int64]) -> list[str]:
    pairs = zip(boxes.ids[chosen].tolist(), values[chosen].tolist(), strict=True)
    return [f"annotation {key} ({label} {value})" for key, value in pairs]
