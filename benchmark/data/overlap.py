"""Images that two splits share, under whatever name: the same file, or a copy of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmark.files import sha256_file

# What is read of images that are of one size in bytes, to tell copies from others: a second or two of a disk.
_MOST_BYTES = 256 << 20


class Files(NamedTuple):
    """Image files of a split.

    Attributes:
        folder: What the names are relative to.
        names: Their names.
    """

    folder: Path
    names: tuple[str, ...]


def in_both(those: Files, these: Files) -> list[str]:
    """Names of ``these`` that are among ``those``, too, sorted.

    An image is another's copy if both have the same size and the same content. Where reading all that are of one size
    would take long, those of one size that are also called alike, whatever their folders, are taken for copies.
    """
    sized, others = _sized(these), _sized(those)
    shared = {*sized.values()} & {*others.values()}
    sized, others = (
        {path: size for path, size in found.items() if size in shared} for found in (sized, others)
    )
    reads = sum(sized.values()) + sum(others.values()) <= _MOST_BYTES
    known = {_key(path, size, reads) for path, size in others.items()}
    again = {path for path, size in sized.items() if _key(path, size, reads) in known}
    named = ((name, _path(these.folder, name)) for name in dict.fromkeys(these.names))
    return sorted(name for name, path in named if path in again)


def _sized(files: Files) -> Mapping[Path, int]:
    """Sizes in bytes of the files that are there."""
    found = {}
    for name in dict.fromkeys(files.names):
        path = _path(files.folder, name)
        try:
            found[path] = path.stat().st_size
        except (OSError, ValueError):  # told of elsewhere
            continue
    return found


def _path(folder: Path, name: str) -> Path:
    return Path(os.path.normpath(folder / name))


def _key(path: Path, size: int, reads: bool) -> tuple[int, str]:
    """What a file and its copy have in common: their size, and their content if that is read, else their name."""
    if not reads:
        return size, path.name
    try:
        return size, sha256_file(path)
    except OSError:  # told of elsewhere
        return size, str(path)
