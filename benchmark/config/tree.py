"""Walks over a config's mappings and lists."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, wraps
from typing import Any, NamedTuple, TypeGuard, TypeVar

Config = dict[str, Any]
"""A config, or a mapping within one: text, numbers, None, lists, tuples and mappings, as mmengine reads them."""

Overrides = dict[str, Any]
"""Values by key path of a config."""

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")

LISTS = (list, tuple)
WITHIN = (dict, *LISTS)
"""What values stand in, for checks in hot loops: those of a union are slow."""

_Found = TypeVar("_Found")
_WITHOUT_REFERENCES = 2  # version of marshal's format; later ones write what is shared once


class Leaf(NamedTuple):
    """A data set that reads an annotation file, where it stands, and how many times an epoch repeats it."""

    path: tuple[str | int, ...]
    node: Config
    times: int

    @property
    def key(self) -> str:
        """Its key path, as messages have it."""
        return ".".join(map(str, self.path))


def leaves(node: object, path: tuple[str | int, ...] = (), times: int = 1) -> Iterator[Leaf]:
    """The data sets that read annotation files, inside whatever repeats, joins or mixes them.

    Args:
        node: Whatever may hold them.
        path: Where the node itself stands.
        times: How many times an epoch repeats it.
    """
    if is_list(node):
        for position, item in enumerate(node):
            yield from leaves(item, (*path, position), times)
    elif isinstance(node, dict) and is_leaf(node):
        yield Leaf(path, node, times)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key), times * int(node.get("times", 1)))


def is_leaf(node: Config) -> bool:
    """Whether a mapping is a data set that reads an annotation file, be it one that is still to be filled in."""
    return "ann_file" in node or node.get("type") in ("CocoDataset", "mmdet.CocoDataset")


def dicts(node: object) -> Iterator[Config]:
    """Every mapping within a node, itself included, from the first to the last."""
    # No recursion, and no union, whose check is slow: a thousand rows have a million values.
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += [child for child in reversed(node.values()) if isinstance(child, WITHIN)]
        elif isinstance(node, LISTS):
            waiting += [child for child in reversed(node) if isinstance(child, WITHIN)]


def by_content(function: Callable[[object], _Found]) -> Callable[[object], _Found]:
    """A function of a node that finds the same in one that holds the same: rows differ in few of their sections.

    Args:
        function: Depends on nothing but what is in the node. What it returns is shared: nobody may change it.
    """

    @lru_cache(maxsize=4096)
    def found(content: bytes) -> _Found:
        return function(marshal.loads(content))

    @wraps(function)
    def look(node: object) -> _Found:
        content = content_of(node)
        return function(node) if content is None else found(content)

    return look


def content_of(node: object) -> bytes | None:
    """What is in a node, the same for nodes that hold the same values of the same types in the same order.

    None where it holds what a config file cannot.
    """
    try:
        return marshal.dumps(node, _WITHOUT_REFERENCES)  # type: ignore[arg-type]  # it raises
    except ValueError:
        return None


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
    return isinstance(value, LISTS)
