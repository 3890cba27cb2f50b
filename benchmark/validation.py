"""What pydantic objects to in a file from a user, in the words of all other messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from benchmark.errors import allowed, shown

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$"
MODEL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.+:/-]*$"
TIME_PATTERN = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"

_KINDS = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
    "mapping": "a mapping",
    "model": "a mapping",
    "dataclass": "a mapping",
    "path": "a path",
    "finite_number": "a finite number",
}
_PATTERNS = {
    NAME_PATTERN: "letters, digits and _ . + - alone, the first one a letter or a digit",
    MODEL_PATTERN: "letters, digits and _ . + - : / alone, the first one a letter or a digit",
    TIME_PATTERN: "a time, as in 2026-01-31T12:00:00+00:00",
    "^[0-9a-fA-F]{64}$": "the 64 hexadecimal digits of a SHA-256",
}
_BOUNDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than_equal": lambda ctx: f"must be {ctx['ge']} or more",
    "greater_than": lambda ctx: f"must be more than {ctx['gt']}",
    "less_than_equal": lambda ctx: f"must be {ctx['le']} or less",
    "less_than": lambda ctx: f"must be less than {ctx['lt']}",
    "string_too_long": lambda ctx: f"must have {ctx['max_length']} letters or fewer",
    "string_too_short": lambda ctx: f"must have {ctx['min_length']} letters or more",
    "too_short": lambda ctx: f"must have {ctx['min_length']} items or more",
    "too_long": lambda ctx: f"must have {ctx['max_length']} items or fewer",
}


def worded(problem: ErrorDetails, whole: str, model: type[BaseModel] | None = None) -> str:
    """A problem in a sentence that names its field, and what stands there.

    Args:
        problem: One of a `pydantic.ValidationError`.
        whole: Name of the whole, for a problem that is no single field's.
        model: What was validated, for the keys that there are.
    """
    where = ".".join(str(part) for part in problem["loc"]) or whole
    value = problem["input"]
    plain = isinstance(value, str | int | float | bool | None) and problem["type"] != "missing"
    return f"{where}: {objection(problem, model)}{f' (got {shown(value)})' if plain else ''}"


def objection(problem: ErrorDetails, model: type[BaseModel] | None = None) -> str:
    """What is wrong, without the field and the value; see `worded`."""
    kind, ctx = problem["type"], problem.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return f"no such key{_keys_there(problem['loc'], model)}"
    if kind == "literal_error":
        expected = str(ctx["expected"])
        choices = re.findall(r"'([^']*)'", expected) or [expected]  # numbers have no quotes
        return allowed(str(problem["input"]), choices)
    if kind == "string_pattern_mismatch" and ctx["pattern"] in _PATTERNS:
        return f"must be {_PATTERNS[ctx['pattern']]}"
    if kind in _BOUNDS:
        return _BOUNDS[kind](ctx)
    known = re.sub(r"_(type|parsing|from_float|parsing_size)$", "", kind)
    if known in _KINDS:
        return f"must be {_KINDS[known]}"
    message = problem["msg"].removeprefix("Value error, ")
    return re.sub(r"^(Input|String|Value|Data) should", "must", message)


def _keys_there(where: Sequence[int | str], model: type[BaseModel] | None) -> str:
    """The keys that a mapping has in the place of one that it has not."""
    for part in where[:-1]:
        if model is not None and isinstance(part, str):
            model = next(_models_in(_fields(model).get(part)), None)
    return f"; {allowed(str(where[-1]), _fields(model))}" if model else ""


def _fields(model: type[BaseModel]) -> dict[str, object]:
    """What the values of the keys of a mapping are to be, but for fields that are no keys of a file."""
    hidden = getattr(model, "no_keys", ())
    more: dict[str, object] = dict.fromkeys(getattr(model, "more_keys", ()))
    return more | {
        key: field.annotation
        for name, field in model.model_fields.items()
        if name not in hidden
        for key in _names(name, field)
    }


def _names(name: str, field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [alias if isinstance(alias, str) else name]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
