"""Walks over a config's mappings and lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

Config = dict[str, Any]
"""A config, or a mapping within one: text, numbers, None, lists, tuples and mappings, as mmengine reads them."""

Overrides = dict[str, Any]
"""Values by key path of a config."""


def leaves(node: object, times: int) -> Iterator[tuple[Config, int]]:
    """Each leaf, and how many times an epoch repeats it."""
    if isinstance(node, list | tuple):
        for item in node:
            yield from leaves(item, times)
    elif isinstance(node, dict) and is_leaf(node):
        yield node, times
    elif isinstance(node, dict):
        for value in node.values():
            yield from leaves(value, times * int(node.get("times", 1)))


def is_leaf(node: Config) -> bool:
    """Whether a mapping is a data set that reads an annotation file, be it one that is still to be filled in."""
    return "ann_file" in node or node.get("type") in ("CocoDataset", "mmdet.CocoDataset")


def dicts(node: object) -> Iterator[Config]:
    """Every mapping within a node, itself included."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if is_list(node) else ():
        yield from dicts(child)


def replaced(node: Any, path: Sequence[str | int], value: object) -> Any:
    """A copy of a node, its other children shared, with the value at a path of keys and positions.

    Raises:
        KeyError, IndexError: What lies before the path's end is not there.
    """
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(node, dict):
        return {**node, key: replaced(node[key], rest, value) if rest else value}
    items = list(node)
    items[int(key)] = replaced(items[int(key)], rest, value)
    return type(node)(items)


def is_list(value: object) -> TypeGuard[Sequence[object]]:
    """Whether a value is a list or a tuple: mmengine writes either."""
    return isinstance(value, list | tuple)
