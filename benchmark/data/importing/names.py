"""What the images of several sources are called in one folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from benchmark.data.importing.ledger import RENAMED, SAME_BYTES, Ledger
from benchmark.errors import lone_surrogate
from benchmark.files import sha256_file


def names_for(images: Iterable[tuple[Path, str]], ledger: Ledger) -> dict[Path, str]:
    """A name for each file: its own, but for those that come after another of the same name.

    Args:
        images: File and name of each, in an order that does not change from run to run.
        ledger: Where files that get another name are entered: ``a.jpg`` is ``a-2.jpg``, or the next that is free.
    """
    own: dict[str, Path] = {}
    later: dict[Path, str] = {}
    for path, name in images:
        if own.setdefault(name, path) != path:
            later.setdefault(path, name)
    taken = dict(own)
    for path, name in later.items():
        free = _free(name, taken)
        taken[free] = path
        ledger.note(RENAMED, f"{path} -> {free}")
        if sha256_file(path) == sha256_file(own[name]):
            ledger.note(SAME_BYTES, f"{path} and {own[name]}")
    return {path: name for name, path in taken.items()}


def _free(name: str, taken: dict[str, Path]) -> str:
    path, number = PurePosixPath(name), 2
    while (free := path.with_name(f"{path.stem}-{number}{path.suffix}").as_posix()) in taken:
        number += 1
    return free


def is_writable(name: str) -> bool:
    """Whether JSON can hold a name: not the bytes of one that is no UTF-8."""
    return lone_surrogate(name) is None
