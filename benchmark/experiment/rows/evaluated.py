"""Rows of weights that are given: a config and a checkpoint, evaluated and not trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.experiment.rows.base import Layer, Surroundings
from benchmark.experiment.rows.config import ConfigName, WholeRecipe
from benchmark.models import file_name
from benchmark.writing.addresses import public

EVALUATED = "only_evaluated"
"""In a layer: the model is built to take the weights of ``load_from``, and loads and freezes none before."""


class EvaluatedRecipe(WholeRecipe):
    """A model as a config file has it, with weights that are given: it is evaluated as they are.

    No profile changes the model or the size of its images, since the weights are of both; under one that takes some of
    the validation images, it is evaluated on the same ones as the other rows.

    Attributes:
        checkpoint: The weights: ``zoo``, those that mmdet names for the config; an address; or a path relative to the
            experiment file.
    """

    checkpoint: ConfigName

    @property
    def weights(self) -> tuple[str, str] | None:
        """What is evaluated."""
        return "checkpoint", self.checkpoint

    @property
    def labels(self) -> Mapping[str, str]:
        """Whose training it was, in the place of the schedule that the config has: ``given: mine.pth``."""
        return {"Learning Method": f"given: {file_name(public(self.checkpoint))}"}

    def seeds(self, own: Sequence[int], asked: Sequence[int] | None) -> tuple[int, ...]:
        """The experiment's first, whatever is asked for: nothing is drawn, and every run would be the same."""
        return (own[0],)

    def making(self, around: Surroundings) -> Mapping[str, object]:
        """That it is evaluated; which weights they are counts with the config."""
        return {"evaluated": "load_from"}

    def layers(self, around: Surroundings) -> Sequence[Layer]:
        """Those of the config, and no profile.

        Raises:
            UserError: There is no such config, or no checkpoint of it.
        """
        return (*self.whole(around), {EVALUATED: True})
