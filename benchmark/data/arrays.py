"""A COCO annotation file as numpy columns, and the entries that do not fit into them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import shown

_BIGGEST = 2**31 - 1  # of a width, a height, a coordinate or an area; what hotcoco takes
_BIGGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class Images:
    """The images of a split, each column N long.

    Attributes:
        ids: int64.
        files: ``file_name`` of each.
        width: Pixels, int64.
        height: Pixels, int64.
        faults: A line about each entry that is left out of the columns.
    """

    ids: NDArray[np.int64]
    files: list[str]
    width: NDArray[np.int64]
    height: NDArray[np.int64]
    faults: list[str]


@dataclass(frozen=True)
class Boxes:
    """The annotations of a split, each column N long.

    Attributes:
        ids: int64.
        image_ids: int64.
        category_ids: int64.
        xywh: Boxes in pixels, shape (N, 4), float64.
        area: Square pixels, float64.
        crowd: Whether the box holds a crowd, bool.
        faults: A line about each entry that is left out of the columns.
    """

    ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    xywh: NDArray[np.float64]
    area: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    faults: list[str]


def images_of(entries: Sequence[Any]) -> Images:
    """Turns the ``images`` of a COCO file into columns."""
    good, faults = _sorted_out(entries, _image_fault)
    return Images(
        ids=_integers(good, "id"),
        files=[entry["file_name"] for entry in good],
        width=_integers(good, "width"),
        height=_integers(good, "height"),
        faults=faults,
    )


def boxes_of(entries: Sequence[Any]) -> Boxes:
    """Turns the ``annotations`` of a COCO file into columns."""
    good, faults = _sorted_out(entries, _box_fault)
    return Boxes(
        ids=_integers(good, "id"),
        image_ids=_integers(good, "image_id"),
        category_ids=_integers(good, "category_id"),
        xywh=np.array([entry["bbox"] for entry in good], np.float64).reshape(-1, 4),
        area=np.array([entry["area"] for entry in good], np.float64),
        crowd=np.array([bool(entry.get("iscrowd", 0)) for entry in good], np.bool_),
        faults=faults,
    )


def _integers(entries: Sequence[dict[str, Any]], key: str) -> NDArray[np.int64]:
    return np.array([entry[key] for entry in entries], np.int64)


def _sorted_out(
    entries: Sequence[Any], fault_of: Callable[[Any], str | None]
) -> tuple[list[dict[str, Any]], list[str]]:
    good, faults = [], []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            faults.append(f"number {number} is {shown(entry)}, not an object")
        elif fault := fault_of(entry):
            name = f"id {entry['id']!r}" if "id" in entry else f"number {number}"
            faults.append(f"{name}: {fault}")
        else:
            good.append(entry)
    return good, faults


def _image_fault(entry: dict[str, Any]) -> str | None:
    if not _is_id(entry.get("id")):
        return _fault(entry, "id", "an integer from 0")
    if not (isinstance(entry.get("file_name"), str) and entry["file_name"]):
        return _fault(entry, "file_name", "a file name")
    for key in ("width", "height"):
        if not _is_size(entry.get(key)):
            return _fault(entry, key, "a whole number of pixels from 1")
    return None


def _box_fault(entry: dict[str, Any]) -> str | None:
    for key in ("id", "image_id", "category_id"):
        if not _is_id(entry.get(key)):
            return _fault(entry, key, "an integer from 0")
    box = entry.get("bbox")
    if type(box) is not list or len(box) != 4 or not all(map(_is_number, box)):
        return _fault(entry, "bbox", "[x, y, width, height] in finite pixels")
    if not _is_number(entry.get("area")):  # mmdet reads it of every annotation
        return _fault(entry, "area", "a finite number of square pixels")
    if entry.get("iscrowd", 0) not in (0, 1):
        return _fault(entry, "iscrowd", "0 or 1")
    return None


def _fault(entry: dict[str, Any], key: str, wanted: str) -> str:
    if key not in entry:
        return f"'{key}' is missing"
    return f"'{key}' is {shown(entry[key])}, not {wanted}"


# The tests below are by exact type, for bool is an int in Python: `true` would pass as 1.
def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _BIGGEST_ID


def _is_size(value: Any) -> bool:
    return type(value) in (int, float) and 1 <= value <= _BIGGEST and value == int(value)


def _is_number(value: Any) -> bool:
    if type(value) is float:
        return math.isfinite(value) and abs(value) <= _BIGGEST
    return type(value) is int and abs(value) <= _BIGGEST
