"""What a COCO-format dataset on disk is: its splits, its classes, and the hashes of its annotation files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.data.annotations import Annotations, Images, read_annotations
from benchmark.data.image_folder import read_folder
from benchmark.data.memory import Memory


@dataclass(frozen=True)
class Split:
    """One part of a dataset: ``train``, ``val`` or ``test``.

    Attributes:
        annotations: Absolute path of the COCO annotation file; that of the images' folder where there is none.
        images: Absolute path of the folder that the ``file_name`` of an image is relative to.
        sha256: Hex SHA-256 of the annotation file's bytes, see `benchmark.data.image_folder.hash_of` where there is
            none; empty for a file that is not there.
        labelled: Whether it says which objects there are, as all do but a test split that is kept secret.
    """

    annotations: Path
    images: Path
    sha256: str
    labelled: bool = True

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of images, without an annotation file."""
        return not self.labelled and self.annotations == self.images

    def read(self) -> Annotations:
        """What it holds; of an unlabelled one the images, and the categories if the file lists them.

        Raises:
            UserError: The annotation file or the folder cannot be read, or is not in COCO's form.
        """
        if self.is_folder:
            return read_folder(self.images)
        return read_annotations(self.annotations, of_images=not self.labelled)

    def read_images(self, memory: Memory) -> Images:
        """The images that it lists, as `read` tells them.

        Raises:
            UserError: As `read` does.
        """
        if self.is_folder:
            return read_folder(self.images).images
        return memory.images(self.annotations, of_images=not self.labelled)


@dataclass(frozen=True)
class Fold:
    """Which part of a divided data set stands in the place of val; all other parts together are train.

    Attributes:
        number: From 0.
        count: How many parts there are.
        sha256: Hex SHA-256 of the division: which images are in which part.
        whole: The split that was divided.
        parts: Of each part, hex SHA-256 of the annotation files of its train and val.
    """

    number: int
    count: int
    sha256: str
    whole: Split
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Dataset:
    """A COCO-format dataset on disk.

    Attributes:
        name: Short name for display, the folder's name unless the experiment gives one.
        classes: Category names in label order. mmdet numbers labels in the order in which the
            annotation file lists its categories, whatever their ids, so this is the order of
            ``categories`` in train.json.
        train: The training split.
        val: The validation split.
        masks: Whether every object of train and val has a mask, see `benchmark.data.entries.is_masked`.
        test: The test split, which nothing is trained or chosen on; None where there is none. It is no part of what
            makes two datasets the same, nor of a run's id.
        fold: Of a divided data set, which part ``val`` is; None where nothing is divided.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    masks: bool = False
    test: Split | None = None
    fold: Fold | None = None

    @property
    def hashes(self) -> tuple[str, str]:
        """What makes two datasets the same: SHA-256 of the annotation files of train and val.

        Of a divided one, whichever part it is, those of the file that was divided and of the division.
        """
        if self.fold is not None:
            return self.fold.whole.sha256, self.fold.sha256
        return self.train.sha256, self.val.sha256

    @property
    def folds(self) -> tuple[Dataset, ...]:
        """The data set of each part, in order; this one alone where nothing is divided."""
        if self.fold is None:
            return (self,)
        return tuple(self.with_fold(number) for number in range(self.fold.count))

    def with_fold(self, number: int) -> Dataset:
        """The same divided data set with another part in the place of val.

        Raises:
            ValueError: Nothing is divided, or there is no such part.
        """
        if self.fold is None or not 0 <= number < self.fold.count:
            raise ValueError(f"no part {number} of {self.name}")
        hashes = self.fold.parts[number]
        train, val = (
            replace(
                split,
                annotations=split.annotations.with_name(fold_file(number, name)),
                sha256=sha256,
            )
            for name, split, sha256 in zip(
                ("train", "val"), (self.train, self.val), hashes, strict=True
            )
        )
        return replace(self, train=train, val=val, fold=replace(self.fold, number=number))

    def with_categories(self, annotations: Annotations) -> Annotations:
        """What a split holds, with the categories of val where its file lists none.

        Raises:
            UserError: The annotations of val are needed, and cannot be read.
        """
        if annotations.categories:
            return annotations
        return replace(annotations, categories=read_annotations(self.val.annotations).categories)

    @property
    def is_absent(self) -> bool:
        """Whether it is only stated by an experiment, see `stated_dataset`."""
        return not any(self.hashes)


def fold_file(number: int, split: str) -> str:
    """Name of the annotation file of a fold's ``train`` or ``val``."""
    return f"fold-{number}-{split}.json"
