"""A data set written whole or not at all: ``train.json`` and so on, ``images/``, and the report of the import."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmark.data.importing.join import Joined
from benchmark.data.importing.lookup import real
from benchmark.errors import UserError, not_written
from benchmark.files import TEMPORARY, write_json

REPORT = "import.json"
"""What was read, renamed and left out."""


def check_free(folder: Path, sources: Sequence[Path]) -> None:
    """Refuses a folder that holds something, or lies in what is imported.

    Raises:
        UserError: It does.
    """
    place = real(folder)
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(
            f"{folder}: is there and is not empty; nothing was overwritten: name a folder that does not exist"
        )
    for source in sources:
        if place.is_relative_to(real(source)):
            raise UserError(
                f"{folder}: lies in {source}, which is imported: name a folder beside it"
            )


def write(found: Joined, folder: Path, report: Mapping[str, object], *, copy: bool) -> None:
    """Writes a data set beside its place, and moves it there.

    Args:
        found: The data set.
        folder: Where to; it is empty or not there.
        report: What is kept in `REPORT`.
        copy: Whether images are copied; else they are symbolic links.

    Raises:
        UserError: The folder cannot be written, or came to hold something meanwhile.
        MachineError: The disk is full, or fails.
    """
    folder = real(folder)
    try:
        with _coming(folder) as unfinished:
            _images(found, unfinished / "images", copy)
            for split in found.splits:
                write_json(unfinished / f"{split}.json", found.coco(split), indent=None)
            write_json(unfinished / REPORT, report)
            unfinished.replace(folder)
    except OSError as error:
        raise not_written(folder, error) from None


@contextmanager
def _coming(folder: Path) -> Iterator[Path]:
    """A folder beside one that is to be; removed unless it was moved, and with it what killed imports have left."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for path in _abandoned(folder):
        shutil.rmtree(path, ignore_errors=True)
    unfinished = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}{TEMPORARY}")
    unfinished.mkdir()
    lock = _locked(unfinished)
    try:
        yield unfinished
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _abandoned(folder: Path) -> Iterator[Path]:
    """What imports into a folder have left that were killed: nobody holds it."""
    name = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{8}}{re.escape(TEMPORARY)}")
    for path in folder.parent.iterdir():
        if name.fullmatch(path.name) and (lock := _locked(path)) is not None:
            os.close(lock)
            yield path


def _locked(folder: Path) -> int | None:
    """Locks a folder, by which one that is being written is told from what a kill has left.

    Returns:
        The descriptor that holds the lock; None where somebody else does, or the file system has no locks.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _images(found: Joined, folder: Path, copy: bool) -> None:
    used = {one.picture.path for images in found.splits.values() for one in images}
    for path, name in found.files.items():
        if path not in used:
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            shutil.copyfile(path, target)
        else:
            target.symlink_to(real(path))
