"""Rows that are composed from four parts, and grids of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field

from benchmark.experiment.rows.base import (
    Layer,
    Recipe,
    Surroundings,
    in_place,
    no_such_part,
    part_file,
)
from benchmark.experiment.rows.made import BackboneName, is_made
from benchmark.yaml_file import Name, Strict

PART_KINDS = ("backbone", "neck", "head", "schedule")
_TITLES = ("Backbone", "Neck", "Head", "Learning Method")  # of their columns


class PartNames(Strict):
    """Names of parts: files under ``configs/backbones/``, ``necks/``, ``heads/``, ``schedules/``.

    A backbone may be a model of timm or mmpretrain, or that of one of mmdet's configs.
    """

    backbone: BackboneName
    neck: Name
    head: Name
    schedule: Name


class PartsRecipe(Recipe):
    """A model and its schedule, composed from parts."""

    parts: PartNames

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the parts by kind."""
        return {kind: getattr(self.parts, kind) for kind in PART_KINDS}

    @property
    def labels(self) -> Mapping[str, str]:
        """The names of the parts."""
        return dict(zip(_TITLES, self.names.values(), strict=True))

    def layers(self, around: Surroundings) -> Sequence[Layer]:
        """The backbone comes after neck and head: it sets what depends on its channels."""
        order = ("dataset", "schedule", "head", "neck", "backbone", "profile")
        names = {**self.names, "dataset": around.dataset, "profile": around.profile}
        return ("runtime.py", *(_layer(kind, names[kind]) for kind in order))

    def problems(self, around: Surroundings) -> list[str]:
        """A message for each name that is not a part."""
        looked_up = ((kind, no_such_part(kind, n, around.roots)) for kind, n in self.names.items())
        return [f"{kind}: {problem}" for kind, problem in looked_up if problem]


def _layer(kind: str, name: str) -> Layer:
    return in_place(kind, name) if is_made(name) else part_file(kind, name)


class Grid(Strict):
    """Every combination of these parts becomes a row named ``backbone-neck-head-schedule``."""

    backbone: list[BackboneName] = Field(min_length=1)
    neck: list[Name] = Field(min_length=1)
    head: list[Name] = Field(min_length=1)
    schedule: list[Name] = Field(min_length=1)

    def rows(self) -> list[dict[str, object]]:
        """The rows as they would stand in the file."""
        kinds = [getattr(self, kind) for kind in PART_KINDS]
        combinations = [
            dict(zip(PART_KINDS, names, strict=True)) for names in itertools.product(*kinds)
        ]
        return [{"name": _named(parts.values()), "parts": parts} for parts in combinations]


def _named(parts: Iterable[str]) -> str:
    """The name of a row, in which a model's name has no marks that no file can have."""
    return re.sub(r"[/:]+", "_", "-".join(parts))
