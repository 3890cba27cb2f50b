"""Why an image file is not there: what people have in its place, or call it by."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

from benchmark.data.faults import BACKSLASHES, CLOSED, DANGLING, MISSING, SPELT, URLS, Fault
from benchmark.files import is_file


def absent(folder: Path, files: Sequence[str]) -> list[str]:
    """The names under which ``folder`` holds no file, each once; reads each folder once, not every file."""
    listed: dict[str, set[str] | None] = {}
    missing = []
    for name in dict.fromkeys(files):
        path = os.path.join(folder, name)  # noqa: PTH118 - in a hot loop
        parent, base = os.path.split(path)
        if parent not in listed:
            listed[parent] = _files_in(parent)
        names = listed[parent]
        there = is_file(path) if names is None else base in names
        if not there or "://" in name:  # mmengine would fetch, not open, the latter
            missing.append(name)
    return missing


def outside(name: str) -> bool:
    """Whether a file name in annotations leads out of the folder of images: absolute, or with ``..``."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts


def _files_in(folder: str) -> set[str] | None:
    """None where the folder may not be listed: its files may be opened by their names nonetheless."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if _is_file(entry)}
    except PermissionError:
        return None
    except (OSError, ValueError):
        return set()  # no such folder: nothing is in it


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def absence(path: str, name: str) -> Fault:
    """Why nothing that can be read is under this path."""
    if "://" in name:
        return Fault(URLS, name)
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:  # a name that no file can have
        if os.path.islink(path):  # noqa: PTH114 - Path's raises where a name is too long
            return Fault(DANGLING, f"{name} -> {os.readlink(path)}")  # noqa: PTH115 - as it is written
        if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR):
            return Fault(CLOSED, f"{name}: {error.strerror}")
        return _missing(path, name)
    told = f"{name}: a folder" if stat.S_ISDIR(mode) else f"{name}: no regular file"
    return Fault(CLOSED, told)


def spelt(path: str) -> str | None:
    """What is there by a name that differs in case or Unicode's form only: other systems take the two for the same.

    Returns:
        The path from the first folder or file on that is spelt otherwise; None where there is no such thing.
    """
    actual = _actual(path)
    if actual is None or actual == path:
        return None
    asked, there = Path(path).parts, Path(actual).parts
    same = next(place for place, part in enumerate(there) if part != asked[place])
    return str(Path(*there[same:]))


def _actual(path: str) -> str | None:
    """A path that is there and whose folders and file are spelt alike; the path itself where it is there."""
    if os.path.exists(path):  # noqa: PTH110 - Path's raises where a name is too long
        return path
    folder, base = os.path.split(path)
    real = _actual(folder) if folder != path else None
    if real is None:
        return None
    try:
        changed = Path(real).stat().st_mtime_ns
    except OSError:
        return None
    other = _folded_names(real, changed).get(_folded(base))
    return other and os.path.join(real, other)  # noqa: PTH118 - names may be odd


def _missing(path: str, name: str) -> Fault:
    if "\\" in name and is_file(path.replace("\\", "/")):
        return Fault(BACKSLASHES, name)
    other = spelt(path)
    return Fault(SPELT, f"{name} (there is {other})") if other else Fault(MISSING, name)


@lru_cache(maxsize=8)  # where thousands are spelt otherwise, their folder is read once
def _folded_names(folder: str, _changed: int) -> dict[str, str]:
    try:
        return {_folded(name): name for name in os.listdir(folder)}  # noqa: PTH208 - names alone
    except OSError:
        return {}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
