"""Rows that are made from a config file: one of mmdet's, or of the user's."""

from __future__ import annotations

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


class ConfigRecipe(Recipe):
    """A model and its schedule as a config file has them, on the experiment's data set.

    Attributes:
        config: ``mmdet::family/file.py``, the name of such a file alone (``faster-rcnn_r50_fpn_1x_coco``), or a path
            relative to the experiment file.
        replace: Parts in the place of the config's own.
    """

    config: ConfigName
    replace: Replaced = Replaced()

    @property
    def names(self) -> Mapping[str, str]:
        """The config's name as the row has it, and those of the parts in its place."""
        return {"config": self.config, **self.replace.names}

    def layers(self, around: Surroundings) -> Sequence[Layer]:
        """The runtime is before the config, so that the config's own settings win; the profile acts on all of it.

        Raises:
            UserError: There is no such config.
        """
        replaced = self.replace.names.items()
        return (
            "runtime.py",
            Foreign(str(config_file(self.config, around.folder)), self.config),
            *(in_place(kind, name) for kind, name in replaced),
            part_file("profile", around.profile),
        )

    def problems(self, around: Surroundings) -> list[str]:
        """A message for a config that is not there, and for each name that is not a part."""
        wrong: list[str] = []
        attempt(wrong, config_file, self.config, around.folder)
        looked_up = (
            (kind, no_such_part(kind, name, around.roots))
            for kind, name in self.replace.names.items()
        )
        return [
            *(f"config '{self.config}': {problem}" for problem in wrong),
            *(f"replace.{kind}: {problem}" for kind, problem in looked_up if problem),
        ]
