"""The contract of a recipe: how a row of the leaderboard comes to its boxes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmark.errors import allowed
from benchmark.experiment.rows.made import MODELS_BY_NAME, cannot_be_made, is_made
from benchmark.yaml_file import Strict


@dataclass(frozen=True)
class Foreign:
    """A layer that is a whole config, made for another data set: it is retargeted before it is merged.

    Attributes:
        config: Absolute path of the file.
        name: What the row calls it.
    """

    config: str
    name: str


@dataclass(frozen=True)
class InPlace:
    """A layer that takes the place of what stands there of its kind, and is connected to what is around it.

    Attributes:
        kind: ``dataset``, ``schedule``, ``head``, ``neck`` or ``backbone``.
        layer: The part's file, relative to one of the roots; or the name of a model, see `is_made`.
        name: What the row calls it.
    """

    kind: str
    layer: str
    name: str


Layer = str | Mapping[str, object] | Foreign | InPlace
"""A config file, relative to a root or absolute, or a mapping, both of which are merged; or one of the two above."""


@dataclass(frozen=True)
class Surroundings:
    """What a recipe may rest on beside its own keys: the experiment that its row stands in.

    Attributes:
        folder: Folder of the experiment file; a path in a row is relative to it.
        roots: Folders that hold parts; the first that has a part wins.
        dataset: Name of the dataset part.
        profile: Name of the profile part.
        precision: What rows are trained in that do not say so themselves; None as their configs say.
        compile: Whether models of such rows are compiled; None as their configs say.
    """

    folder: Path
    roots: tuple[Path, ...]
    dataset: str
    profile: str
    precision: str | None = None
    compile: bool | None = None


class Recipe(Strict, ABC):
    """How a row comes to its boxes: the base class of every entry of `benchmark.experiment.rows.RECIPES`.

    A recipe is a pydantic model. Its fields are keys of a row in the experiment file, beside the keys that every
    row has (``name``, ``labels``, ``published``, ``leaderboard``, ``set``, ``gpus``, ``study``, ``pseudo``), none of
    which it may use. The field that is called like its key in `RECIPES` is required, and tells the recipe from the
    others.

    A recipe only says what it is made of; it reads no config and imports neither mmengine nor torch, since planning
    a thousand rows must take less than a second. `benchmark.config.compose` loads and merges what it names.

    A recipe trains unless it says by `making` how its runs come to their boxes otherwise: from a file, from other
    rows' boxes, from weights that are given. It then may have no layers, and its runs no config.
    """

    is_tuned: ClassVar[bool] = False
    """Whether a study sets keys of the recipe itself (``fuse.iou``), and not of a config: its runs have none."""

    @property
    @abstractmethod
    def names(self) -> Mapping[str, str]:
        """What the row is made of, by kind: ``{"backbone": "resnet50", ...}``.

        They are tags of a W&B run and stand in the dialog of the page.
        """

    @property
    def labels(self) -> Mapping[str, str]:
        """Cells of the table by column title, for the titles that the row has no label for; in the columns' order."""
        return {}

    @property
    def source_rows(self) -> tuple[str, ...]:
        """Names of the rows of the experiment whose runs it is made from, each once; a run waits for those."""
        return ()

    @property
    def over_seeds(self) -> bool:
        """Whether one run is made from all seeds of its source rows, rather than one from each that they share."""
        return False

    @property
    def over_folds(self) -> bool:
        """Whether a run of a fold rests on the runs of all folds of its source rows, not just of its own."""
        return False

    @property
    def needs_val(self) -> bool:
        """Whether it rests on its source rows' boxes on val, whatever it is judged on."""
        return False

    @classmethod
    def trains(cls) -> bool:
        """Whether its runs are trainings: it says nothing of how they come to their boxes otherwise."""
        return cls.making is Recipe.making

    def seeds(self, own: Sequence[int], asked: Sequence[int] | None) -> tuple[int, ...]:
        """The seeds of its runs; of a row with source rows those count of them that it shares with these.

        Args:
            own: Those of the experiment.
            asked: Those that a command asks for; None where it asks for none.
        """
        return tuple(asked or own)

    def of_seed(self, number: int) -> Recipe:
        """The recipe of the run with one of its `seeds`, counted from 0: itself unless each is given files of its own.

        Its `making` is that run's; of the row without layers, whose runs have no config that could differ.
        """
        return self

    def making(self, around: Surroundings) -> Mapping[str, object]:
        """How its runs come to their boxes where they do not train: plain values that JSON has; empty if they train.

        They stand in ``spec.json``, and count into the run id, but for what is under the key ``files``: paths, in the
        place of which hashes in `given` count. What makes the boxes is an entry of `benchmark.job.made.MAKERS`.
        """
        return {}

    @abstractmethod
    def layers(self, around: Surroundings) -> Sequence[Layer]:
        """The layers of the config, first to last; a later one wins, by mmengine's rules of merging.

        None at all where the row has no config.

        Each is a mmengine config file, relative to one of the roots (``"backbones/resnet50.py"``) or absolute, or a
        mapping of plain values; or it is not just merged, see `Foreign` and `InPlace`. The layers of the dataset and
        of the profile are among them, wherever the recipe wants them (`part_file`): a profile acts on what is before
        it. The row's overrides come after all layers.
        """

    def given(self, around: Surroundings) -> Mapping[str, str]:
        """What counts into the run id beside the config, by name: SHA-256 of given weights, of given boxes.

        Raises:
            UserError: A file cannot be read.
        """
        return {}

    def problems(self, around: Surroundings) -> list[str]:
        """What stands in the way of the row, each with the allowed values; empty if nothing does."""
        return []


def part_file(kind: str, name: str) -> str:
    """The file of a part, relative to a root: ``("backbone", "resnet50")`` is ``backbones/resnet50.py``."""
    return f"{kind}s/{name}.py"


def in_place(kind: str, name: str) -> InPlace:
    """The layer that puts a part in place, be it a file or made of a model."""
    return InPlace(kind, name if is_made(name) else part_file(kind, name), name)


def part_names(kind: str, roots: Sequence[Path]) -> list[str]:
    """Names of the parts of a kind (``backbone``, ``dataset``, ...) in all roots, sorted."""
    found = {path.stem for root in roots for path in root.glob(part_file(kind, "*"))}
    return sorted(name for name in found if not name.startswith("_"))


def no_such_part(kind: str, name: str, roots: Sequence[Path]) -> str | None:
    """Says that no root has a part, with the names of those that there are; None if one has it."""
    if is_made(name):
        return cannot_be_made(kind, name)
    if "/" not in name and any((root / part_file(kind, name)).is_file() for root in roots):
        return None
    models = f"; models by name: {MODELS_BY_NAME}" if kind == "backbone" else ""
    return f"no part '{name}'; {allowed(name, part_names(kind, roots))}{models}"
