"""Single entries of a COCO annotation file: what is wrong with one, and whether it has a mask."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

from benchmark.errors import lone_surrogate, shown

BIGGEST = 2**31 - 1
"""Of a width, a height or a coordinate: what hotcoco takes."""
_BIGGEST_ID = 2**63 - 1
_SIDES = 6  # coordinates of the smallest polygon

Entry = Mapping[str, object]


def image_fault(entry: Entry) -> str | None:
    """What is wrong with an entry of ``images``, None if nothing is."""
    if not _is_id(entry.get("id")):
        return _fault(entry, "id", "an integer from 0 to 2**63 - 1")
    name = entry.get("file_name")
    if not (isinstance(name, str) and name):
        return _fault(entry, "file_name", "a file name")
    if place := lone_surrogate(name):
        return f"'file_name' {name!r} has half of a surrogate pair at character {place}: rename it"
    for key in ("width", "height"):
        if not _is_size(entry.get(key)):
            return _fault(entry, key, "a whole number of pixels from 1")
    return None


def box_fault(entry: Entry) -> str | None:
    """What is wrong with an entry of ``annotations``, None if nothing is."""
    for key in ("id", "image_id", "category_id"):
        if not _is_id(entry.get(key)):
            return _fault(entry, key, "an integer from 0 to 2**63 - 1")
    box = entry.get("bbox")
    if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        return _fault(entry, "bbox", "[x, y, width, height] in finite pixels")
    if not _is_area(entry.get("area")):  # mmdet reads it of every annotation
        return _fault(entry, "area", "a finite number of square pixels")
    if entry.get("iscrowd", 0) not in (0, 1):
        return _fault(entry, "iscrowd", "0 or 1")
    return None


def is_masked(entry: object) -> bool:
    """Whether an entry of ``annotations`` has a mask that mmdet reads as one; of a crowd, any mask will do.

    mmdet takes a polygon of an even number of coordinates, three points at least, and leaves the others out without a
    word. A mask of run lengths makes it ignore the object where a pipeline keeps polygons (``poly2mask=False``, as
    half of its configs have it), so that one counts for crowds alone, which are ignored in any case.
    """
    mask = entry.get("segmentation") if isinstance(entry, dict) else None
    if isinstance(entry, dict) and entry.get("iscrowd"):
        return bool(mask)
    polygons = mask if isinstance(mask, list) else []
    return any(isinstance(p, list) and len(p) >= _SIDES and len(p) % 2 == 0 for p in polygons)


def _fault(entry: Entry, key: str, wanted: str) -> str:
    if key not in entry:
        return f"'{key}' is missing"
    return f"'{key}' is {shown(entry[key])}, not {wanted}"


# The tests below are by exact type, for bool is an int in Python: `true` would pass as 1.
def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value <= _BIGGEST_ID


def _is_size(value: object) -> bool:
    if type(value) is int:
        return 1 <= value <= BIGGEST
    return type(value) is float and 1 <= value <= BIGGEST and value.is_integer()


def _is_area(value: object) -> bool:
    """Whether it is finite: one outside COCO's range, up to 1e10, is for the rules of evaluation to leave out."""
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is int and abs(value) <= sys.float_info.max


def _is_number(value: object) -> bool:
    if type(value) is float:
        return math.isfinite(value) and abs(value) <= BIGGEST
    return type(value) is int and abs(value) <= BIGGEST
