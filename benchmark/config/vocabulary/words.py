"""How the rules look at a config, and the words that they share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from benchmark.config.tree import Config, is_list
from benchmark.config.vocabulary.signatures import Signature, Table
from benchmark.errors import allowed, shown

# Registries whose classes the tables hold; a name in another, as in 'mmpretrain.ResNet', is left to the job.
_SCOPES = ("mmdet", "mmengine", "mmcv")
_FOR_ALL = {"type", "_scope_"}


def class_of(node: object) -> str:
    """The class that a mapping names, without ``mmdet.`` or another of the registries; empty if it names none."""
    name = node.get("type") if isinstance(node, dict) else None
    if not isinstance(name, str):
        return ""
    scope, _, rest = name.partition(".")
    return rest if scope in _SCOPES else name


def each(node: object, key: str) -> Iterator[tuple[str, object]]:
    """The items of a list, or the one value that stands for a list of one, with their keys; nothing for None."""
    if is_list(node):
        yield from ((f"{key}.{i}", item) for i, item in enumerate(node))
    elif node is not None:
        yield key, node


def mapping_of(node: object) -> Config:
    """A mapping, or an empty one in place of anything else."""
    return node if isinstance(node, dict) else {}


def named_hooks(config: Config) -> Iterator[tuple[str, Config]]:
    """Every hook that is a mapping, with its key."""
    for name, hook in mapping_of(config.get("default_hooks")).items():
        yield f"default_hooks.{name}", mapping_of(hook)
    if is_list(config.get("custom_hooks")):
        yield from ((k, mapping_of(h)) for k, h in each(config["custom_hooks"], "custom_hooks"))


def one_of(
    key: str, node: Mapping[str, object], name: str, choices: Iterable[str]
) -> Iterator[str]:
    """Says that a value is none of those that are allowed; nothing for one that is not given."""
    value, known = node.get(name), tuple(choices)
    if value is not None and value not in known:  # a list is in no set
        yield f"{key}.{name}: {shown(value)}; {allowed(str(value), known)}"


@dataclass(frozen=True)
class Kind:
    """A kind of class that a config names.

    Attributes:
        noun: What it is called in a message.
        table: Its classes.
        extra: Arguments that any of them may have.
        own: Whether the config imports classes of its own, so that an unknown name may be one.
    """

    noun: str
    table: Table
    extra: frozenset[str] = frozenset()
    own: bool = False

    def misfits(self, key: str, node: object) -> Iterator[str]:
        """What does not fit a mapping that names a class: the class, or its arguments."""
        if not isinstance(node, dict):
            yield f"{key}: {shown(node)} is no mapping with the type of a {self.noun}"
            return
        name = class_of(node)
        if not name:
            yield f"{key}: needs a 'type', the name of a {self.noun}"
        elif name in self.table:
            yield from unfit_arguments(key, name, node, self.table[name], self.extra)
        elif not self.own and "." not in name:
            yield (
                f"{key}.type: no {self.noun} {name!r}; {allowed(name, self.table)}"
                " (a class of your own needs custom_imports)"
            )


def unfit_arguments(
    key: str, name: str, node: Config, takes: Signature, extra: frozenset[str] = frozenset()
) -> Iterator[str]:
    """A message for each argument that a class does not take, and for each that it lacks."""
    known = {*takes.arguments, *extra, *_FOR_ALL}
    for argument in [] if takes.open else [a for a in node if a not in known]:
        names = allowed(argument, {*takes.arguments, *extra})
        yield (
            f"{key}.{argument}: {name} takes no {argument!r}; {names}"
            " (a mapping with _delete_: true replaces the whole one)"
        )
    for argument in takes.required:
        if argument not in node:
            yield f"{key}: {name} needs {argument!r}"


def not_a_number(
    key: str, node: Mapping[str, object], name: str, least: float, whole: bool = False
) -> Iterator[str]:
    """Says that a value is no finite number, or no whole one, from ``least`` on; nothing for one that is not given."""
    value = node.get(name)
    if value is None:
        return
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
        good = False
    else:
        good = value >= least
    if not good:
        yield f"{key}.{name}: {shown(value)} is no {'whole ' if whole else ''}number from {least:g} on"


def is_local(backend: object) -> bool:
    """Whether ``backend_args`` leave files where they are: on the local disk."""
    return backend is None or (
        isinstance(backend, dict) and backend.get("backend", "local") == "local"
    )


def elsewhere(key: str, node: Config) -> Iterator[str]:
    """Says that a mapping reads its files from somewhere else than the local disk."""
    backend = node.get("backend_args")
    if isinstance(backend, dict) and not is_local(backend):
        yield f"{key}.backend_args: {shown(backend)}: the data is local; leave it out"


def imports_own(config: Config) -> bool:
    """Whether a config imports modules that may register classes."""
    return bool(config.get("custom_imports"))
