"""The recipes of rows, by the key that names one in a row of an experiment file."""

from __future__ import annotations

from benchmark.experiment.rows.augmented import AugmentedRecipe
from benchmark.experiment.rows.base import Recipe
from benchmark.experiment.rows.config import ConfigRecipe
from benchmark.experiment.rows.evaluated import EvaluatedRecipe
from benchmark.experiment.rows.fuse import FuseRecipe
from benchmark.experiment.rows.parts import PartsRecipe
from benchmark.experiment.rows.predictions import PredictionsRecipe

RECIPES: dict[str, type[Recipe]] = {
    "parts": PartsRecipe,
    "config": ConfigRecipe,
    "fuse": FuseRecipe,
    "checkpoint": EvaluatedRecipe,
    "tta": AugmentedRecipe,
    "predictions": PredictionsRecipe,
}


def recipe_key(recipe: Recipe) -> str:
    """The key of a recipe in `RECIPES`."""
    return next(key for key, kind in RECIPES.items() if type(recipe) is kind)
