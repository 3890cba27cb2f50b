"""What the parameters of a study are set in: the row's config, or its recipe where that has all there is to set."""

from __future__ import annotations

from pydantic import ValidationError

from benchmark.config.overrides import apply_overrides
from benchmark.config.tree import Config, Overrides
from benchmark.errors import UserError, attempt
from benchmark.experiment.experiment import Row
from benchmark.tuning.search.space import Space
from benchmark.validation import worded


def settings_of(row: Row, config: Config) -> Config:
    """What the key paths of a search lead into: of a fused row ``fuse.iou`` and the like."""
    return row.recipe.model_dump(mode="json") if row.recipe.is_tuned else config


def with_settings(row: Row, overrides: Overrides) -> Row:
    """A row whose recipe has other values; see `Recipe.is_tuned`.

    Raises:
        UserError: With every key path that the recipe does not have, and every value that it does not take.
    """
    content = dict(settings_of(row, {}))
    if problems := apply_overrides(content, overrides.items()):
        raise UserError(problems)
    kind = type(row.recipe)
    try:
        recipe = kind.model_validate(content)
    except ValidationError as error:
        raise UserError([worded(problem, "recipe", kind) for problem in error.errors()]) from None
    return row.model_copy(update={"recipe": recipe})


def misfits(row: Row, space: Space) -> list[str]:
    """What of a space the row's recipe does not take: each parameter is tried at its ends beside the row's setting."""
    problems: list[str] = []
    for name, overrides in space.ends():
        found: list[str] = []
        attempt(found, with_settings, row, overrides)
        problems += [f"search.{name}: {problem}" for problem in found]
    return problems
