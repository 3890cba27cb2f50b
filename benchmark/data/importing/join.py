"""Sources made one data set: classes, splits, names and boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.data.importing.base import Box, Picture, Source
from benchmark.data.importing.classes import ClassMap, joined
from benchmark.data.importing.ledger import (
    DROPPED_CLASS,
    IN_TWO_SPLITS,
    NO_LABELS,
    NO_SPLIT_LISTS,
    NOT_UTF8,
    Ledger,
)
from benchmark.data.importing.lookup import real
from benchmark.data.importing.names import is_writable, names_for
from benchmark.data.importing.numbers import tidy
from benchmark.data.importing.sizes import Placed, placed
from benchmark.data.layouts import NO_SPLIT, SPLITS
from benchmark.errors import UserError, printable

Entry = dict[str, object]
"""An object of a COCO file."""


@dataclass(frozen=True)
class Joined:
    """A data set that is to be written.

    Attributes:
        classes: In the order of their labels.
        splits: Images by the split, one of `SPLITS`; those of sources without splits are in ``train``.
        files: Each image file's name in the data set, with ``/``.
        unlabelled: Splits that have images alone.
    """

    classes: Sequence[str]
    splits: Mapping[str, Sequence[Placed]]
    files: Mapping[Path, str]
    unlabelled: frozenset[str]

    def coco(self, split: str) -> dict[str, list[Entry]]:
        """The COCO file of a split: ids from 1, boxes ``xywh`` in pixels; without ``annotations`` if unlabelled."""
        number = {name: key for key, name in enumerate(self.classes, start=1)}
        images: list[Entry] = []
        boxes: list[Entry] = []
        for key, one in enumerate(self.splits[split], start=1):
            size = {"width": one.width, "height": one.height}
            name = self.files[one.picture.path]
            images.append({"id": key, "file_name": name, **size, **one.picture.extra})
            for box in one.picture.boxes:
                entry = {"id": len(boxes) + 1, "image_id": key, "category_id": number[box.label]}
                boxes.append(entry | _entry(box))
        labels = {} if split in self.unlabelled else {"annotations": boxes}
        categories: list[Entry] = [{"id": key, "name": name} for name, key in number.items()]
        return {"images": images, **labels, "categories": categories}


def _entry(box: Box) -> Entry:
    x, y, width, height = map(tidy, box.xywh)
    area = width * height if box.area is None else box.area
    entry: Entry = {"bbox": [x, y, width, height], "area": tidy(area), "iscrowd": int(box.crowd)}
    if box.ignore:
        entry["ignore"] = 1
    if box.mask is not None:
        entry["segmentation"] = _tidy_mask(box.mask)
    return entry


def _tidy_mask(mask: object) -> object:
    if not isinstance(mask, list):
        return mask
    return [[tidy(value) for value in polygon] for polygon in mask]


def join(sources: Sequence[Source], mapped: ClassMap, ledger: Ledger) -> Joined:
    """Joins sources: classes by name, images of each split one source after the other, by their names.

    Raises:
        UserError: The map names classes that no source has, or nothing is left.
    """
    sources = [_each_once(source, ledger) for source in sources]
    lists = [source.classes for source in sources]
    if not any(lists):
        raise UserError(["there is no box of any class in what was found", *_reasons(ledger)])
    classes = joined(lists, mapped)
    bare = _unlabelled(sources)
    _leave_what_fits_nowhere(sources, bare, ledger)
    placed_in = {split: _placed_in(split, sources, bare, mapped, ledger) for split in SPLITS}
    splits = {split: found for split, found in placed_in.items() if found}
    if not any(one.picture.boxes for found in splits.values() for one in found):
        raise UserError(["no box is left of what was found", *_reasons(ledger)])
    images = [(p.picture.path, p.picture.name) for found in splits.values() for p in found]
    return Joined(classes, splits, names_for(images, ledger), bare)


def _each_once(source: Source, ledger: Ledger) -> Source:
    """A source whose images are each of one split: what is trained on cannot judge, nor what is chosen on test."""
    first: dict[Path, str] = {}
    for split in SPLITS:
        for picture in source.splits.get(split, ()):
            if (other := first.setdefault(real(picture.path), split)) != split:
                ledger.note(IN_TWO_SPLITS, f"{picture.path}: {other}, {split}")
    splits = {
        split: [one for one in pictures if split == NO_SPLIT or first[real(one.path)] == split]
        for split, pictures in source.splits.items()
    }
    return replace(source, splits=splits)


def _placed_in(
    split: str, sources: Sequence[Source], bare: frozenset[str], mapped: ClassMap, ledger: Ledger
) -> list[Placed]:
    taken = [source for source in sources if split not in source.unlabelled - bare]
    return [one for source in taken for one in _placed(source, split, mapped, ledger)]


def _leave_what_fits_nowhere(
    sources: Sequence[Source], bare: frozenset[str], ledger: Ledger
) -> None:
    for source in sources:
        if source.is_divided:
            _leave_all(source.splits.get(NO_SPLIT, ()), NO_SPLIT_LISTS, ledger)
        for split in source.unlabelled - bare:
            _leave_all(source.splits[split], NO_LABELS, ledger)


def _leave_all(pictures: Sequence[Picture], reason: str, ledger: Ledger) -> None:
    """Images of unknown objects are not put among labelled ones, nor those of no split among those to train on."""
    for picture in pictures:
        ledger.leave(reason, str(picture.path), len(picture.boxes))


def _unlabelled(sources: Sequence[Source]) -> frozenset[str]:
    """The splits that have images alone in every source that has them."""
    labelled = {
        split for source in sources for split in source.splits if split not in source.unlabelled
    }
    return frozenset(split for source in sources for split in source.unlabelled - labelled)


def _reasons(ledger: Ledger) -> list[str]:
    return [
        f"{reason} ({len(items)}): {printable(items[0])}"
        for reason, items in ledger.left_out.items()
    ]


def _placed(source: Source, split: str, mapped: ClassMap, ledger: Ledger) -> Iterator[Placed]:
    pictures = source.splits.get(split, ())
    if split == "train" and not source.is_divided:
        pictures = source.splits.get(NO_SPLIT, ())
    for picture in sorted(pictures, key=lambda one: one.name):
        if not is_writable(picture.name):
            ledger.leave(NOT_UTF8, str(picture.path), len(picture.boxes))
        elif one := placed(_mapped(picture, mapped, ledger), ledger):
            yield one


def _mapped(picture: Picture, mapped: ClassMap, ledger: Ledger) -> Picture:
    boxes = []
    for box in picture.boxes:
        name = mapped.get(box.label, box.label)
        if name is None:
            ledger.leave(DROPPED_CLASS, f"{picture.path}: {box.label}", 1)
        else:
            boxes.append(replace(box, label=name))
    return replace(picture, boxes=boxes)
