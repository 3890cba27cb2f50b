"""Rows that are made from a config file: one of mmdet's, or of the user's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from benchmark.errors import attempt
from benchmark.experiment.rows.base import (
    Foreign,
    Layer,
    Recipe,
    Surroundings,
    in_place,
    no_such_part,
    part_file,
)
from benchmark.experiment.rows.checkpoint import checkpoint_of
from benchmark.experiment.rows.made import BackboneName
from benchmark.experiment.rows.zoo import config_file
from benchmark.yaml_file import Name, Strict

ConfigName = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]

# Later ones fill in what depends on the channels of those before them, as in rows of parts.
_ORDER = ("dataset", "schedule", "head", "neck", "backbone")


class Replaced(Strict):
    """Names of parts that stand in the place of the config's own."""

    backbone: BackboneName | None = None
    neck: BackboneName | None = None
    head: BackboneName | None = None
    schedule: Name | None = None
    dataset: Name | None = None

    @property
    def names(self) -> Mapping[str, str]:
        """The names by kind, of the kinds that are replaced, in the order in which they are put in."""
        named = {kind: getattr(self, kind) for kind in _ORDER}
        return {kind: name for kind, name in named.items() if name is not None}


class WholeRecipe(Recipe):
    """A model as a config file has it, on the experiment's data set: what rows with ``config:`` share.

    Attributes:
        config: ``mmdet::family/file.py``, the name of such a file alone (``faster-rcnn_r50_fpn_1x_coco``), or a path
            relative to the experiment file.
        replace: Parts in the place of the config's own.
    """

    config: ConfigName
    replace: Replaced = Replaced()

    @property
    @abstractmethod
    def weights(self) -> tuple[str, str] | None:
        """The row's key that names weights of the whole detector, and what it says; None where it names none."""

    @property
    def names(self) -> Mapping[str, str]:
        """The config's name as the row has it, those of the parts in its place, and the weights that it names."""
        weights = dict([self.weights]) if self.weights else {}
        return {"config": self.config, **self.replace.names, **weights}

    def whole(self, around: Surroundings) -> Sequence[Layer]:
        """The layers up to the profile; the runtime is before the config, so that the config's own settings win.

        Raises:
            UserError: There is no such config, or no checkpoint of it.
        """
        replaced = self.replace.names.items()
        start = self._start(around)
        return (
            "runtime.py",
            Foreign(str(config_file(self.config, around.folder)), self.config),
            *(in_place(kind, name) for kind, name in replaced),
            *([{"load_from": start}] if start else []),
        )

    def problems(self, around: Surroundings) -> list[str]:
        """A message for a config that is not there, and for each name that is not a part."""
        wrong: list[str] = []
        if attempt(wrong, config_file, self.config, around.folder):
            attempt(wrong, self._start, around)
        looked_up = (
            (kind, no_such_part(kind, name, around.roots))
            for kind, name in self.replace.names.items()
        )
        return [
            *(f"config '{self.config}': {problem}" for problem in wrong),
            *(f"replace.{kind}: {problem}" for kind, problem in looked_up if problem),
        ]

    def _start(self, around: Surroundings) -> str | None:
        """The address or path of the weights; None if the row says nothing of them."""
        if self.weights is None:
            return None
        config = config_file(self.config, around.folder)
        return checkpoint_of(*self.weights, config, around.folder)


class ConfigRecipe(WholeRecipe):
    """A model and its schedule as a config file has them, trained on the experiment's data set.

    Attributes:
        load_from: Weights of a whole detector to start from: ``zoo``, the checkpoint that mmdet names for the config;
            an address; or a path relative to the experiment file. What of them does not fit is not loaded.
    """

    load_from: ConfigName | None = None

    @property
    def weights(self) -> tuple[str, str] | None:
        """What the training starts from."""
        return ("load_from", self.load_from) if self.load_from else None

    def layers(self, around: Surroundings) -> Sequence[Layer]:
        """The profile acts on all of the config.

        Raises:
            UserError: There is no such config, or no checkpoint of it.
        """
        return (*self.whole(around), part_file("profile", around.profile))
