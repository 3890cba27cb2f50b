"""From the keys of a row in the file to its recipe, all problems at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

from benchmark.errors import allowed
from benchmark.experiment.rows import RECIPES
from benchmark.experiment.rows.base import Recipe
from benchmark.validation import objection


def read_recipe(
    content: Mapping[str, object], row_keys: Iterable[str], problems: list[InitErrorDetails]
) -> Recipe | None:
    """The recipe that the keys of a row name.

    Args:
        content: The keys of the row that are not among those that every row has, and their values.
        row_keys: The keys that every row has, for the messages.
        problems: Takes up everything that is wrong: an unknown key, no recipe or two, what the recipe objects to.

    Returns:
        None if there are problems.
    """
    named = _named(content)
    known = [key for name in named or RECIPES for key in RECIPES[name].model_fields]
    unknown = [key for key in content if key not in known]
    problems += [_unknown(key, content[key], {*row_keys, *known}) for key in unknown]
    if len(named) != 1:
        problems.append(_not_one(named, content))
        return None
    try:
        recipe = RECIPES[named[0]].model_validate({k: content[k] for k in content if k in known})
    except ValidationError as error:
        problems += _objections(error, RECIPES[named[0]])
        return None
    return None if unknown else recipe


def _named(content: Mapping[str, object]) -> list[str]:
    """The recipes that the keys name, but for one whose key is a further key of another that is named, too."""
    found = [key for key in RECIPES if key in content]
    return [
        key
        for key in found
        if not any(key in RECIPES[other].model_fields for other in found if other != key)
    ]


def _objections(error: ValidationError, recipe: type[Recipe]) -> list[InitErrorDetails]:
    """What a recipe objects to, with the keys that there are in place of those that there are not."""
    return [
        _problem(objection(raw, recipe), raw["loc"], raw["input"])
        if raw["type"] == "extra_forbidden"
        else told
        for raw, told in zip(error.errors(), details(error), strict=True)
    ]


def details(error: ValidationError) -> list[InitErrorDetails]:
    """The problems of a validation, to be raised together with those of another."""
    return [
        InitErrorDetails(type=_kind(p), loc=p["loc"], input=p["input"], ctx=p.get("ctx", {}))
        for p in error.errors()
    ]


def _kind(problem: ErrorDetails) -> str | PydanticCustomError:
    """The type of a problem; of one that pydantic adds to those of its core (``path_type``) with what it says."""
    kind, words = problem["type"], problem["msg"]
    return kind if kind in get_args(ErrorType) else PydanticCustomError(kind, words)


def _not_one(named: Sequence[str], content: Mapping[str, object]) -> InitErrorDetails:
    has = " and ".join(map(repr, named)) or "none"
    words = f"a row has exactly one of these keys: {', '.join(RECIPES)}; this one has {has}"
    return _problem(words, (), content)


def _unknown(key: str, value: object, keys: Collection[str]) -> InitErrorDetails:
    owners = [name for name, recipe in RECIPES.items() if key in recipe.model_fields]
    whose = f" of this kind, but of one with {' or '.join(map(repr, owners))}" if owners else ""
    return _problem(f"no such key in a row{whose}; {allowed(str(key), keys)}", (str(key),), value)


def _problem(words: str, where: tuple[int | str, ...], value: object) -> InitErrorDetails:
    ctx = {"error": ValueError(words)}
    return InitErrorDetails(type="value_error", loc=where, input=value, ctx=ctx)
