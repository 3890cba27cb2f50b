"""Where an experiment says that its data is, and how it is divided: the ``dataset`` block, and ``folds``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from benchmark.yaml_file import Name, Strict


class SplitPaths(Strict):
    """Paths of one split, relative to the experiment file unless absolute."""

    annotations: Path
    images: Path


class TestPaths(Strict):
    """Paths of the test split, relative to the experiment file unless absolute.

    Attributes:
        annotations: COCO annotation file; one of images alone where its objects are kept secret. None for a folder of
            images, all of which are the split.
        images: Folder of the images.
    """

    annotations: Path | None = None
    images: Path


_Sha256 = Annotated[
    str, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(lambda text: text.lower())
]


class Hashes(Strict):
    """SHA-256 of the annotation files of the splits, as ``detboard data check`` prints them."""

    train: _Sha256
    val: _Sha256
    test: _Sha256 | None = None


class DataSource(Strict):
    """Where the data is: a ``root`` folder as ``--data-root`` takes it, or the paths of the splits.

    Attributes:
        part: The dataset part under ``configs/datasets/``.
        name: Name for display; the folder's name if None.
        root: Folder with ``train.json``, ``val.json`` and, if there is a test split, ``test.json``.
        train: Paths of the training split.
        val: Paths of the validation split; where 'folds' divide the training split it may be missing.
        test: Paths of the test split, in place of a ``test.json`` in ``root``. None for that, or for no test split.
        classes: The class names that the data must have, in label order; None accepts whatever it has.
        sha256: Which data the published values are of: measured values on any other are not held against them. None
            for the data that lies at the place above.
    """

    part: Name = "coco"
    name: str | None = None
    root: Path | None = None
    train: SplitPaths | None = None
    val: SplitPaths | None = None
    test: TestPaths | None = None
    classes: list[str] | None = None
    sha256: Hashes | None = None

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> DataSource:
        if self.root and (self.train or self.val):
            raise ValueError("give either 'root' or 'train' and 'val', not both")
        if self.val and not self.train:
            raise ValueError("'train' and 'val' belong together: 'train' is missing")
        return self


def _folds(value: object) -> object:
    """Refuses what is neither a number of folds nor a path, in one sentence."""
    number = type(value) is int and 2 <= value <= MOST_FOLDS
    if value is None or number or (isinstance(value, str | Path) and str(value).strip()):
        return value
    raise ValueError(
        f"must be a number of folds from 2 to {MOST_FOLDS}, or a folder of fold files ('detboard data split' writes "
        "them)"
    )


MOST_FOLDS = 100
Folds = Annotated[int | Path | None, BeforeValidator(_folds)]
"""How the training split is divided: into so many parts, or as the fold files in a folder say; None: not at all."""
