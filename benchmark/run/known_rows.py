"""Rows of which the run ids are known: a plan of five thousand finished rows composes none of them.

What was found out about a row counts as long as all is as it was that its config is made from: the row and what its
experiment says for all of them, the data set, the parts, what could take their place, our code and mmdet's. A row that
is made from anything else, a file of its own or a module for example, is composed each time; so is every row of which
a run is not complete.
"""

from __future__ import annotations

import ast
import marshal
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from benchmark.config.bases import State, files_of, state_of
from benchmark.config.compose import layer_files
from benchmark.config.shipped import SHIPPED
from benchmark.data.annotations import stamp
from benchmark.experiment.experiment import Row
from benchmark.experiment.rows.base import Surroundings
from benchmark.experiment.rows.parts import PartsRecipe
from benchmark.run.contents import Contents
from benchmark.run.kept_file import Settled, read_kept, write_kept

NAME = ".rows"
_WORTH = (
    50  # rows that are new to it, at least, or it is not written: to compose them again is as quick
)
_SETTINGS = 8  # so many are kept: profiles, data sets, `--set`
_BY_VERSION = ("mmdet", "mmengine", "mmcv")
# What a part may call that makes its config depend on more than its text.
_UNSURE = frozenset({"open", "eval", "exec", "compile", "getattr", "globals", "vars", "input"})

_Plain = tuple[dict[int, str], tuple[str, ...], tuple[str, ...], object]


@dataclass(frozen=True)
class KnownRow:
    """What was found out about a row.

    Attributes:
        digests: The digits of its run ids, by seed.
        changes: What was changed of its config.
        sources: The files that it was composed from, behind those of the experiment.
        imports: ``custom_imports`` of its config.
    """

    digests: Mapping[int, str]
    changes: tuple[str, ...]
    sources: tuple[str, ...]
    imports: object


@dataclass
class Known:
    """What is known of rows in one setting.

    Attributes:
        rows: By `key_of`.
        watched: What configs are made from beside rows and setting: stamps of files and folders by path.
        words: Texts in configs that might name a file, and named none.
        looked: When what is new in ``watched`` was looked at, in ns of this machine's clock.
    """

    rows: dict[bytes, _Plain] = field(default_factory=dict)
    watched: dict[str, tuple[int, ...]] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    looked: dict[str, int] = field(default_factory=dict)

    def find(self, key: bytes) -> KnownRow | None:
        """What is known of a row; None of one that was not composed as it is now."""
        found = self.rows.get(key)
        return None if found is None else KnownRow(*found)

    def watch(self, paths: Iterable[str]) -> None:
        """Notes how files and folders are before a config is made from them: an edit meanwhile is seen next time."""
        for path in paths:
            if path not in self.watched:
                self.looked[path] = time.time_ns()
                self.watched[path] = stamp(Path(path))

    def holds(self, contents: Contents) -> bool:
        """Whether all is as it was."""
        as_it_was = all(stamp(Path(path)) == known for path, known in self.watched.items())
        return as_it_was and not any(contents.of(word) for word in self.words)


class KnownRows:
    """What is known of rows, by setting.

    Args:
        runs: The folder of the run folders, which need not exist.
    """

    def __init__(self, runs: Path) -> None:
        self._path = runs / NAME
        self._file: dict[str, tuple[object, ...]] | None = None
        self._known: dict[str, Known] = {}
        self._new = 0

    def of(self, setting: str, contents: Contents) -> Known:
        """What is known in a setting, and may be added to.

        Args:
            setting: All that counts beside the row itself and what is watched.
            contents: Says whether a text names a file.
        """
        if setting not in self._known:
            if self._file is None:
                self._file = read_kept(self._path)
            known = Known(*self._file[setting]) if setting in self._file else Known()  # type: ignore[arg-type]
            self._known[setting] = known if known.holds(contents) else Known()
        return self._known[setting]

    def add(self, setting: str, key: bytes, row: KnownRow) -> None:
        """Takes what was found out just now about a row, in a setting that was asked for."""
        known = self._known[setting]
        before = known.rows.get(key)
        digests = {**(before[0] if before else {}), **row.digests}
        known.rows[key] = (digests, row.changes, row.sources, row.imports)
        self._new += 1

    def save(self) -> None:
        """Writes what is new, if it is worth it."""
        if self._new < _WORTH:
            return
        write_kept(self._path, self._content)
        self._new = 0

    def _content(self, settled: Settled) -> Mapping[str, tuple[object, ...]]:
        """The settings of which nothing had changed shortly before it was looked at, those of before first."""
        sure = {
            key: (one.rows, one.watched, one.words)
            for key, one in self._known.items()
            if all(settled(one.watched[path], looked) for path, looked in one.looked.items())
        }
        before = {k: v for k, v in (self._file or {}).items() if k not in self._known}
        return dict([*before.items(), *sure.items()][-_SETTINGS:])


def key_of(row: Row) -> bytes | None:
    """All that a row says of itself; None of one that is composed each time."""
    plain = type(row.recipe) is PartsRecipe and row.pseudo is None
    try:
        return marshal.dumps(row.model_dump()) if plain else None
    except ValueError:  # a value that a config file cannot hold
        return None


@cache
def versions() -> tuple[tuple[str, tuple[int, ...]], ...]:
    """What tells versions of the packages apart whose configs and classes parts rest on."""
    found = {name: find_spec(name) for name in _BY_VERSION}
    places = {name: Path(one.origin or "") for name, one in found.items() if one is not None}
    return tuple((name, stamp(place.parent / "version.py")) for name, place in places.items())


def watched(row: Row, around: Surroundings) -> list[str]:
    """The files that a row of parts is made from, and the folders in which others could come before them.

    Raises:
        UserError: A part is missing.
    """
    layers = [layer for layer in row.recipe.layers(around) if isinstance(layer, str)]
    folders = (os.path.join(root, os.path.dirname(one)) for one in layers for root in around.roots)  # noqa: PTH118, PTH120
    files = (path for file in layer_files(row, around) if file for path in _watched(file))
    return [*folders, *files]


def _watched(file: str) -> tuple[str, ...]:
    return _names(state_of(file))


@lru_cache(maxsize=1024)
def _names(state: State) -> tuple[str, ...]:
    return tuple(map(str, files_of(state)))


def depends_on_its_text(file: str) -> bool:
    """Whether what a part says depends on its own text alone, and on that of shipped parts."""
    return _is_plain(file, stamp(Path(file)))


@lru_cache(maxsize=1024)
def _is_plain(file: str, _stamp: tuple[int, ...]) -> bool:
    path = Path(file).resolve()
    if path.is_relative_to(SHIPPED):
        return True
    nodes = list(ast.walk(ast.parse(path.read_bytes())))
    imports = any(isinstance(node, ast.Import | ast.ImportFrom | ast.With) for node in nodes)
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    hidden = any(isinstance(node, ast.Attribute) and node.attr.startswith("_") for node in nodes)
    special = {name for name in names if name.startswith("__") or name == "_base_"}
    return not (imports or hidden or names & _UNSURE or special)
