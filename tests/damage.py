"""Damages to the JSON files of a results folder: every field, with every wrong type in its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

DEEP = "[" * 5000 + "]" * 5000
WRONG = {
    "null": "null",
    "true": "true",
    "number": "5",
    "below": "-7.5",
    "text": '"text"',
    "nan": "NaN",
    "infinite": "1e999",
    "list": '["a", 1]',
    "mapping": '{"a": [1]}',
    "huge": "1" + "0" * 400,
    "deep": DEEP,
}
"""Values as they stand in JSON, by a word for each."""

_HERE = "\x01here\x01"


def paths(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every field of a JSON value, of lists the first item."""
    if above:
        yield above
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*above, key))
    elif isinstance(value, list) and value:
        yield from paths(value[0], (*above, 0))


def with_value(content: dict[str, Any], path: tuple[str | int, ...], value: str) -> str:
    """JSON text of ``content`` with ``value``, itself JSON, at a path."""
    copy = json.loads(json.dumps(content))
    node = copy
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = _HERE
    return json.dumps(copy).replace(json.dumps(_HERE), value)


def without(content: dict[str, Any], path: tuple[str | int, ...]) -> str:
    """JSON text of ``content`` without the field at a path."""
    copy = json.loads(json.dumps(content))
    node = copy
    for key in path[:-1]:
        node = node[key]
    del node[path[-1]]
    return json.dumps(copy)
