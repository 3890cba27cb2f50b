"""What the reader of a format promises and gives; one file a format, and a line in `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from benchmark.data.importing.ledger import Ledger
from benchmark.data.layouts import NO_SPLIT

XYWH: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class Box:
    """An object as a source has it.

    Attributes:
        label: The class.
        xywh: Left, top, width and height, in the unit of its picture.
        area: Square pixels, where the source says it; else it is that of the box.
        crowd: Whether it holds a crowd, which is not held against a detector.
        ignore: Whether it has mmdet's flag that leaves it out of a training.
        mask: ``segmentation`` of COCO, in the unit of the picture; None where there is none.
    """

    label: str
    xywh: XYWH
    area: float | None = None
    crowd: bool = False
    ignore: bool = False
    mask: object = None


@dataclass(frozen=True)
class Picture:
    """An image of a source, and what is marked in it.

    Attributes:
        path: Its file, which is there.
        name: What it is called below the folder of images, with ``/``.
        boxes: In the order of the source.
        said: Width and height in pixels by the labels; None where they do not say.
        fractions: Whether boxes are in fractions of the upright image's width and height; else in pixels from the
            image's left and upper edge.
        extra: What else an image of a COCO file has: keys that images can be grouped by.
    """

    path: Path
    name: str
    boxes: Sequence[Box] = ()
    said: tuple[int, int] | None = None
    fractions: bool = False
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """What a format's reader gives of a folder.

    Attributes:
        classes: Their names in the source's own order; every box has one of them.
        splits: Pictures by the split, one of `SPLITS` or `NO_SPLIT`.
        unlabelled: Splits that have images alone: a test split that is kept secret.
    """

    classes: Sequence[str]
    splits: Mapping[str, Sequence[Picture]]
    unlabelled: frozenset[str] = frozenset()

    @property
    def is_divided(self) -> bool:
        """Whether it has splits; images of none are then left out, for they may be those of any."""
        return any(found for split, found in self.splits.items() if split != NO_SPLIT)


@dataclass(frozen=True)
class Format:
    """A form that labelled images come in.

    Attributes:
        key: Its name on the command line.
        title: Its name for readers.
        sought: What it is recognised by, for the message that nothing was.
        recognise: Says by what it knows a folder, empty where it does not; reads names and the beginnings of files.
        read: Reads a folder that it knows; enters in the ledger what it leaves out.
            Raises `UserError` with every problem where nothing right can come of it.
    """

    key: str
    title: str
    sought: str
    recognise: Callable[[Path], str]
    read: Callable[[Path, Ledger], Source]
