"""The contract of a file format of boxes, and what such a file is held against."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.data.annotations import Annotations, Category
from benchmark.data.boxes.evidence import Objects
from benchmark.experiment.rows.predictions import ImageNaming as ImageNaming
from benchmark.experiment.rows.predictions import Numbering as Numbering

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.statistics.evaluation import Detections

Value = int | float | str
"""What may stand for an image or a class."""
_MOST_DIGITS = 20  # of an id of 64 bits; Python refuses to read numbers of thousands


def whole(value: Value) -> Value:
    """A whole number as one, though it be written ``3.0`` or ``"3"``; anything else as it is."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isdecimal() and len(text) < _MOST_DIGITS else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True)
class Target:
    """The images and classes that boxes are of, as an annotation file lists them.

    Attributes:
        name: What messages call it: ``val``.
        path: The annotation file.
        ids: Image ids, shape (I,), int64.
        files: ``file_name`` of each image.
        size: Width and height of each image in pixels, shape (I, 2), float64.
        categories: In label order.
        objects: What is to be found in them; None where nobody says.
    """

    name: str
    path: Path
    ids: NDArray[np.int64]
    files: Sequence[str]
    size: NDArray[np.float64]
    categories: Sequence[Category]
    objects: Objects | None = None

    @classmethod
    def of(cls, name: str, annotations: Annotations) -> Target:
        """The images of an annotation file, and its classes."""
        import numpy as np

        from benchmark.statistics.ids import places

        images, boxes = annotations.images, annotations.boxes
        size = np.column_stack([images.width, images.height]).astype(np.float64)
        objects = Objects(places(boxes.image_ids, images.ids), boxes.category_ids, boxes.xywh)
        known = objects if len(boxes.ids) else None
        listed = annotations.categories
        return cls(name, annotations.path, images.ids, images.files, size, listed, known)


Others = Callable[[], Sequence[Target]]
"""Reads the other splits of the data, which takes time and is needed only to say that a file is of one of these."""


@dataclass(frozen=True)
class Hints:
    """What is known of a file beside its content.

    Attributes:
        categories: What its category numbers are; None if nobody says.
        images: What its numbers for images are; None if nobody says.
        usual: Finds out what the category numbers are in another file of the same program, to be asked where nothing
            else tells.
    """

    categories: Numbering | None = None
    images: ImageNaming | None = None
    usual: Callable[[], Numbering | None] = lambda: None


@dataclass(frozen=True)
class Columns:
    """Boxes as a file has them, each column N long; nothing of it is looked up yet.

    Attributes:
        images: What names the image of each: a number or a text.
        names: File name of the image of each, where the file gives that beside; else empty.
        categories: What names the class of each: a number or a text.
        classes: Class name of each, where the file gives that beside; else empty.
        xywh: Boxes in pixels of the original image, shape (N, 4), float64.
        scores: Shape (N,), float64.
        listed: Every image that the file speaks of, those without boxes as well; empty where it cannot say.
        lines: Line of each in the file, shape (N,), int64; None where each is an entry of a list.
        numbering: What the numbers of its classes are by the format's own rule; None where it has none.
    """

    images: Sequence[Value]
    names: Sequence[str]
    categories: Sequence[Value]
    classes: Sequence[str]
    xywh: NDArray[np.float64]
    scores: NDArray[np.float64]
    listed: Sequence[str] = ()
    lines: NDArray[np.int64] | None = None
    numbering: Numbering | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def place(self, number: int) -> str:
        """Where a box stands in the file, for messages: ``entry 12``, ``line 3``."""
        return f"entry {number + 1}" if self.lines is None else f"line {self.lines[number]}"


class Format(ABC):
    """A file format of boxes: the base class of every entry of `benchmark.data.boxes.read.FORMATS`.

    Attributes:
        title: What messages call it.
    """

    title: ClassVar[str]

    @abstractmethod
    def is_of(self, data: bytes) -> bool:
        """Whether the beginning of a file's content, without a byte order mark, is of this format."""

    @abstractmethod
    def columns(self, data: bytes) -> Columns:
        """The boxes that a file's content holds.

        Args:
            data: UTF-8 without a byte order mark, and not empty.

        Raises:
            UserError: With everything in it that is no box; the messages do not name the file.
        """

    @abstractmethod
    def text(self, detections: Detections, target: Target) -> str:
        """The content of a file with these boxes; `columns` gives them back to the last digit that the file holds.

        Args:
            detections: The boxes; an image's stand in the order given.
            target: Their images and classes.
        """
