"""Rows whose boxes are given: files that some other program has written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from filecmp import cmp
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from benchmark.experiment.rows.base import Layer, Recipe, Surroundings
from benchmark.files import is_file, is_folder
from benchmark.yaml_file import Strict

Numbering = Literal["ids", "from 0", "from 1"]
"""What category numbers of a file are: ids of the annotations, or places in the order of classes."""
ImageNaming = Literal["ids", "names"]
"""What numbers for images of a file are: ids of the annotations, or file names that are numbers (``0012.jpg``)."""

_Files = Annotated[list[Path], Field(min_length=1)]


class GivenFiles(Strict):
    """Files of boxes by split, one a seed, relative to the experiment file unless absolute.

    Attributes:
        val: Boxes on the validation images; of a divided data set on all images that were divided. None where those
            of test are all that there are: then the row has no val score.
        test: Boxes on the test split; as many files as ``val`` has, or None.
    """

    val: _Files | None = None
    test: _Files | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """A file or a list of files stands for those of val."""
        if isinstance(value, str | Path | list):
            return {"val": value}
        if not isinstance(value, dict | GivenFiles):
            raise ValueError(
                "give a file, a list of files (one a seed), or a mapping, {val: FILE, test: FILE}"
            )
        return value

    @field_validator("val", "test", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _as_many(self) -> GivenFiles:
        if not self.by_split:
            raise ValueError("give 'val', 'test', or both")
        if self.val and self.test and len(self.test) != len(self.val):
            raise ValueError(
                f"'val' has {len(self.val)} files and 'test' {len(self.test)}; give one of each a seed"
            )
        for split, files in self.by_split.items():
            twice = [str(path) for n, path in enumerate(files) if path in files[:n]]
            if twice:
                raise ValueError(f"'{split}' has {twice[0]} twice; each file is a seed of its own")
        return self

    @property
    def by_split(self) -> Mapping[str, Sequence[Path]]:
        """The files of each split that has some."""
        files = {"val": self.val, "test": self.test}
        return {split: paths for split, paths in files.items() if paths}

    @property
    def first(self) -> Sequence[Path]:
        """The files of the first split that has some, one a seed."""
        return next(iter(self.by_split.values()))


class PredictionsRecipe(Recipe):
    """Boxes that some other program has found, from COCO results or a challenge's CSV.

    Attributes:
        predictions: The files. Several of a split are several seeds: the first is that of the experiment's first
            seed, and so on; further ones count on from its largest.
        categories: What category numbers in them are, where the files leave it open.
        images: What numbers for images in them are, where the files leave it open.
    """

    predictions: GivenFiles
    categories: Numbering | None = None
    images: ImageNaming | None = None

    @property
    def names(self) -> Mapping[str, str]:
        """The files, as the row has them."""
        kinds = {"val": "predictions", "test": "test predictions"}
        files = self.predictions.by_split.items()
        return {kinds[split]: ", ".join(map(str, paths)) for split, paths in files}

    @property
    def labels(self) -> Mapping[str, str]:
        """The files with their folders, ``yolo/predictions``: nothing else says what has found the boxes."""
        return {"Model": ", ".join(map(_short_name, self.predictions.first))}

    def seeds(self, own: Sequence[int], asked: Sequence[int] | None) -> tuple[int, ...]:
        """One a file, whatever is asked for."""
        count = len(self.predictions.first)
        further = range(max(own) + 1, max(own) + 1 + count - len(own))
        return (*own[:count], *further)

    def of_seed(self, number: int) -> Recipe:
        """The row with the files of one seed alone."""
        files = {split: [paths[number]] for split, paths in self.predictions.by_split.items()}
        return self.model_copy(update={"predictions": GivenFiles.model_validate(files)})

    def making(self, around: Surroundings) -> Mapping[str, object]:
        """Absolute paths of the files of the first seed by split, and what the row says of them."""
        files = {split: paths[0] for split, paths in self._placed(around).items()}
        said = {"categories": self.categories, "images named by": self.images}
        return {
            "boxes": "given",
            "files": {split: str(path) for split, path in files.items()},
            **{key: value for key, value in said.items() if value is not None},
        }

    def given(self, around: Surroundings) -> Mapping[str, str]:
        """That there are boxes of the test split alone, if so."""
        return {} if self.predictions.val else {"boxes": "test"}

    def layers(self, around: Surroundings) -> Sequence[Layer]:
        """None: nothing is trained."""
        return ()

    def problems(self, around: Surroundings) -> list[str]:
        """A message for each file that is not there, or is another seed's once more.

        What is in them is looked at when the data is known.
        """
        told = []
        for split, paths in self._placed(around).items():
            told += [
                f"predictions.{split}: {path}: {_LACK[is_folder(path)]}"
                for path in paths
                if not is_file(path)
            ]
            alike = [(a, b) for a, b in combinations(paths, 2) if _hold_the_same(a, b)]
            told += [
                f"predictions.{split}: {b} holds the same as {a}; each file is a seed of its own"
                for a, b in alike
            ]
        return told

    def _placed(self, around: Surroundings) -> Mapping[str, Sequence[Path]]:
        return {
            split: [(around.folder / _of_home(path)).absolute() for path in paths]
            for split, paths in self.predictions.by_split.items()
        }


_LACK = {
    False: "no such file; a path is relative to the experiment file, and an address (https://) is not fetched",
    True: "it is a folder; name the file in it",
}


def _hold_the_same(a: Path, b: Path) -> bool:
    with suppress(OSError):  # one is not there, or cannot be read: that is told elsewhere
        return cmp(a, b, shallow=False)
    return False


def _of_home(path: Path) -> Path:
    with suppress(RuntimeError):  # a user that this machine does not know
        return path.expanduser()
    return path


def _short_name(path: Path) -> str:
    """A file's name without its ending, behind that of its folder: many are called ``predictions.json``."""
    return (
        path.with_suffix("").as_posix()
        if len(path.parts) < 3
        else f"{path.parent.name}/{path.stem}"
    )
