"""Classes of several sources joined by their names, after what ``--map`` says of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from benchmark.errors import UserError, allowed, attempt, few, lone_surrogate, printable, shown
from benchmark.yaml_file import read_yaml

ClassMap: TypeAlias = Mapping[str, str | None]
"""New names by the old ones; None drops a class."""


def read_map(given: Iterable[str]) -> ClassMap:
    """What ``--map`` was given: ``old=new``, ``old=`` to drop a class, or a YAML file of ``old: new``.

    Raises:
        UserError: With every problem: no such file, a class that is mapped twice, a name that is none.
    """
    problems: list[str] = []
    found: dict[str, str | None] = {}
    for one in given:
        for old, new in (attempt(problems, _pairs, one) or {}).items():
            if found.setdefault(old, new) != new:
                problems.append(f"--map: '{printable(old)}' is mapped twice, to different classes")
    if problems:
        raise UserError(problems)
    return found


def _pairs(given: str) -> ClassMap:
    path = Path(given)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _from_yaml(path)
    old, sign, new = given.partition("=")
    if not (sign and old):
        raise UserError(
            f"--map {printable(given)}: write OLD=NEW, OLD= to drop a class, or a .yaml file with lines of 'old: new'"
        )
    return {old: new or None}


def _from_yaml(path: Path) -> ClassMap:
    content = read_yaml(path, "a map of classes has lines of 'old: new', or 'old:' to drop a class")
    bad = [f"{old}: {shown(new)}" for old, new in content.items() if not _is_new(new)]
    if bad:
        raise UserError(f"{path}: no class names: {few(bad)}; write names like no and 1 in quotes")
    return {str(old): new or None for old, new in content.items()}


def _is_new(name: object) -> bool:
    return name is None or isinstance(name, str)


def joined(lists: Iterable[Sequence[str]], mapped: ClassMap) -> list[str]:
    """The classes of all sources: those of the first in its order, then what each next one adds.

    Raises:
        UserError: The map names classes that no source has, or drops all.
    """
    old = list(dict.fromkeys(name for names in lists for name in names))
    problems = [
        f"--map: no source has a class '{printable(name)}'; {allowed(name, old)}"
        for name in mapped
        if name not in old
    ]
    problems += [
        f"half of a surrogate pair in the name of class '{printable(name)}', which no table can hold: rename it"
        for name in [*old, *filter(None, mapped.values())]
        if lone_surrogate(name)
    ]
    found = dict.fromkeys(mapped.get(name, name) for name in old)
    classes = [name for name in found if name is not None]
    if not problems and not classes:
        problems.append("no class is left")
    if problems:
        raise UserError(problems)
    return classes


def alike(classes: Iterable[str]) -> list[str]:
    """Classes whose names differ in case, spaces or Unicode's form alone: ``can, Can``."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        plain = unicodedata.normalize("NFKC", name).casefold()
        groups.setdefault("".join(plain.split()).replace("_", "-"), []).append(name)
    return [", ".join(names) for names in groups.values() if len(names) > 1]
