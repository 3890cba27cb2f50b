"""Checkpoints that a resume may rely on, and those that a run keeps: written whole, verified before use."""

from __future__ import annotations

import os
import re
import zipfile
from itertools import count, groupby
from pathlib import Path

from benchmark.errors import fault_of
from benchmark.files import is_file

FINAL = "final.pth"
SELECTED = "selected"
"""Name of the checkpoints of a run's best validations, where that is what it records; `FINAL` takes their place."""

_BEST = re.compile(r"(best_.+|selected)_(?:epoch|iter)_(\d+)\.pth")


def saved(folder: Path) -> list[Path]:
    """The checkpoints of a training, newest first: ``epoch_N.pth`` or ``iter_N.pth``."""
    return sorted((p for p in folder.glob("*_*.pth") if step(p) >= 0), key=step, reverse=True)


def step(path: Path) -> int:
    """The epoch or iteration after which a resume goes on from a checkpoint; -1 of any other file."""
    match = re.fullmatch(r"(?:epoch|iter)_(\d+)\.pth", path.name)
    return int(match[1]) if match else -1


def bests(folder: Path, name: str) -> list[Path]:
    """The checkpoints of the best validations by one score, newest first: each was better than those behind it.

    Args:
        folder: The run's ``checkpoints/``.
        name: ``best_coco_bbox_mAP``, say, or `SELECTED`.
    """
    found = [path for path in folder.glob(f"{name}_*.pth") if _best_of(path)[0] == name]
    return sorted(found, key=_best_of, reverse=True)


def _best_of(path: Path) -> tuple[str, int]:
    """The name and the step of the checkpoint of a best validation; an empty name of any other file."""
    match = _BEST.fullmatch(path.name)
    return (match[1], int(match[2])) if match else ("", -1)


def is_whole(path: Path) -> bool:
    """Whether every part of the checkpoint is there: torch's format is a zip file with checksums.

    Raises:
        OSError: The disk or the mount fails, which says nothing of the checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (
        Exception
    ) as error:  # a flipped bit in a header is an unknown compression, a password, ...
        if fault_of(error) is not None:
            raise
        return False


def clear_places(folder: Path) -> list[Path]:
    """Sets aside what lies in the place of a checkpoint and is no file, as ``epoch_3.pth.odd``.

    Returns:
        Where it was.
    """
    odd = sorted(path for path in folder.glob("*.pth") if not is_file(path))
    for path in odd:
        names = (path.with_name(f"{path.name}.odd{number or ''}") for number in count())
        path.rename(next(name for name in names if not os.path.lexists(name)))
    return odd


def remove_all_but_final(folder: Path) -> None:
    """Removes the checkpoints that only a resume needs.

    A finished run keeps ``final.pth``, and by each score of ``save_best`` the checkpoint of its best validation.
    """
    found = sorted((p for p in folder.glob("*_*.pth") if _best_of(p)[0]), key=_best_of)
    by_name = [(name, [*paths]) for name, paths in groupby(found, lambda p: _best_of(p)[0])]
    beaten = [p for name, paths in by_name for p in (paths if name == SELECTED else paths[:-1])]
    for path in [*saved(folder), *beaten]:
        path.unlink(missing_ok=True)
