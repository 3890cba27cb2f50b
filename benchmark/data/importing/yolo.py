"""YOLO: a text file an image with lines of class, centre, width and height, as fractions of the upright image.

Also polygons (``class x1 y1 x2 y2 ...``, four points of a box at an angle included) and, where ``data.yaml`` has
``kpt_shape``, boxes with keypoints. Labels lie where Ultralytics looks for them (``img2label_paths``): in ``labels`` in
the place of the last ``images`` of an image's path, else beside the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from benchmark.data.importing.base import Box, Format, Picture, Source
from benchmark.data.importing.ledger import (
    EMPTY_PICTURES,
    NO_BOX,
    NO_IMAGE,
    NO_SPLIT_LISTS,
    POLYGONS,
    UNKNOWN_CLASS,
    Ledger,
)
from benchmark.data.importing.lookup import Found, Images, files_below, images_below, lines_of
from benchmark.data.importing.numbers import bounds, numbers
from benchmark.data.importing.yolo_names import Names, names_file, read_names
from benchmark.data.layouts import NO_SPLIT, listed, split_of
from benchmark.errors import UserError, few, printable

_FOLDERS = {"images": "labels", "Images": "Labels", "JPEGImages": "labels"}
_LISTS = ("train", "val", "valid", "test")
_SHORTEST = 5  # class, centre, width, height
_LONGEST = 1 << 20  # characters of a line: a polygon has many


def _recognise(root: Path) -> str:
    names = names_file(root)
    labels = next((path for path in _label_files(root) if path.stat().st_size), None)
    return f"{names} and {labels}" if names and labels else ""


def _label_files(root: Path) -> Iterator[Path]:
    """Text files that begin with a line of labels, or hold nothing; lists of images and classes do not."""
    for path in files_below(root):
        if path.suffix.lower() == ".txt" and path.is_file() and _is_labels(path):
            yield path


def _is_labels(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        words = file.readline(_LONGEST).split()
    return not words or (len(words) >= _SHORTEST and numbers(words) is not None)


def _read(root: Path, ledger: Ledger) -> Source:
    told = names_file(root)
    names = read_names(told, root, ledger) if told else Names([], {}, 0)
    images = _images(root, names, ledger)
    _tell_unlisted(root, images, ledger)
    reader = _Reader(root, names, ledger)
    splits = {
        split: [reader.picture(image, split) for image in dict.fromkeys(found)]
        for split, found in images.items()
    }
    for path in _label_files(root):
        if path not in reader.used and not _is_names(path):
            ledger.leave(NO_IMAGE, str(path), sum(1 for _ in _lines(path)))
    reader.refuse_pixels()
    return Source(names.classes, splits, reader.unlabelled(splits))


def _images(root: Path, names: Names, ledger: Ledger) -> dict[str, list[Found]]:
    """Images by the split: as the YAML file says, else by lists, else by the names of folders."""
    lists = {split_of(path.stem): [path] for path in listed(root, ".txt") if path.stem in _LISTS}
    told = names.splits or lists
    if told:
        return {split: list(_told(root, paths, ledger)) for split, paths in told.items()}
    found: dict[str, list[Found]] = {}
    for path in images_below(root):
        split, name = _by_folder(path.relative_to(root))
        found.setdefault(split, []).append(Found(path, name))
    return found


def _is_names(path: Path) -> bool:
    """Whether an empty file is one of those that list classes or images."""
    return path.stem in ("classes", *_LISTS)


def _tell_unlisted(root: Path, images: Mapping[str, Sequence[Found]], ledger: Ledger) -> None:
    taken = {image.path for found in images.values() for image in found}
    for path in images_below(root):
        if path not in taken:
            ledger.leave(NO_SPLIT_LISTS, str(path))


def _by_folder(inner: Path) -> tuple[str, str]:
    """The split that a path within the source is of, and the image's name below the folders that say so."""
    split, rest = NO_SPLIT, list(inner.parts)
    while len(rest) > 1 and (rest[0] in _FOLDERS or _split_in(rest[0])):
        split = _split_in(rest.pop(0)) or split
    return split, "/".join(rest)


def _split_in(folder: str) -> str:
    """The split that a folder's name says; CVAT calls its own ``obj_train_data``."""
    return split_of(folder.removeprefix("obj_").removesuffix("_data"))


def _told(root: Path, paths: Iterable[Path], ledger: Ledger) -> Iterator[Found]:
    for path in paths:
        if path.is_dir():
            inner = ((image, image.relative_to(path)) for image in images_below(path))
            yield from (Found(image, _by_folder(name)[1]) for image, name in inner)
            continue
        finder = Images(root, (path.parent, root), ledger)
        for line in filter(None, lines_of(path)):
            if found := finder.find(line, 0):
                yield Found(found.path, _by_folder(found.path.relative_to(root))[1])


@dataclass
class _Reader:
    """Reads the labels of images, and remembers which it has read.

    Attributes:
        root: The source.
        names: Its classes, and whether its lines have keypoints.
        ledger: What is left out.
        used: Files of labels of images that there are.
        bare: Images without a file of labels, by the split.
        inside: How many boxes have their centre in the image.
        far: Lines of boxes that have it elsewhere, as those in pixels do.
    """

    root: Path
    names: Names
    ledger: Ledger
    used: set[Path] = field(default_factory=set)
    bare: dict[str, list[Path]] = field(default_factory=dict)
    inside: int = 0
    far: list[str] = field(default_factory=list)

    def picture(self, image: Found, split: str) -> Picture:
        """An image with its boxes."""
        places = (form for place in _places(image.path, self.root) for form in _forms(place))
        path = next((path for path in places if path.is_file()), None)
        if path is None:
            self.bare.setdefault(split, []).append(image.path)
            return Picture(image.path, image.name, fractions=True)
        self.used.add(path)
        boxes = [self._box(words, f"{path}:{n}") for n, words in _lines(path)]
        return Picture(image.path, image.name, [box for box in boxes if box], fractions=True)

    def _box(self, words: Sequence[str], where: str) -> Box | None:
        values = numbers(words)
        if values is None or not _is_box(values, self.names.keypoints):
            self.ledger.leave(NO_BOX, f"{where}: {' '.join(words)}", 1)
            return None
        label = self._label(values[0])
        if label is None:
            self.ledger.leave(UNKNOWN_CLASS, f"{where}: {words[0]}", 1)
            return None
        if len(values) == _SHORTEST or self.names.keypoints:
            x, y, width, height = values[1:_SHORTEST]
            found = Box(label, (x - width / 2, y - height / 2, width, height))
        else:
            found = Box(label, bounds(values[1:]), mask=[values[1:]])
            self.ledger.note(POLYGONS, where)
        self._weigh(found, where, words)
        return found

    def _label(self, index: float) -> str | None:
        classes = self.names.by_number
        return classes.get(int(index)) if index.is_integer() else None

    def _weigh(self, box: Box, where: str, words: Sequence[str]) -> None:
        x, y, width, height = box.xywh
        if 0 <= x + width / 2 <= 1 and 0 <= y + height / 2 <= 1:
            self.inside += 1
        else:
            self.far.append(f"{where}: {' '.join(words[:_SHORTEST])}")

    def unlabelled(self, splits: Mapping[str, Sequence[Picture]]) -> frozenset[str]:
        """Which splits have no labels at all; in others, an image without a file of labels has no object.

        Raises:
            UserError: Training or validation images have none.
        """
        whole = {split for split, bare in self.bare.items() if len(bare) == len(splits[split])}
        problems = [
            f"{self.root}: none of the {len(self.bare[split])} images of {split or 'the source'} has a file of "
            f"labels; for the first one, looked for {' and '.join(map(str, _places(self.bare[split][0], self.root)))}"
            for split in sorted(whole - {"test"})
        ]
        if problems:
            raise UserError(problems)
        for split in self.bare.keys() - whole:
            for path in self.bare[split]:
                self.ledger.note(EMPTY_PICTURES, str(path))
        return frozenset(whole)

    def refuse_pixels(self) -> None:
        """Refuses labels of which most lie outside of their images: those are in another unit.

        Raises:
            UserError: With the first few lines.
        """
        if len(self.far) > self.inside:
            raise UserError(
                f"{self.root}: labels are no fractions of their images' width and height, as YOLO has them "
                f"({len(self.far)}): {printable(few(self.far))}; in pixels? write them anew, or export another format"
            )


def _is_box(values: Sequence[float], keypoints: int) -> bool:
    """Whether a line is class and box, or class and three points or more; six values have a score at their end."""
    if keypoints:
        return len(values) in (_SHORTEST, _SHORTEST + keypoints)
    return len(values) == _SHORTEST or (len(values) >= 7 and len(values) % 2 == 1)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines_of(path), start=1):
        if words := line.split():
            yield number, words


def _forms(path: Path) -> list[Path]:
    """A path as it stands, and with its name in either form of Unicode: macOS may have written the image's."""
    names = dict.fromkeys([path.name, *(normalize(form, path.name) for form in ("NFC", "NFD"))])
    return [path.with_name(name) for name in names]


def _places(image: Path, root: Path) -> Iterator[Path]:
    """Where the labels of an image may be."""
    inner = list(image.relative_to(root).parts) if image.is_relative_to(root) else [image.name]
    turned = [place for place, part in enumerate(inner[:-1]) if part in _FOLDERS]
    if turned:
        last = turned[-1]
        there = [*inner[:last], _FOLDERS[inner[last]], *inner[last + 1 :]]
        yield root.joinpath(*there).with_suffix(".txt")
    yield image.with_suffix(".txt")


YOLO = Format(
    key="yolo",
    title="YOLO",
    sought="data.yaml with 'names', classes.txt or obj.names, and a text file of labels an image",
    recognise=_recognise,
    read=_read,
)
