"""Key paths into a config: ``optim_wrapper.optimizer.lr``, ``param_scheduler.1.gamma``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from benchmark.config.kinds import fitted, forced
from benchmark.config.tree import Config, is_list

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


def apply_overrides(config: Config, overrides: Iterable[tuple[str, object]]) -> list[str]:
    """Sets values by key path, in place.

    A part of a path that is a number is an index of a list. ``+a.b`` adds a key; without the plus
    the key must exist. A value has the kind of the one that it replaces, see
    `benchmark.config.kinds`; ``a.b!`` takes one of any kind. A mapping is merged into the mapping
    that it replaces, unless it has ``_delete_: true``.

    Args:
        config: Plain config, changed in place.
        overrides: Key paths and values, applied in order.

    Returns:
        What is wrong, a message each that names the key; the other overrides are applied.
    """
    return [problem for key, value in overrides for problem in _apply(config, key, value)]


class _KeyProblemError(Exception):
    """Says what is wrong with the key or the value of an override."""


def key_path(key: str) -> str:
    """The path of an override's key, without the marks: ``a.b`` of ``+a.b!``."""
    return key.removeprefix("+").removesuffix("!")


def given_twice(keys: Iterable[str]) -> list[str]:
    """A message for each key path that stands there more than once, with and without marks."""
    by_path: dict[str, list[str]] = {}
    for key in keys:
        by_path.setdefault(key_path(key), []).append(key)
    return [
        f"{path}: given {len(found)} times ({', '.join(found)}); once is enough"
        for path, found in by_path.items()
        if len(found) > 1
    ]


def passed_over(overrides: Mapping[str, object]) -> list[str]:
    """A message for each override that another one covers: which of both counts would be a matter of their order."""
    paths = [(key, key_path(key).split("."), value) for key, value in overrides.items()]
    return [
        f"{key_path(inner)}: is given in {key_path(outer)}, too; once is enough"
        for at, (outer, above, value) in enumerate(paths)
        for before, (inner, path, _) in enumerate(paths)
        if path[: len(above)] == above
        and len(path) > len(above)
        and _covers(value, path[len(above) :], before < at)
    ]


def _covers(value: object, path: Sequence[str], comes_after: bool) -> bool:
    """Whether a value that is put above a key path sets what stands there, or takes its place."""
    for key in path:
        if not isinstance(value, dict) or (comes_after and value.get("_delete_")):
            return comes_after
        if key not in value:
            return False
        value = value[key]
    return True


@dataclass(frozen=True)
class _Change:
    """What an override asks for: its key path, its value, and what its marks allow."""

    path: str
    value: object
    adds: bool
    of_any_kind: bool

    @classmethod
    def of(cls, key: str, value: object) -> _Change:
        return cls(key_path(key), value, key.startswith("+"), key.endswith("!"))

    def in_place_of(self, old: object) -> object:
        """The value as it is to stand where the old one stood."""
        if self.of_any_kind:
            return forced(old, self.value)
        value, problems = fitted(self.path, old, self.value)
        if problems:
            raise _ValueProblemError(problems)
        return value


def _apply(config: Config, key: str, value: object) -> list[str]:
    change = _Change.of(key, value)
    if reason := _reserved(change.path) or _reserved_in(change):
        return [f"{key}: {reason}"]
    try:
        first, *others = change.path.split(".")
        config[first] = _below(config, first, others, change)
    except _KeyProblemError as error:
        return [f"{key}: {error}{'' if change.adds else _nearest(config, change.path)}"]
    except _ValueProblemError as error:
        marked = key.removesuffix(change.path)
        return [f"{marked}{problem}" for problem in error.problems]
    except TypeError as error:
        return [f"{key}: {error}"]
    return []


class _ValueProblemError(Exception):
    """The new value cannot stand where the old one stood."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__()


def _reserved(path: str) -> str | None:
    if path in _NOT_YOURS:
        return _NOT_YOURS[path]
    owned = [part for part in path.split(".") if part in _NOT_YOURS]
    return _NOT_YOURS[owned[0]] if owned else None


def _reserved_in(change: _Change) -> str | None:
    """Why a mapping is refused in which the seed stands, which is filled in last of all."""
    value = change.value if isinstance(change.value, dict) else {}
    seeded = change.path == "randomness" and "seed" in value
    return _NOT_YOURS["randomness.seed"] if seeded else None


def _with(node: object, keys: list[str], change: _Change) -> object:
    """A copy of ``node`` (its other children shared) with the value at ``keys`` replaced."""
    if isinstance(node, dict):
        return {**node, keys[0]: _below(node, keys[0], keys[1:], change)}
    if not is_list(node):
        raise _KeyProblemError(f"no such key: {type(node).__name__} has no '{keys[0]}'")
    index = _index(node, keys[0], change.adds)
    items = dict(enumerate(node))
    items[index] = _below(items, index, keys[1:], change)
    return tuple(items.values()) if isinstance(node, tuple) else list(items.values())


def _below(children: dict[_Key, Any], key: _Key, keys: list[str], change: _Change) -> object:
    """The new child at ``key``: what ``keys`` lead to in it is replaced."""
    if key not in children and not change.adds:
        raise _KeyProblemError(f"no such key '{key}'")
    if keys:
        return _with(children.get(key, {}), keys, change)
    return change.in_place_of(children.get(key))


def _index(node: Sequence[object], key: str, add: bool) -> int:
    if key.isdecimal() and int(key) < len(node) + add:
        return int(key)
    raise _KeyProblemError(
        f"'{key}' is not an index of this list of {len(node)} (0 to {len(node) - 1})"
    )


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
