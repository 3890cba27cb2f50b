"""Reading a dataclass back from JSON that another version may have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def known_fields(kind: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass that this version knows: a later one may have written more."""
    names = kind.__dataclass_fields__.keys()
    if value.keys() <= names:
        return dict(value)
    return {key: item for key, item in value.items() if key in names}
