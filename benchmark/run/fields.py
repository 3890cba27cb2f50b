"""Reading a dataclass back from JSON that another version may have written."""

from __future__ import annotations

from typing import TypeVar

from benchmark.files import JsonObject

_Kind = TypeVar("_Kind")


def known_fields(kind: type[_Kind], value: JsonObject) -> _Kind:
    """A frozen dataclass of the fields that this version knows: a later one may have written more.

    Raises:
        TypeError: A field that has no default is missing.
    """
    names = kind.__dataclass_fields__.keys()  # type: ignore[attr-defined]
    if value.keys() != names:
        return kind(**{key: item for key, item in value.items() if key in names})
    # All are there: __init__ of a frozen dataclass sets them one by one, which with ten thousand records tells.
    made = object.__new__(kind)
    vars(made).update(value)
    return made
