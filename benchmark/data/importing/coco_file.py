"""One COCO annotation file: its classes, and its images with their boxes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.annotations import read_annotations
from benchmark.data.entries import box_fault, is_masked
from benchmark.data.importing.base import Box, Picture, Source
from benchmark.data.importing.ledger import (
    BAD_IMAGE,
    NO_BOX,
    NO_IMAGE,
    NO_JSON,
    NO_MASK,
    NO_USE,
    SAME_NAME,
    UNKNOWN_CLASS,
    Ledger,
)
from benchmark.data.importing.lookup import Images
from benchmark.data.layouts import LaidOut
from benchmark.errors import UserError, attempt, few, lone_surrogate, shown
from benchmark.files import JsonObject, read_json

_OWN_KEYS = frozenset({"id", "file_name", "width", "height"})
_NO_KEYS = frozenset({"license", "flickr_url", "coco_url", "date_captured"})
_LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class _File:
    """What an annotation file holds.

    Attributes:
        path: The file.
        classes: Names by the id, in the order of the file.
        above: Names that other categories have as their ``supercategory``, and that have ``none`` themselves.
        images: Its entries, those that are none as well.
        boxes: Its annotations by the id of their image.
        labelled: Whether it has any annotation.
    """

    path: Path
    classes: Mapping[object, str]
    above: frozenset[str]
    images: Sequence[object]
    boxes: Mapping[object, Sequence[JsonObject]]
    labelled: bool


def read_files(root: Path, files: Iterable[LaidOut], ledger: Ledger) -> Source:
    """Reads the annotation files of a layout.

    A category that only stands above all others, as Roboflow writes it, is left out if it has no box.

    Args:
        root: The source, which images are not looked for outside of.
        files: The files, and where their images may be.
        ledger: What is left out is entered there.

    Raises:
        UserError: With every problem of a file that is no COCO annotations.
    """
    problems: list[str] = []
    splits: dict[str, list[Picture]] = {}
    classes: dict[str, None] = {}
    above: set[str] = set()
    bare: set[str] = set()
    for one in files:
        if file := attempt(problems, _file, one.annotations, ledger):
            classes |= dict.fromkeys(file.classes.values())
            above |= file.above
            images = Images(root, [f for f in one.folders if f.is_dir()] or [root], ledger)
            splits.setdefault(one.split, []).extend(_pictures(file, images, ledger))
            if one.split == "test" and not file.labelled:
                bare.add(one.split)
    if problems:
        raise UserError(problems)
    used = {box.label for some in splits.values() for one in some for box in one.boxes}
    for name in sorted(above - used):
        ledger.note(NO_USE, name)
    return Source([name for name in classes if name not in above - used], splits, frozenset(bare))


def _file(path: Path, ledger: Ledger) -> _File:
    content = _content(path)
    classes = _classes(path, content["categories"], ledger)
    images = _image_ids(path, content["images"])
    boxes: dict[object, list[JsonObject]] = {}
    for place, entry in enumerate(content["annotations"]):
        if fault := _fault(entry):
            ledger.leave(NO_BOX, f"{path}: {_named(entry, place)}: {fault}", 1)
        elif entry["image_id"] not in images:
            ledger.leave(NO_IMAGE, f"{path}: {_named(entry, place)}: {entry['image_id']}", 1)
        elif entry["category_id"] not in classes:
            ledger.leave(
                UNKNOWN_CLASS, f"{path}: {_named(entry, place)}: {entry['category_id']}", 1
            )
        else:
            boxes.setdefault(entry["image_id"], []).append(entry)
    above, labelled = _above(content["categories"]), bool(content["annotations"])
    return _File(path, classes, above, content["images"], boxes, labelled)


def _content(path: Path) -> dict[str, list[JsonObject]]:
    """The three lists; of a file that lists images alone, the others are empty."""
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        read_annotations(path)  # it says why in its own words
        raise UserError(f"{path}: not JSON that can be read: {error}") from None
    if not (isinstance(content, dict) and isinstance(content.get("images"), list)):
        raise UserError(f"{path}: not COCO annotations: 'images' is no list")
    found = {key: content.get(key, []) for key in _LISTS}
    problems = [
        f"{path}: not COCO annotations: '{key}' is no list"
        for key, value in found.items()
        if not isinstance(value, list)
    ]
    if problems:
        raise UserError(problems)
    return found


def _image_ids(path: Path, entries: Sequence[object]) -> set[object]:
    ids = Counter(one["id"] for one in entries if _is_image(one) and isinstance(one, dict))
    if repeated := [str(key) for key, count in ids.items() if count > 1]:
        raise UserError(
            f"{path}: image ids repeat ({len(repeated)}): {few(repeated)}; of which image a box is cannot be told"
        )
    return set(ids)


def _classes(path: Path, categories: Sequence[JsonObject], ledger: Ledger) -> dict[object, str]:
    bad = [one for one in categories if not _is_category(one)]
    if bad:
        raise UserError(
            f"{path}: categories without a whole number as 'id' or a text as 'name' ({len(bad)}): "
            f"{shown(bad[0])}"
        )
    found = {one["id"]: one["name"] for one in categories}
    if len(found) < len(categories):
        raise UserError(f"{path}: category ids repeat: of which class a box is cannot be told")
    for name, count in Counter(found.values()).items():
        if count > 1:
            ledger.note(SAME_NAME, f"{path}: {name}")
    return found


def _is_category(entry: object) -> bool:
    if not (isinstance(entry, dict) and type(entry.get("id")) is int):
        return False
    name = entry.get("name")
    return isinstance(name, str) and bool(name) and not lone_surrogate(name)


def _above(categories: Sequence[JsonObject]) -> frozenset[str]:
    kinds = {str(one.get("supercategory")) for one in categories}
    roots = {one["name"] for one in categories if one.get("supercategory") == "none"}
    others = {one["name"] for one in categories if one.get("supercategory") != "none"}
    return frozenset((roots & kinds) - others)


def _is_image(entry: object) -> bool:
    if not (isinstance(entry, dict) and type(entry.get("id")) in (int, str)):
        return False
    name = entry.get("file_name")
    return isinstance(name, str) and bool(name) and not lone_surrogate(name)


def _fault(entry: object) -> str | None:
    """What is wrong with an annotation; ids may be texts, and an area that is missing is that of the box."""
    if not isinstance(entry, dict):
        return f"{shown(entry)}, not an object"
    if type(entry.get("image_id")) not in (int, str):
        return f"'image_id' is {shown(entry.get('image_id'))}"
    area = entry.get("area")
    return box_fault({**entry, "id": 0, "image_id": 0, "area": 0 if area is None else area})


def _named(entry: object, place: int) -> str:
    key = entry.get("id") if isinstance(entry, dict) else None
    return f"number {place + 1}" if key is None else f"id {shown(key)}"


def _pictures(file: _File, images: Images, ledger: Ledger) -> list[Picture]:
    found = []
    for place, entry in enumerate(file.images):
        if not (_is_image(entry) and isinstance(entry, dict)):
            ledger.leave(BAD_IMAGE, f"{file.path}: number {place + 1}: {shown(entry)}")
            continue
        boxes = [_box(one, file, ledger) for one in file.boxes.get(entry["id"], [])]
        if image := images.find(entry["file_name"], len(boxes)):
            extra = _extra(entry, file.path, ledger)
            found.append(Picture(image.path, image.name, boxes, _size(entry), extra=extra))
    return found


def _extra(entry: JsonObject, path: Path, ledger: Ledger) -> JsonObject:
    found = {key: entry[key] for key in entry if key not in _OWN_KEYS | _NO_KEYS}
    if not _is_plain(found):
        ledger.note(NO_JSON, f"{path}: {entry['file_name']}: {', '.join(found)}")
        return {}
    return found


def _is_plain(value: object) -> bool:
    """Whether a file can hold it that others read: no NaN, no half of a surrogate pair."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


def _size(entry: JsonObject) -> tuple[int, int] | None:
    width, height = entry.get("width"), entry.get("height")
    if width and height and _is_length(width) and _is_length(height):
        return int(width), int(height)
    return None


def _is_length(value: object) -> bool:
    return type(value) in (int, float) and 1 <= float(str(value)) < math.inf


def _box(entry: JsonObject, file: _File, ledger: Ledger) -> Box:
    left, top, width, height = entry["bbox"]
    if isinstance(entry.get("segmentation"), dict) and not is_masked(entry):
        ledger.note(NO_MASK, f"{file.path}: {_named(entry, 0)}")
    area = entry.get("area")
    return Box(
        file.classes[entry["category_id"]],
        (left, top, width, height),
        area=area if area and area > 0 else None,
        crowd=bool(entry.get("iscrowd", 0)),
        ignore=bool(entry.get("ignore", False)),
        mask=_mask(entry) if is_masked(entry) else None,
    )


def _mask(entry: JsonObject) -> object:
    """Polygons that are some; of a crowd whatever stands there."""
    mask = entry["segmentation"]
    if not isinstance(mask, list):
        return mask if _is_plain(mask) else None
    return [
        one for one in mask if is_masked({"segmentation": [one]}) and all(map(_is_finite, one))
    ] or None


def _is_finite(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(float(str(value)))
