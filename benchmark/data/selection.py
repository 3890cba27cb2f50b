"""What is left of a split for a row: the images that its data set's config takes, and the boxes in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations
from benchmark.data.keep import TRAINING, ImageFilter, Mask, evaluated, kept_images, trained
from benchmark.data.memory import Memory
from benchmark.errors import SHOWN, few, printable

_RULES = "left/3"  # another number where the rules below find something else in the same file


@dataclass(frozen=True)
class Selection:
    """Which images of an annotation file a data set of mmdet takes.

    Attributes:
        learns: Whether it is learnt from; else it is evaluated on.
        kept: Its ``filter_cfg``.
        indices: mmengine's ``indices``, which count the images that the filter keeps: the first of them, or a list.
    """

    learns: bool
    kept: ImageFilter
    indices: int | tuple[int, ...] | None = None

    @classmethod
    def of(cls, leaf: Mapping[str, object], learns: bool) -> Selection:
        """That of a data set's config."""
        indices = leaf.get("indices")
        chosen = tuple(indices) if isinstance(indices, Sequence) else indices
        return cls(
            learns, ImageFilter.of(leaf), chosen if isinstance(chosen, int | tuple) else None
        )


LEARNT = Selection(learns=True, kept=TRAINING)
"""What mmdet's own configs learn from, and the data set parts that are shipped."""

EVALUATED = Selection(learns=False, kept=ImageFilter())
"""What they evaluate on: every image."""


@dataclass(frozen=True)
class Left:
    """What a selection takes of an annotation file.

    Attributes:
        images: How many images it takes.
        of_images: How many images there are.
        boxes: How many boxes in them are learnt from, or count in an evaluation; no crowds.
        of_boxes: How many boxes there are, crowds left out, and boxes of images whose own entry is wrong.
        small: How many images are left out for their size.
        small_files: The first few of them.
        beyond: How many of a list of ``indices`` name no image.
        per_class: As ``boxes``, by class.
    """

    images: int
    of_images: int
    boxes: int
    of_boxes: int
    small: int
    small_files: tuple[str, ...]
    beyond: int
    per_class: dict[str, int]


def left(path: Path, selection: Selection, memory: Memory) -> Left:
    """What a selection takes of an annotation file.

    Raises:
        UserError: The file cannot be read, or is not in COCO's form.
    """
    question = f"{_RULES} {selection}"
    return memory.answer(path, question, Left, lambda read: _left(read, selection))


def image_rows(annotations: Annotations, selection: Selection) -> NDArray[np.intp]:
    """Which rows of the images' columns a selection takes, in mmdet's order."""
    return _indexed(kept_images(annotations, selection.kept), selection.indices)[0]


def _left(annotations: Annotations, selection: Selection) -> Left:
    images, boxes = annotations.images, annotations.boxes
    kept = kept_images(annotations, selection.kept)
    rows, beyond = _indexed(kept, selection.indices)
    good = trained(annotations) if selection.learns else evaluated(annotations)
    chosen: Mask = good & np.isin(boxes.image_ids, images.ids[rows])
    known = np.isin(boxes.image_ids, images.ids) if images.faults else True
    small = np.flatnonzero(np.minimum(images.width, images.height) < selection.kept.min_size)
    return Left(
        images=len(rows),
        of_images=len(images.ids),
        boxes=int(chosen.sum()),
        of_boxes=int((~boxes.crowd & known).sum()),
        small=len(small),
        small_files=tuple(images.files[row] for row in small[:SHOWN]),
        beyond=beyond,
        per_class=annotations.per_class(chosen),
    )


def _indexed(
    rows: NDArray[np.intp], indices: int | tuple[int, ...] | None
) -> tuple[NDArray[np.intp], int]:
    """As ``mmengine.dataset.BaseDataset`` takes ``indices``: the first, the last if negative, or those of a list.

    Returns:
        The rows, and how many of a list name none: mmengine ends a job at the first.
    """
    if indices is None:
        return rows, 0
    if isinstance(indices, int):
        return (rows[:indices] if indices >= 0 else rows[indices:]), 0
    good = [index for index in indices if -len(rows) <= index < len(rows)]
    return rows[good], len(indices) - len(good)


def told_of(path: Path, selection: Selection, memory: Memory) -> list[str]:
    """Says what a training leaves out of an annotation file, a line a kind; nothing where it learns from all boxes."""
    found, told = left(path, selection, memory), []
    if found.small:
        names = printable(few(found.small_files, SHOWN, found.small))
        size = f"{selection.kept.min_size:g} pixels"
        told.append(
            f"{path}: images with a side below {size}, which training leaves out ({found.small}): {names}"
        )
    if found.boxes < found.of_boxes:
        told.append(
            f"{path}: mmdet's filters leave {found.boxes} of {found.of_boxes} boxes for training, "
            f"in {found.images} of {found.of_images} images"
        )
    return told


def nothing_left(chosen: Sequence[tuple[Path, Selection]], who: str, memory: Memory) -> list[str]:
    """An error where the data sets of a loader take no object between them, though their files hold some.

    So is one of their ``indices`` that names no image.

    Args:
        chosen: The annotation file of each, and what it takes of it.
        who: What begins the sentence: which rows take them.
        memory: Remembers what is in the files.
    """
    taken = [left(path, selection, memory) for path, selection in chosen]
    if beyond := sum(some.beyond for some in taken):
        return [
            f"{chosen[0][0]}: {who}'indices' counts past the images that the data set has ({beyond})"
        ]
    if not taken or any(some.boxes for some in taken):
        return []
    whole = [(path, Selection(selection.learns, ImageFilter())) for path, selection in chosen]
    if not any(left(path, selection, memory).boxes for path, selection in whole):
        return []  # told of the whole files by `benchmark.data.check`
    (path, selection), images = chosen[0], sum(some.images for some in taken)
    if not selection.learns:
        told = f"none of the {images} images to validate on holds an object that counts"
        return [f"{path}: {who}{told}, so that mAP50 is not defined"]
    told = f"none of {images} images holds a box that mmdet keeps" if images else "no image is left"
    size = f"a side below {selection.kept.min_size:g} pixels (min_size of filter_cfg)"
    why = f": {taken[0].small} of {taken[0].of_images} have {size}" if taken[0].small else ""
    return [f"{path}: {who}there is nothing to learn from; {told}{why}"]
