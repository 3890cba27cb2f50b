"""The files that config files rest on: what a file says is known as long as none of them changes."""

from __future__ import annotations

import ast
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from benchmark.config.shipped import SHIPPED
from benchmark.data.seen import stamp

State = tuple[tuple[str, tuple[int, ...]], ...]
"""Of a config file, and of each that it rests on: where it is, and what changes when it does."""


def state_of(file: str) -> State:
    """What changes when a config file does, or one that it rests on, or when another takes the place of such a one.

    Raises:
        OSError: There is no such file.
    """
    at = stamp(file)
    if not _bases_in(file, at):
        return ((file, at),)  # as of most, of a thousand rows
    found: dict[str, tuple[int, ...]] = {}
    _look(file, found)
    return tuple(found.items())


def _look(file: str, found: dict[str, tuple[int, ...]]) -> None:
    found[file] = at = stamp(file)
    for base in map(_there, _bases_in(file, at)):
        if base not in found and os.path.isfile(base):  # noqa: PTH113 - as `stamp`
            _look(base, found)


def with_bases(path: Path) -> tuple[Path, ...]:
    """A config file and the files that it rests on, absolute; those of mmdet itself (``mmdet::``) have its version."""
    return files_of(state_of(str(path)))


@lru_cache(maxsize=1024)
def files_of(state: State) -> tuple[Path, ...]:
    """What `with_bases` gives, of a file in this state."""
    return tuple(dict.fromkeys(Path(file).resolve() for file, _ in state))


def base_file(path: Path, name: str) -> Path:
    """The file that a base is: beside the one that names it, else the shipped part of the same kind and this name."""
    return Path(_there(_places(path, name)))


class _Places(NamedTuple):
    """Where a base may be."""

    beside: str
    shipped: str


def _places(path: Path, name: str) -> _Places:
    return _Places(str(path.parent / name), str(SHIPPED / path.parent.name / name))


def _there(places: _Places) -> str:
    beside, shipped = places
    return shipped if not os.path.exists(beside) and os.path.isfile(shipped) else beside  # noqa: PTH110, PTH113


@lru_cache(maxsize=1024)
def _bases_in(file: str, _stamp: tuple[int, ...]) -> tuple[_Places, ...]:
    """The bases that a file names; none of one that is no Python, which whoever loads it says."""
    path = Path(file).resolve()
    with suppress(Exception):
        tree = ast.parse(path.read_bytes(), file)
        names = (name for node in tree.body for name in _named_bases(node, path))
        return tuple(_places(path, name) for name in names)
    return ()


def _named_bases(node: ast.AST, path: Path) -> list[str]:
    """What a statement names as bases: ``_base_ = [...]``, or imports in ``with read_base():``."""
    if isinstance(node, ast.With):
        return [base for inner in node.body for base in _named_bases(inner, path)]
    if isinstance(node, ast.ImportFrom) and node.level and node.module:
        folder = path.parents[node.level - 1]
        return [str(folder.joinpath(*node.module.split(".")).with_suffix(".py"))]
    if not isinstance(node, ast.Assign) or "_base_" not in map(_name_of, node.targets):
        return []
    texts = (n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant))
    return [text for text in texts if isinstance(text, str) and "::" not in text]


def _name_of(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""
