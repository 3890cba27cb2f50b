"""Files of what was found out once and can be found out again: never the truth, and read with nothing run of them.

What such a file holds is passed over where another version has written it, where a byte of it is another, and where it
names anything else than data.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from benchmark.data import splits
from benchmark.files import read_bytes, replacing
from benchmark.garbage import uncollected
from benchmark.run import loaded, record, spec, tested

TICK_NS = 2_000_000_000
"""How coarse the clock of a file system may be: what is written twice within a tick looks the same afterwards."""

_PACKAGE = Path(__file__).parents[1]
_KINDS = {
    (kind.__module__, kind.__qualname__): kind
    for module in (splits, loaded, record, spec, tested)
    for kind in vars(module).values()
    if isinstance(kind, type) and kind.__module__ == module.__name__
} | {(type(_PACKAGE).__module__, type(_PACKAGE).__qualname__): type(_PACKAGE)}

Stamp = tuple[int, int, int, int]
"""Size, time of change, time of change of its entry, inode."""

Settled = Callable[[Sequence[int], int], bool]
"""Whether a change of a file would show in its stamp, which was taken at a time of this machine's clock, in ns."""


def stamp_of(file: str) -> Stamp:
    """What changes when a file does.

    Raises:
        OSError: There is no such file.
        ValueError: No file can be called so.
    """
    found = os.stat(file)  # noqa: PTH116 - thirty thousand times
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def write_kept(path: Path, content: Callable[[Settled], Mapping[Any, Any]]) -> None:
    """Writes a file, unless the folder takes none.

    Args:
        path: The file.
        content: What it is to hold, given what tells what is surely known: a file that had not changed shortly before
            it was looked at, by the clock of the file system, which may be another machine's.
    """
    with suppress(OSError), replacing(path) as temporary:
        made = content(_settled(temporary.stat().st_mtime_ns - time.time_ns()))
        with uncollected():
            written = pickle.dumps(made, protocol=5)
        temporary.write_bytes(_head(written) + written)


def _settled(ahead: int) -> Settled:
    """By how far the file system's clock is ahead of this machine's, in ns."""
    return lambda stamp, looked: max(stamp[1:3], default=0) < looked + ahead - TICK_NS


def read_kept(path: Path) -> dict[Any, Any]:
    """The mapping that `write_kept` wrote; empty where there is anything else."""
    # Whatever a file may hold that somebody else has put there: it saves time, and no more.
    with suppress(Exception), uncollected():
        head, _, content = read_bytes(path).partition(b"\n")
        if head + b"\n" == _head(content):
            found = _Reader(BytesIO(content)).load()
            return found if isinstance(found, dict) else {}
    return {}


def _head(content: bytes) -> bytes:
    return f"detboard {code_stamp()} {hashlib.sha256(content).hexdigest()}\n".encode()


class _Reader(pickle.Unpickler):
    """Makes what runs' files are read as, and nothing else: a results folder may come from anybody."""

    def find_class(self, module: str, name: str) -> object:
        """A class that may be made.

        Raises:
            UnpicklingError: Anything else is named.
        """
        if (module, name) not in _KINDS:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return _KINDS[module, name]


@cache
def code_stamp() -> str:
    """Hex SHA-256 of sizes and times of the package's files: other code may find out something else."""
    found = sorted(
        (entry.path, *stamp_of(entry.path)[:2])
        for folder, _, _ in os.walk(_PACKAGE)
        for entry in os.scandir(folder)
        if entry.is_file() and not entry.name.endswith(".pyc")
    )
    return hashlib.sha256(repr(found).encode()).hexdigest()
