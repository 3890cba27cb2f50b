"""Which file, or which words of a row, a key of its composed config comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmark.config.compose import layers_of
from benchmark.config.overrides import key_path
from benchmark.config.tree import is_list
from benchmark.experiment.experiment import Row
from benchmark.experiment.rows.base import Surroundings
from benchmark.experiment.rows.zoo import PREFIX, is_of_mmdet

_MOST = 3


class _Source(NamedTuple):
    """Something that sets keys.

    Attributes:
        name: What to call it.
        keys: Where its content stands in the config.
        content: What it sets there.
    """

    name: str
    keys: tuple[str, ...]
    content: object


def origins(row: Row, around: Surroundings, key: str, given: Mapping[str, object]) -> list[str]:
    """Where a key comes from: of a value what sets it last, of a mapping the last few that set what is in it.

    Args:
        row: The row.
        around: What its recipe rests on.
        key: A key path of the composed config.
        given: Those of the row's overrides that ``--set`` gave.

    Returns:
        Paths of config files, relative to the current folder where they are below it, and the words ``the row's
        'set'`` or ``--set`` with their keys; the last one first. Empty where nothing has the key or what it stands in.
    """
    layers = [_Source(_shown(Path(name)), (), content) for name, content in layers_of(row, around)]
    sources = [*layers, *_of("the row's 'set'", row.overrides), *_of("--set", given)]
    keys = key.split(".")
    while keys:
        if found := list(dict.fromkeys(_setting(sources, keys))):
            return found[:_MOST]
        keys = keys[:-1]
    return []


def _of(words: str, overrides: Mapping[str, object]) -> Iterator[_Source]:
    for key, value in overrides.items():
        path = key_path(key)
        yield _Source(f"{words} ({path})", tuple(path.split(".")), value)


def _setting(sources: Sequence[_Source], keys: Sequence[str]) -> Iterator[str]:
    """Names of what sets a key or what is in it, back to what replaces all before it."""
    for source in reversed(sources):
        shared = min(len(source.keys), len(keys))
        if tuple(keys[:shared]) != source.keys[:shared]:
            continue
        nodes = _walked(source.content, keys[shared:])
        if nodes and len(nodes) == len(keys) - shared + 1:
            yield source.name
            if any(_replaces(node) for node in nodes) and len(source.keys) <= len(keys):
                return


def _walked(node: object, keys: Sequence[str]) -> list[object]:
    """The nodes on a way, the first one included, as far as it leads."""
    found = [node]
    for key in keys:
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif is_list(node) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        else:
            break
        found.append(node)
    return found


def _replaces(node: object) -> bool:
    """Whether a merge puts a node in the place of what was there: all but a mapping, and one that says so."""
    return not isinstance(node, dict) or bool(node.get("_delete_"))


def _shown(path: Path) -> str:
    if is_of_mmdet(path):
        return f"{PREFIX}{path.parent.name}/{path.name}"
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
