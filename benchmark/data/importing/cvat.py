"""CVAT for images 1.1: one XML file with all images, beside ``images/``.

Coordinates are edges in pixels, counted from 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from benchmark.data.importing.base import (
    XYWH,
    Box,
    Format,
    Picture,
    Source,
)
from benchmark.data.importing.ledger import NO_BOX, OTHER_SHAPES, POLYGONS, ROUND, TURNED, Ledger
from benchmark.data.importing.lookup import Images
from benchmark.data.importing.numbers import bounds, number, numbers
from benchmark.data.importing.xml import read_xml, root_tag
from benchmark.data.layouts import NO_SPLIT, listed, split_folders, split_of
from benchmark.errors import UserError, attempt

_NO_SHAPES = ("tag", "attribute")  # of an image as a whole


def _files(root: Path) -> list[tuple[str, Path]]:
    places = [(NO_SPLIT, root), *split_folders(root)]
    return [
        (split, path)
        for split, folder in places
        for path in listed(folder, ".xml")
        if root_tag(path) == "annotations"
    ]


def _recognise(root: Path) -> str:
    return ", ".join(str(path) for _, path in _files(root))


def _read(root: Path, ledger: Ledger) -> Source:
    problems: list[str] = []
    splits: dict[str, list[Picture]] = {}
    classes: dict[str, None] = {}
    for split, path in _files(root):
        element = attempt(problems, _images_of, path)
        if element is None:
            continue
        classes |= dict.fromkeys(_names(element))
        for subset, picture in _pictures(root, path, element, ledger):
            whole = split or split_of(path.stem) or split_of(subset)
            splits.setdefault(whole, []).append(picture)
            classes |= dict.fromkeys(box.label for box in picture.boxes)
    if problems:
        raise UserError(problems)
    return Source(list(classes), splits)


def _images_of(path: Path) -> Element:
    element = read_xml(path)
    if element.find("track") is not None:
        raise UserError(
            f"{path}: tracks of a video: export the task as 'CVAT for images 1.1', which has a box an image"
        )
    return element


def _names(element: Element) -> list[str]:
    """The labels of the task, in its order; parts of skeletons are none."""
    labels = [one for one in element.iterfind("meta//labels/label") if one.find("parent") is None]
    return [text.strip() for one in labels if (text := one.findtext("name"))]


def _pictures(
    root: Path, path: Path, element: Element, ledger: Ledger
) -> Iterator[tuple[str, Picture]]:
    for image in element.iterfind("image"):
        name, subset = image.get("name", ""), image.get("subset", "")
        boxes = [box for shape in image if (box := _box(shape, f"{path}: {name}", ledger))]
        inner = (path.parent / "images", path.parent, root / "images", root)
        folders = [folder / subset for folder in inner if subset] + list(inner)
        width, height = (number(image.get(key)) for key in ("width", "height"))
        said = (int(width), int(height)) if width and height else None
        if found := Images(root, folders, ledger).find(name, len(boxes)):
            yield subset, Picture(found.path, found.name, boxes, said)


def _box(shape: Element, where: str, ledger: Ledger) -> Box | None:
    label = shape.get("label", "")
    if shape.tag in _NO_SHAPES:
        return None
    if shape.tag not in _SHAPES:
        ledger.leave(OTHER_SHAPES, f"{where}: {label}: {shape.tag}", 1)
        return None
    of_shape, note = _SHAPES[shape.tag]
    found = of_shape(shape)
    if found is None or not label:
        ledger.leave(NO_BOX, f"{where}: {label}: {shape.tag} {dict(shape.attrib)}", 1)
        return None
    if note or number(shape.get("rotation")):
        ledger.note(note or TURNED, f"{where}: {label}")
    xywh, mask = found
    return Box(label, xywh, mask=mask)


def _of_box(shape: Element) -> tuple[XYWH, object] | None:
    edges = numbers(shape.get(key, "") for key in ("xtl", "ytl", "xbr", "ybr"))
    if edges is None:
        return None
    left, top, right, bottom = edges
    box = (left, top, right - left, bottom - top)
    return _around(box, number(shape.get("rotation")) or 0), None


def _around(box: XYWH, degrees: float) -> XYWH:
    """The upright box around one that is turned by an angle about its centre."""
    if not degrees:
        return box
    x, y, width, height = box
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    wide, high = width * cos + height * sin, width * sin + height * cos
    return x + (width - wide) / 2, y + (height - high) / 2, wide, high


def _of_polygon(shape: Element) -> tuple[XYWH, object] | None:
    points = numbers(shape.get("points", "").replace(";", ",").split(","))
    if points is None or len(points) < 6 or len(points) % 2:
        return None
    return bounds(points), [points]


def _of_mask(shape: Element) -> tuple[XYWH, object] | None:
    """Of run lengths only their box is kept."""
    found = numbers(shape.get(key, "") for key in ("left", "top", "width", "height"))
    if found is None:
        return None
    left, top, width, height = found
    return (left, top, width, height), None


def _of_ellipse(shape: Element) -> tuple[XYWH, object] | None:
    found = numbers(shape.get(key, "") for key in ("cx", "cy", "rx", "ry"))
    if found is None:
        return None
    x, y, across, down = found
    angle = math.radians(number(shape.get("rotation")) or 0)
    wide = math.hypot(across * math.cos(angle), down * math.sin(angle))
    high = math.hypot(across * math.sin(angle), down * math.cos(angle))
    return (x - wide, y - high, 2 * wide, 2 * high), None


_SHAPES: dict[str, tuple[Callable[[Element], tuple[XYWH, object] | None], str]] = {
    "box": (_of_box, ""),
    "polygon": (_of_polygon, POLYGONS),
    "mask": (_of_mask, ROUND),
    "ellipse": (_of_ellipse, ROUND),
}
"""What makes a box of each shape, and what is to be noted of it."""

CVAT = Format(
    key="cvat",
    title="CVAT for images",
    sought="an XML file with <annotations>, as annotations.xml beside images/",
    recognise=_recognise,
    read=_read,
)
