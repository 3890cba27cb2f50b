"""Pascal VOC: an XML file an image, lists of the splits in ``ImageSets/Main``.

Corners are counted from 1 and lie within the box, as the development kit of 2007 says: a box from 1 to 100 is 100
pixels wide. Many tools write edges counted from 0 instead. A corner below 1 cannot be VOC's own, nor can decimal points
in more than half of the boxes (CVAT writes 78.0; VOC 2012 itself has a few), nor do files of Label
Studio count so: then all of a source is read so, and that is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from unicodedata import normalize
from xml.etree.ElementTree import Element

from benchmark.data.importing.base import (
    XYWH,
    Box,
    Format,
    Picture,
    Source,
)
from benchmark.data.importing.ledger import (
    DIFFICULT,
    NO_BOX,
    NO_IMAGE,
    NO_LABELS,
    NO_SPLIT_LISTS,
    OTHER_SHAPES,
    TWO_NAMES,
    Ledger,
)
from benchmark.data.importing.lookup import (
    files_below,
    is_image,
    lines_of,
)
from benchmark.data.importing.numbers import number
from benchmark.data.importing.voc_lists import listed_splits
from benchmark.data.importing.xml import read_xml, root_tag
from benchmark.data.layouts import NO_SPLIT, listed, split_folders, split_of
from benchmark.errors import UserError, attempt
from benchmark.files import is_file

_LABELS = ("Annotations", "annotations", "annotations/xmls", "xmls", "labels", "")
_IMAGES = ("JPEGImages", "images", "Images")
_BARE = "images of the test split that have no labels"
_LOOKED_AT = 20  # files, to know the format
_YES = ("1", "true", "yes")  # as tools write that an object is difficult
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_FROM_EDGE = "sources whose corners are edges counted from 0, not VOC's pixels counted from 1"


@dataclass(frozen=True)
class _Part:
    """A folder of XML files, and where their images are."""

    split: str
    labels: Path
    images: Sequence[Path]
    is_flat: bool

    def files(self, folder: Path) -> Iterator[Path]:
        """The files of a folder: also those within it, unless labels lie beside what else there is."""
        return listed(folder, "") if self.is_flat else files_below(folder)


@dataclass(frozen=True)
class _Object:
    """An object as it stands: its corners, and whether they look like edges counted from 0."""

    label: str
    corners: XYWH
    difficult: bool
    looks_from_edge: bool


@dataclass(frozen=True)
class _Label:
    """What an XML file says, corners as they stand."""

    stem: str
    file_name: str
    said: tuple[int, int] | None
    objects: Sequence[_Object]


def _parts(root: Path) -> list[_Part]:
    found = [_part(split, base) for split, base in [(NO_SPLIT, root), *split_folders(root)]]
    return [part for part in found if part]


def _part(split: str, base: Path) -> _Part | None:
    for name in _LABELS:
        if _is_voc(base / name, deep=bool(name)):
            places = dict.fromkeys([*(base / images for images in _IMAGES), base / name, base])
            images = [place for place in places if place.is_dir()]
            return _Part(split, base / name, images, is_flat=not name)
    return None


def _is_voc(folder: Path, deep: bool) -> bool:
    """Whether one of its first XML files is of VOC; ``deep`` looks into folders of splits, too."""
    inner = [path for _, path in split_folders(folder)] if deep else []
    files = (path for place in (folder, *inner) for path in listed(place, ".xml"))
    return any(root_tag(path) == "annotation" for path in islice(files, _LOOKED_AT))


def _recognise(root: Path) -> str:
    parts = _parts(root)
    return ", ".join(f"XML files of VOC in {part.labels}" for part in parts)


def _read(root: Path, ledger: Ledger) -> Source:
    problems: list[str] = []
    parts = _parts(root)
    labels = {part.labels: list(_labels_of(part, ledger, problems)) for part in parts}
    if problems:
        raise UserError(problems)
    from_edge = _counts_from_edge(
        [thing for found in labels.values() for one in found for thing in one.objects]
    )
    if from_edge:
        ledger.note(_FROM_EDGE, str(root))
    splits: dict[str, list[Picture]] = {}
    for part in parts:
        for split, picture in _pictures(root, part, labels[part.labels], from_edge, ledger):
            splits.setdefault(split, []).append(picture)
    bare = splits.pop(_BARE, [])
    if bare and "test" not in splits:
        splits["test"] = bare
    else:
        for picture in bare:
            ledger.leave(NO_LABELS, str(picture.path))
    names = {box.label for some in splits.values() for one in some for box in one.boxes}
    unlabelled = {"test"} if splits.get("test") is bare else set()
    return Source(_classes(root, names), splits, frozenset(unlabelled))


def _classes(root: Path, names: set[str]) -> list[str]:
    """In the order of ``labels.txt`` where there is one, then of the alphabet: VOC has no list of its own."""
    path = root / "labels.txt"
    lines = lines_of(path) if path.is_file() else []
    told = [line for line in lines if line and not line.startswith("#")]
    return [*dict.fromkeys(told), *sorted(names - set(told))]


def _labels_of(part: _Part, ledger: Ledger, problems: list[str]) -> Iterator[_Label]:
    for path in part.files(part.labels):
        if path.suffix.lower() != ".xml" or not is_file(path):  # opening a pipe has no end
            continue
        if root_tag(path) not in ("annotation", ""):
            continue
        element = attempt(problems, read_xml, path)
        if element is not None:
            yield _label(_stem(path.relative_to(part.labels).as_posix()), path, element, ledger)


def _label(stem: str, path: Path, element: Element, ledger: Ledger) -> _Label:
    is_ls = element.findtext("owner/name") == "Label Studio"
    objects = [
        found for one in element.iterfind("object") if (found := _object(one, path, is_ls, ledger))
    ]
    width, height = (number(element.findtext(f"size/{key}")) for key in ("width", "height"))
    said = (int(width), int(height)) if width and height else None  # 0 where a tool did not know
    return _Label(stem, (element.findtext("filename") or "").strip(), said, objects)


def _object(element: Element, path: Path, by_label_studio: bool, ledger: Ledger) -> _Object | None:
    label = (element.findtext("name") or "").strip()
    if element.find("bndbox") is None and element.find("robndbox") is not None:
        ledger.leave(OTHER_SHAPES, f"{path}: {label}: robndbox", 1)
        return None
    texts = [element.findtext(f"bndbox/{key}") or "" for key in _CORNERS]
    left, top, right, bottom = map(number, texts)
    if not label or left is None or top is None or right is None or bottom is None:
        what = "has no name" if not label else f"{label}: bndbox is not xmin, ymin, xmax, ymax"
        ledger.leave(NO_BOX, f"{path}: {what}", 1)
        return None
    difficult = (element.findtext("difficult") or "").strip().lower() in _YES
    if difficult:
        ledger.note(DIFFICULT, f"{path}: {label}")
    looks_from_edge = by_label_studio or any("." in text for text in texts)
    return _Object(label, (left, top, right, bottom), difficult, looks_from_edge)


def _counts_from_edge(objects: Sequence[_Object]) -> bool:
    looking = sum(one.looks_from_edge for one in objects)
    return any(min(one.corners[:2]) < 1 for one in objects) or looking > len(objects) / 2


def _pictures(
    root: Path, part: _Part, labels: Sequence[_Label], from_edge: bool, ledger: Ledger
) -> Iterator[tuple[str, Picture]]:
    by_stem = _images_by_stem(part)
    used = {label.stem: image for label in labels if (image := _image_of(label, by_stem))}
    users = Counter(image for image, _ in used.values())
    owners = {stem for stem, (_, name) in used.items() if stem == _stem(name)}
    splits = None if part.split else listed_splits(root, by_stem, ledger)
    for label in labels:
        boxes = [_boxed(one, from_edge) for one in label.objects]
        xml = f"{part.labels / label.stem}.xml"
        if label.stem not in used:
            ledger.leave(NO_IMAGE, xml, len(boxes))
        elif users[used[label.stem][0]] > 1 and label.stem not in owners:
            ledger.leave(TWO_NAMES, f"{xml}: {used[label.stem][0]}", len(boxes))
        elif splits is not None and label.stem not in splits:
            ledger.leave(NO_SPLIT_LISTS, xml, len(boxes))
        else:
            path, name = used[label.stem]
            split = (
                part.split or (splits or {}).get(label.stem) or split_of(label.stem.split("/")[0])
            )
            yield split, Picture(path, name, boxes, label.said)
    for stem, (path, name) in ((stem, one) for stem, some in by_stem.items() for one in some):
        if path not in users and (splits or {}).get(stem) == "test":
            yield _BARE, Picture(path, name)
        elif path not in users:
            ledger.leave(NO_LABELS, str(path))


def _images_by_stem(part: _Part) -> dict[str, list[tuple[Path, str]]]:
    """Images of the first folder that holds some, by their name without its ending."""
    for folder in part.images:
        found: dict[str, list[tuple[Path, str]]] = {}
        for path in filter(is_image, part.files(folder)):
            inner = path.relative_to(folder)
            found.setdefault(_stem(inner.as_posix()), []).append((path, inner.as_posix()))
        if found:
            return found
    return {}


def _stem(name: str) -> str:
    """A name without its ending, in one form of Unicode: macOS may have written those of images in another."""
    return normalize("NFC", Path(name).with_suffix("").as_posix())


def _image_of(
    label: _Label, by_stem: Mapping[str, Sequence[tuple[Path, str]]]
) -> tuple[Path, str] | None:
    """The image with the stem of the XML file, as VOC has it; else the one that it names."""
    named = normalize("NFC", Path(label.file_name.replace("\\", "/")).name)
    folder = label.stem.rpartition("/")[0]
    other = f"{folder}/{Path(named).stem}" if folder else Path(named).stem
    images = by_stem.get(label.stem) or by_stem.get(other) or []
    exact = [image for image in images if normalize("NFC", Path(image[1]).name) == named]
    return next(iter([*exact, *images]), None) if exact or len(images) == 1 else None


def _boxed(one: _Object, from_edge: bool) -> Box:
    left, top, right, bottom = one.corners
    first = 0 if from_edge else 1
    x, y = left - first, top - first
    return Box(one.label, (x, y, right - x, bottom - y), crowd=one.difficult)


VOC = Format(
    key="voc",
    title="Pascal VOC",
    sought="XML files with <annotation> in Annotations/, beside the images, or in train/, valid/ and test/",
    recognise=_recognise,
    read=_read,
)
