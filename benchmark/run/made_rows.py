"""What stands in the way of rows that do not train, as far as configs and overrides tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from benchmark.config.compose import changes_of, compose
from benchmark.config.faster import COMPILE, PRECISION
from benchmark.config.overrides import key_path
from benchmark.config.views import augmented
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError, attempt, few
from benchmark.experiment.experiment import Experiment, Row
from benchmark.experiment.rows.augmented import AugmentedRecipe
from benchmark.experiment.rows.base import Surroundings
from benchmark.experiment.rows.checkpoint import ZOO
from benchmark.experiment.rows.evaluated import EvaluatedRecipe

_OTHER_CLASSES = re.compile(r"\bnum_classes: (\d+) -> (\d+)")
# What says how a config is trained; nothing of it is used where it is evaluated alone.
_OF_TRAINING = (
    "auto_scale_lr",
    COMPILE,
    "optim_wrapper",
    "param_scheduler",
    PRECISION,
    "resume",
    "train_cfg",
    "train_dataloader",
)


def check_made(
    row: Row,
    experiment: Experiment,
    dataset: Dataset,
    around: Surroundings,
    overrides: Mapping[str, object],
) -> None:
    """Sees to it that a row that does not train can be made.

    Args:
        row: The row.
        experiment: Whose row it is.
        dataset: What it is made on.
        around: What its recipe may rest on.
        overrides: ``--set``.

    Raises:
        UserError: With everything that is in its way.
    """
    problems = ["gpus: it does not train, and takes one"] if row.gpus > 1 else []
    if isinstance(row.recipe, EvaluatedRecipe):
        problems += _of_training(row.overrides, overrides)
        if row.recipe.checkpoint == ZOO:
            problems += _of_other_classes(changes_of(row, dataset, around))
    if isinstance(row.recipe, AugmentedRecipe):
        source = next(other for other in experiment.rows if other.name == row.recipe.of)
        problems += _against_views(row.recipe, source, dataset, around, overrides)
    if problems:
        raise UserError(f"row '{row.name}': {problem}" for problem in problems)


def _of_training(own: Mapping[str, object], overrides: Mapping[str, object]) -> Iterator[str]:
    """Overrides that a row of given weights would pass over, or that would put others in their place.

    Those of the command line are for all rows: of a training they are left to the rows that train.
    """
    if any(_top(key) == "load_from" for key in (*own, *overrides)):
        yield "set: load_from would be evaluated in the place of 'checkpoint': name it there"
    if lost := [key for key in own if _top(key) in _OF_TRAINING]:
        yield f"set: {few(lost)}: it does not train: leave that out"


def _of_other_classes(changes: Iterable[str]) -> Iterator[str]:
    """Says that the weights of a config of mmdet's are of other classes than the data, by what was changed of it."""
    found = (_OTHER_CLASSES.search(line) for line in changes)
    if numbers := next(filter(None, found), None):
        theirs, ours = numbers.groups()
        yield (
            f"checkpoint: zoo tells {theirs} classes apart, and the data has {ours}; name a checkpoint of these "
            "classes, or start a training from it with 'load_from' in place of 'checkpoint'"
        )


def _top(key: str) -> str:
    return key_path(key).partition(".")[0]


def _against_views(
    recipe: AugmentedRecipe,
    source: Row,
    dataset: Dataset,
    around: Surroundings,
    overrides: Mapping[str, object],
) -> list[str]:
    """What stands against views of the images of another row's detectors."""
    config = compose(source, dataset, around, seed=0, overrides=overrides)
    of = f"of '{source.name}'"
    if not config:
        return [f"{of}: that row has no detector of its own, whose images could be augmented"]
    problems: list[str] = []
    attempt(problems, augmented, config, recipe.tta, {**source.overrides, **overrides})
    return [f"{of}: tta: {problem}" for problem in problems]
