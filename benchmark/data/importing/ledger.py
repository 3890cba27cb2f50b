"""What an import leaves out, or takes otherwise than it stands, and why: with every name, and counted."""

from __future__ import annotations

from dataclasses import dataclass, field

NO_AREA = "boxes without area"
OUTSIDE = "boxes wholly outside of their image"
UNKNOWN_CLASS = "boxes of classes that the source does not list"
DROPPED_CLASS = "boxes of classes that --map drops"
NO_FILE = "images without a file"
NO_IMAGE = "labels without an image"
NO_LABELS = "images without labels"
NO_SPLIT_LISTS = "images of no split, in a source that has splits"
NO_SPLIT_FOLDER = "splits that are named and not there"
LISTED_NOT_THERE = "images that a split lists and that are not there"
TWO_NAMES = "labels of an image that others are of, too"
LEADS_OUT = "files whose name leads out of the source (absolute, or with '..')"
BAD_IMAGE = "entries of images with a field missing or wrong"
NO_BOX = "entries that are no box"
OTHER_SHAPES = "shapes that have no box"
OTHER_SIZE = "images of another size than their labels say: boxes would not fit"
NOT_UTF8 = "files whose name is not UTF-8: rename them"

NO_USE = "classes that stand for all others and have no box (Roboflow's class 0), left out"
TURNED = "boxes at an angle, taken as the upright box around them"
POLYGONS = "polygons, taken as the box around them, and kept as masks"
ROUND = "ellipses and masks, taken as the box around them"
NO_MASK = "masks of run lengths, which mmdet does not read of objects: the box alone is kept"
IN_TWO_SPLITS = "images that two splits list, taken for the first"
DIFFICULT = "objects marked as difficult, taken as crowds: not held against a detector"
EMPTY_PICTURES = "images without a file of labels, taken as images without an object"
TURNED_PICTURES = (
    "images labelled as they are stored, which EXIF turns: their boxes are turned with them"
)
MAYBE_TURNED = "images that EXIF turns and whose labels do not tell how they saw them: taken as of the upright image"
SAME_NAME = "classes that a source lists twice under one name: joined"
NO_JSON = "keys of images that no file of labels can hold, left out"
FOUND_WITHIN = "files found within the source by the end of their name: there is no such place as all of it says"
LINKED_OUT = "images that are links to files outside of the source"
RENAMED = "images renamed, for another has their name"
SAME_BYTES = "images renamed that are byte for byte the one with their name"


@dataclass
class Ledger:
    """The book that all readers write in.

    Attributes:
        left_out: By the reason, what is not in the imported data.
        lost_boxes: By the reason, how many boxes went with it.
        notes: By the kind, what was taken otherwise than one may think.
    """

    left_out: dict[str, list[str]] = field(default_factory=dict)
    lost_boxes: dict[str, int] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def leave(self, reason: str, item: str, boxes: int = 0) -> None:
        """Enters something that is left out.

        Args:
            reason: Why, one of the sentences above.
            item: What, by its file.
            boxes: How many boxes it had, or is.
        """
        self.left_out.setdefault(reason, []).append(item)
        self.lost_boxes[reason] = self.lost_boxes.get(reason, 0) + boxes

    def note(self, kind: str, item: str) -> None:
        """Enters something that is taken, but otherwise than it stands."""
        self.notes.setdefault(kind, []).append(item)
