"""Where a COCO-format dataset is, what its classes are, and the hashes of its annotation files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Split:
    """One half of a dataset.

    Attributes:
        annotations: Absolute path of the COCO annotation file.
        images: Absolute path of the folder that the ``file_name`` of an image is relative to.
        sha256: Hex SHA-256 of the annotation file's bytes.
    """

    annotations: Path
    images: Path
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """A COCO-format dataset on disk.

    Attributes:
        name: Short name for display, the folder's name unless the experiment gives one.
        classes: Category names in label order. mmdet numbers labels in the order in which the annotation file
            lists its categories, whatever their ids, so this is the order of ``categories`` in train.json.
        train: The training split.
        val: The validation split.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
