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
_SAVED = re.compile(r"(epoch|iter)_(\d+)\.pth")
_LEFT = re.compile(r"left_epoch_(\d+)_iter_(\d+)\.pth")
_KEPT = 2  # so that there is one before the newest, should that be damaged


def left(epoch: int, iteration: int) -> str:
    """The name of the checkpoint of a training that was left after so many whole epochs, and iterations in all."""
    return f"left_epoch_{epoch}_iter_{iteration}.pth"


def saved(folder: Path) -> list[Path]:
    """The checkpoints of a training that a resume may go on from, newest first.

    They are ``epoch_N.pth`` or ``iter_N.pth``, as the schedule saves them, and those of `left`.
    """
    found = [path for path in folder.glob("*_*.pth") if done(path)]
    by_iteration = any(path.name.startswith("iter_") for path in found)
    return sorted(found, key=lambda path: _order(path, by_iteration), reverse=True)


def _order(path: Path, by_iteration: bool) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall(r"\d+", path.name)]
    return tuple(numbers[-1:] if by_iteration else numbers)


def done(path: Path) -> tuple[str, int] | None:
    """After how many of which unit, ``epoch`` or ``iter``, a resume goes on from a checkpoint; None of another file."""
    if match := _LEFT.fullmatch(path.name):
        return "iter", int(match[2])
    match = _SAVED.fullmatch(path.name)
    return (match[1], int(match[2])) if match else None


def remove_old_left(folder: Path) -> None:
    """Removes what a training was left with, once there are newer checkpoints."""
    for path in saved(folder)[_KEPT:]:
        if _LEFT.fullmatch(path.name):
            path.unlink(missing_ok=True)


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
