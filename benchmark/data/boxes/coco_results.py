"""COCO's results format: a list of ``{"image_id", "category_id", "bbox", "score"}`` with boxes as xywh.

``file_name`` and ``category_name``, which Ultralytics and SAHI write beside these, are read, too; what else stands in
an entry (masks, keypoints, areas) counts for nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from benchmark.data.boxes.base import Columns, Format, Target, Value
from benchmark.errors import UserError, few, shown

if TYPE_CHECKING:
    from benchmark.statistics.evaluation import Detections

_WANTED = "a list of {image_id, category_id, bbox: [x, y, width, height], score}"
# By exact type: bool is an int in Python.
_NUMBERS = frozenset({int, float})
_NAMES = frozenset({int, float, str})
# By what the parser says.
_NOT_JSON = {
    "EOF while parsing": "it ends in the middle, so it was cut short: copy it again",
    "trailing characters": "it goes on behind the first value; write one list of all boxes",
}


class CocoResults(Format):
    """``[{"image_id": 7, "category_id": 1, "bbox": [10.5, 20.0, 30.0, 40.0], "score": 0.9}, ...]``."""

    title: ClassVar[str] = "COCO results"

    def is_of(self, data: bytes) -> bool:
        """Whether it begins as JSON's lists and objects do."""
        return data.lstrip()[:1] in (b"[", b"{")

    def columns(self, data: bytes) -> Columns:
        """See `Format.columns`."""
        import numpy as np

        entries = _entries(data)
        images, categories, boxes, scores = _sound(entries)
        return Columns(
            images=cast(list[Value], images),
            names=_texts(entries, "file_name"),
            categories=cast(list[Value], categories),
            classes=_texts(entries, "category_name"),
            xywh=np.array(boxes, np.float64).reshape(-1, 4),
            scores=np.array(scores, np.float64),
        )

    def text(self, detections: Detections, target: Target) -> str:
        """One list on one line; numbers have the digits that give the same float64 again."""
        return json.dumps(detections.to_coco(), separators=(",", ":"), allow_nan=False)


def _entries(data: bytes) -> Sequence[dict[str, object]]:
    from pydantic_core import from_json

    try:
        content = from_json(data, cache_strings="keys")
    except ValueError as error:
        known = (why for words, why in _NOT_JSON.items() if words in str(error))
        why = next(known, "")
        raise UserError(f"not JSON: {'; '.join(filter(None, [str(error), why]))}") from None
    if isinstance(content, dict):
        annotated = "annotations" in content or "images" in content
        what = "COCO annotations, not results" if annotated else "an object with keys"
        keys = few(map(str, content))
        raise UserError(f"it is {what} ({keys}); results are {_WANTED}")
    bad = [(n, entry) for n, entry in enumerate(content) if type(entry) is not dict]
    if bad:
        told = few(f"entry {n + 1} is {shown(entry)}" for n, entry in bad[:9])
        raise UserError(f"{len(bad):,} entries are no objects: {told}; results are {_WANTED}")
    return list(content)


def _sound(entries: Sequence[dict[str, object]]) -> tuple[list[object], ...]:
    """The columns image_id, category_id (or the name of the category), bbox and score.

    Raises:
        UserError: Some entries lack one, or have something else in its place.
    """
    category = "category_id"
    if entries and all("category_name" in e and "category_id" not in e for e in entries):
        category = "category_name"
    rules: dict[str, tuple[Callable[[object], bool], str]] = {
        "image_id": (lambda value: type(value) in _NAMES, "a number or a text"),
        category: (lambda value: type(value) in _NAMES, "a number"),
        "bbox": (_is_box, "[x, y, width, height]"),
        "score": (lambda value: type(value) in _NUMBERS, "a number"),
    }
    columns = [[entry.get(key) for entry in entries] for key in rules]
    problems = [
        problem
        for (key, (fits, wanted)), column in zip(rules.items(), columns, strict=True)
        if (problem := _misfits(key, wanted, column, fits))
    ]
    if problems:
        raise UserError(problems)
    return tuple(columns)


def _is_box(value: object) -> bool:
    return type(value) is list and len(value) == 4 and _NUMBERS.issuperset(map(type, value))


def _misfits(
    key: str, wanted: str, column: Sequence[object], fits: Callable[[object], bool]
) -> str | None:
    bad = [number for number, value in enumerate(column) if not fits(value)]
    if not bad:
        return None
    if len(bad) == len(column) and all(value is None for value in column):
        truth = ": are these annotations, and no detector's boxes?" if key == "score" else ""
        return f"no entry has '{key}', {wanted}{truth}"
    told = few((f"entry {n + 1} has {shown(column[n])}" for n in bad[:9]), count=len(bad))
    return f"entries whose '{key}' is not {wanted} ({len(bad):,}): {told}"


def _texts(entries: Sequence[dict[str, object]], key: str) -> Sequence[str]:
    """A column of texts; empty unless every entry has one."""
    column = [entry.get(key) for entry in entries]
    texts = [value for value in column if isinstance(value, str) and value]
    return texts if len(texts) == len(column) else ()
