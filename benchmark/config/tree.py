"""Walks over a config's mappings and lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def leaves(node: Any, times: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Each leaf, and how many times an epoch repeats it."""
    if isinstance(node, list | tuple):
        for item in node:
            yield from leaves(item, times)
    elif isinstance(node, dict) and "ann_file" in node:
        yield node, times
    elif isinstance(node, dict):
        for value in node.values():
            yield from leaves(value, times * int(node.get("times", 1)))


def dicts(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping within a node, itself included."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if is_list(node) else ():
        yield from dicts(child)


def is_list(value: Any) -> bool:
    """Whether a value is a list or a tuple: mmengine writes either."""
    return isinstance(value, list | tuple)
