"""Why an image file is not there: what people have in its place, or call it by."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from benchmark.data.faults import BACKSLASHES, CLOSED, DANGLING, MISSING, SPELT, URLS, Fault


def absent(folder: Path, files: Sequence[str]) -> list[str]:
    """The names under which ``folder`` holds no file, each once; reads each folder once, not every file."""
    listed: dict[str, set[str]] = {}
    missing = []
    for name in dict.fromkeys(files):
        parent, base = os.path.split(os.path.join(folder, name))  # noqa: PTH118 - in a hot loop
        if parent not in listed:
            listed[parent] = set(_names_in(parent))
        if (
            base not in listed[parent] or "://" in name
        ):  # mmengine would fetch, not open, the latter
            missing.append(name)
    return missing


def _names_in(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if _is_file(entry))
    except (OSError, ValueError):
        return  # no such folder: nothing is in it


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
        if Path(path).is_symlink():
            return Fault(DANGLING, f"{name} -> {os.readlink(path)}")  # noqa: PTH115 - as it is written
        if isinstance(error, PermissionError):
            return Fault(CLOSED, f"{name}: {error.strerror}")
        return _missing(path, name)
    told = f"{name}: a folder" if stat.S_ISDIR(mode) else f"{name}: no regular file"
    return Fault(CLOSED, told)


def spelt(path: str) -> str | None:
    """A file whose name differs in case or Unicode's form only: other systems take the two for the same."""
    folder, base = os.path.split(path)
    try:
        changed = Path(folder).stat().st_mtime_ns
    except (OSError, ValueError):
        return None
    return _folded_names(folder, changed).get(_folded(base))


def _missing(path: str, name: str) -> Fault:
    if "\\" in name and _is_there(path.replace("\\", "/")):
        return Fault(BACKSLASHES, name)
    other = spelt(path)
    return Fault(SPELT, f"{name} (there is {other})") if other else Fault(MISSING, name)


def _is_there(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


@lru_cache(maxsize=8)  # where thousands are spelt otherwise, their folder is read once
def _folded_names(folder: str, _changed: int) -> dict[str, str]:
    return {_folded(name): name for name in _names_in(folder)}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
