"""What is asked of a row that learns from another row's boxes, too: which images they are of, and what counts of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from benchmark.config.tree import Config, dicts
from benchmark.config.vocabulary.words import class_of
from benchmark.data.dataset import Dataset, Split
from benchmark.data.places import images_at
from benchmark.errors import UserError, attempt
from benchmark.experiment.experiment import Experiment, Row
from benchmark.experiment.pseudo import TEST, Pseudo
from benchmark.experiment.rows.evaluated import EvaluatedRecipe
from benchmark.run.spec import PseudoLabels


def labels_of(
    row: Row, experiment: Experiment, dataset: Dataset, folder: Path, config: Config
) -> PseudoLabels | None:
    """What a row is to learn of another's boxes; None if it learns from labels alone.

    Args:
        row: The row.
        experiment: Whose row it is.
        dataset: What its runs are made on.
        folder: Of the experiment file: a path in a row is relative to it.
        config: The row's composed config.

    Raises:
        UserError: The images are not there, the other row cannot look at them, or the row learns masks, which such
            boxes do not have.
    """
    if row.pseudo is None:
        return None
    problems = [*_problems(config), *_blind(row.pseudo, experiment)]
    images = attempt(problems, _images, row.pseudo.images, dataset, folder)
    if problems or images is None:
        raise UserError(f"row '{row.name}': pseudo: {problem}" for problem in problems)
    return PseudoLabels(row.pseudo.score, images)


def _images(named: str, dataset: Dataset, folder: Path) -> Split:
    if named != TEST:
        return images_at((folder / Path(named).expanduser()).resolve())
    if dataset.test is None:
        raise UserError(
            "images: test: the data has no test split; name a folder of images, or give 'test' under 'dataset'"
        )
    return dataset.test


def _blind(asked: Pseudo, experiment: Experiment) -> list[str]:
    """Says that a row of boxes, which has no weights of its own, is to predict on images of which it has no boxes."""
    recipe = next(row.recipe for row in experiment.rows if row.name == asked.source)
    if asked.images == TEST or recipe.trains() or isinstance(recipe, EvaluatedRecipe):
        return []
    return [
        f"from '{asked.source}': that row has no detector of its own, which could look at other images: name one that "
        "is trained, or of given weights; or 'images: test', of which it has boxes"
    ]


def _problems(config: Config) -> list[str]:
    steps = dicts(config.get("train_dataloader"))
    masks = any(class_of(step) == "LoadAnnotations" and step.get("with_mask") for step in steps)
    told = "the row learns masks, and boxes that are predicted have none: leave the branch for masks out of its config"
    return [told] if masks else []


def counted(labels: PseudoLabels | None) -> dict[str, str]:
    """What counts of it into the run id; which run predicts the boxes counts as what the row is made from."""
    if labels is None:
        return {}
    text = json.dumps({"score": labels.score, "images": labels.images.sha256}, sort_keys=True)
    return {"pseudo": hashlib.sha256(text.encode()).hexdigest()}


def said_of(row: Row) -> tuple[str, ...]:
    """It in words, for the list of what was changed of a row's config."""
    if row.pseudo is None:
        return ()
    asked = row.pseudo
    where = "the test split" if asked.images == TEST else asked.images
    return (
        f"learns, beside the labels, boxes that row '{asked.source}' predicts on the images of {where} with a score "
        f"from {asked.score:g} on",
    )
