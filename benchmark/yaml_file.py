"""YAML files from users: read with a safe loader, validated at the door, all problems at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from benchmark.errors import UserError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=100)]

_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


class Strict(BaseModel):
    """A mapping of a file: unknown keys are refused, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


_Model = TypeVar("_Model", bound=Strict)


def exponents(value: object) -> object:
    """``value`` with texts like ``1e-4`` as numbers: YAML 1.1 wants a dot and a sign in them."""
    if isinstance(value, dict):
        return {key: exponents(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exponents(item) for item in value]
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def read_yaml(path: Path, kind: str) -> dict[str, Any]:
    """Reads a mapping.

    Args:
        path: The file.
        kind: What it should be, for the message: ``an experiment is a mapping with 'rows'``.

    Raises:
        UserError: It cannot be read, is not YAML, or is not a mapping.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (
        yaml.YAMLError,
        ValueError,
    ) as error:  # bytes that are no text, a path with a null in it
        raise UserError(f"{path}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: {kind}; this is {type(content).__name__}")
    return content


def validated(model: type[_Model], content: Mapping[str, object], path: Path, whole: str) -> _Model:
    """``content`` as a ``model``.

    Args:
        model: What it should be.
        content: What a file holds.
        path: The file, for the messages.
        whole: Name of the whole, for a problem that is no single field's.

    Raises:
        UserError: With every problem, each naming its field.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError([f"{path}: {_worded(p, whole)}" for p in error.errors()]) from None


def _worded(problem: ErrorDetails, whole: str) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or whole
    value = problem["input"]
    shown = f" (got {value!r})" if isinstance(value, str | int | float | bool | None) else ""
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}{shown}"
