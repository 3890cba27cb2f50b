"""What was read of run folders, in one file: a report over ten thousand runs opens that, and not thirty thousand files.

The index is never the truth. What it holds of a file counts only as long as the file is as it was when it was read, by
size, times and inode, and only if it had not changed shortly before that: what is written twice within a tick of a
file system's clock looks the same. All else is read from the folders.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, cast

from benchmark.run.kept_file import Settled, Stamp, read_kept, stamp_of, write_kept
from benchmark.run.record import Provenance

NAME = ".index"
_WORTH = (
    100  # files that are new to it, at least, or it is not written: to read them again is as quick
)
# What no two runs share; in all else, most runs are alike.
_OWN = frozenset({"metrics", "latency_ms", "flops", "tide", "best", "measured", "validations"})

_Entries = dict[tuple[str, str], tuple[Stamp, object]]  # by folder and name
_Value = TypeVar("_Value")


class Index:
    """What is known of the files of run folders; each is read when it is asked for first, and once it has changed.

    Args:
        runs: The folder of the run folders, which need not exist.
    """

    def __init__(self, runs: Path) -> None:
        self._path = runs / NAME
        self._known: _Entries | None = None
        self._new: _Entries = {}
        self._looked: dict[tuple[str, str], int] = {}  # when what was read here was, ns

    def of(self, file: str, read: Callable[[], _Value]) -> _Value:
        """What ``read`` gives of a file of a run folder, or gave when the file was as it is now.

        Args:
            file: Its path.
            read: Reads it; what it raises is raised, and not remembered, nor is None.
        """
        folder, name = os.path.split(file)
        key = (os.path.basename(folder), name)  # noqa: PTH119 - thirty thousand times
        looked = time.time_ns()
        try:
            now = stamp_of(file)
        except (OSError, ValueError):
            return read()
        if (known := self._entries.get(key)) is not None and known[0] == now:
            return cast("_Value", known[1])
        value = read()
        if value is not None:
            self._new[key], self._looked[key] = (now, value), looked
        return value

    @property
    def _entries(self) -> _Entries:
        if self._known is None:
            self._known = read_kept(self._path)
        return self._known

    def save(self) -> None:
        """Writes what is new, if it is worth it."""
        known = self._entries if self._new else {}
        if len(self._new) < max(_WORTH, len(known) // 20):
            return
        with suppress(OSError):
            there = set(os.listdir(self._path.parent))  # noqa: PTH208 - as above
            whole = {key: one for key, one in (known | self._new).items() if key[0] in there}
            write_kept(self._path, lambda settled: _shared(self._sure(whole, settled)))
        self._known, self._new = known | self._new, {}

    def _sure(self, entries: _Entries, settled: Settled) -> _Entries:
        """What was in the index, and of what was read here the files that had not changed shortly before that."""
        looked = self._looked
        return {
            key: one
            for key, one in entries.items()
            if key not in looked or settled(one[0], looked[key])
        }


def _shared(entries: _Entries) -> _Entries:
    """One object in the place of equal ones: many runs are of few rows."""
    known: dict[object, object] = {}
    return {key: (at, _with_shared(value, known)) for key, (at, value) in entries.items()}


def _with_shared(value: object, known: dict[object, object]) -> object:
    made = object.__new__(type(value))
    for name, field in vars(value).items():
        if isinstance(field, Provenance):
            field = _with_shared(field, known)
        vars(made)[name] = field if name in _OWN else _one(field, known)
    return made


def _one(value: object, known: dict[object, object]) -> object:
    """The first of equal values."""
    if value is None or isinstance(value, float | int):
        return value
    if isinstance(value, str):
        return known.setdefault(value, value)
    return known.setdefault(pickle.dumps(value), value)
