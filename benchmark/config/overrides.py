"""Key paths into a config: ``optim_wrapper.optimizer.lr``, ``param_scheduler.1.gamma``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from benchmark.config.config_file import merged
from benchmark.config.tree import Config, is_list
from benchmark.errors import shown

# Filled in from the data set and the seeds, which a run's identity is made of: an override would go
# unseen.
_NOT_YOURS = {
    "ann_file": "comes from the data set: use --data-root, or the experiment's 'dataset'",
    "data_root": "comes from the data set: use --data-root, or the experiment's 'dataset'",
    "data_prefix": "comes from the data set: use --data-root, or the experiment's 'dataset'",
    "metainfo": "comes from the data set's own classes",
    "num_classes": "comes from the data set's own classes",
    "randomness.seed": "comes from the seeds: use --seeds, or the experiment's 'seeds'",
}

_Key = TypeVar("_Key", str, int)

# A list may replace one value that stands for all of its items, and a switch may be a word
# ('on_input').
_INTERCHANGEABLE = [{"text", "list"}, {"number", "list"}, {"text", "switch"}]


def apply_overrides(config: Config, overrides: Iterable[tuple[str, object]]) -> list[str]:
    """Sets values by key path, in place.

    A part of a path that is a number is an index of a list. ``+a.b`` adds a key; without the plus
    the key must exist. A mapping is merged into the mapping that it replaces, unless it has
    ``_delete_: true``.

    Args:
        config: Plain config, changed in place.
        overrides: Key paths and values, applied in order.

    Returns:
        What is wrong, a message each that names the key; the other overrides are applied.
    """
    return [problem for key, value in overrides if (problem := _apply(config, key, value))]


class _KeyProblemError(Exception):
    """Says what is wrong with the key or the value of an override."""


def _apply(config: Config, key: str, value: object) -> str | None:
    path = key.removeprefix("+")
    if reason := _reserved(path):
        return f"{key}: {reason}"
    try:
        first, *others = path.split(".")
        config[first] = _below(config, first, others, value, add=key.startswith("+"))
    except _KeyProblemError as error:
        return f"{key}: {error}{'' if key.startswith('+') else _nearest(config, path)}"
    except (_ValueProblemError, TypeError) as error:
        return f"{key}: {error}"
    return None


class _ValueProblemError(Exception):
    """The new value cannot stand where the old one stood."""


def _reserved(path: str) -> str | None:
    if path in _NOT_YOURS:
        return _NOT_YOURS[path]
    owned = [part for part in path.split(".") if part in _NOT_YOURS]
    return _NOT_YOURS[owned[0]] if owned else None


def _with(node: object, keys: list[str], value: object, add: bool) -> object:
    """A copy of ``node`` (its other children shared) with the value at ``keys`` replaced."""
    if isinstance(node, dict):
        return {**node, keys[0]: _below(node, keys[0], keys[1:], value, add)}
    if not is_list(node):
        raise _KeyProblemError(f"no such key: {type(node).__name__} has no '{keys[0]}'")
    index = _index(node, keys[0], add)
    items = dict(enumerate(node))
    items[index] = _below(items, index, keys[1:], value, add)
    return tuple(items.values()) if isinstance(node, tuple) else list(items.values())


def _below(
    children: dict[_Key, Any], key: _Key, keys: list[str], value: object, add: bool
) -> object:
    """The new child at ``key``: what ``keys`` lead to in it is replaced."""
    if key not in children and not add:
        raise _KeyProblemError(f"no such key '{key}'")
    if keys:
        return _with(children.get(key, {}), keys, value, add)
    return _fitted(children.get(key), value)


def _index(node: Sequence[object], key: str, add: bool) -> int:
    if key.isdecimal() and int(key) < len(node) + add:
        return int(key)
    raise _KeyProblemError(
        f"'{key}' is not an index of this list of {len(node)} (0 to {len(node) - 1})"
    )


def _fitted(old: object, new: object) -> object:
    """``new`` in the shape that the old value had: tuples stay tuples, which YAML cannot say."""
    if isinstance(old, dict) and isinstance(new, dict):
        return merged({"": new}, {"": old})[""]
    was, is_now = _kind(old), _kind(new)
    if "none" not in (was, is_now) and was != is_now and {was, is_now} not in _INTERCHANGEABLE:
        raise _ValueProblemError(
            f"{new!r} is a {is_now}; the value there is a {was} ({shown(old)}){_hint(was, new)}"
        )
    return _like(old, new)


def _kind(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "switch"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, dict):
        return "mapping"
    return "list" if is_list(value) else "text"


def _hint(was: str, new: object) -> str:
    if was != "number" or not isinstance(new, str):
        return ""
    try:
        return f"; write it as {float(new)!r} (YAML reads an exponent only after a decimal point)"
    except ValueError:
        return ""


def _like(old: object, new: object) -> object:
    if not isinstance(new, list | tuple) or not isinstance(old, list | tuple):
        return new
    items = [_like(old[min(i, len(old) - 1)], item) for i, item in enumerate(new)] if old else new
    return type(old)(items)


def _nearest(config: Config, path: str) -> str:
    paths = list(_paths(config, ""))
    leaf = path.rsplit(".", 1)[-1]
    near = difflib.get_close_matches(path, paths, n=1, cutoff=0.75)
    near = near or [known for known in paths if known.rsplit(".", 1)[-1] == leaf][:1]
    near = near or difflib.get_close_matches(path, paths, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"{hint} ('+{path}' adds a new key)"


def _paths(node: object, prefix: str) -> Iterator[str]:
    items: Iterable[tuple[object, object]] = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list | tuple):
        items = enumerate(node)
    for key, value in items:
        yield f"{prefix}{key}"
        yield from _paths(value, f"{prefix}{key}.")
