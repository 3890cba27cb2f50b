"""Checkpoints that a resume may rely on: written whole, verified before use."""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path

FINAL = "final.pth"


def saved(folder: Path) -> list[Path]:
    """The checkpoints of a training, newest first: ``epoch_N.pth`` or ``iter_N.pth``."""
    return sorted(folder.glob("*_*.pth"), key=_step, reverse=True)


def of_steps(folder: Path) -> list[Path]:
    """Those of them that were saved on the way, newest first."""
    return [path for path in saved(folder) if _step(path) >= 0]


def _step(path: Path) -> int:
    match = re.fullmatch(r"(?:epoch|iter)_(\d+)\.pth", path.name)
    return int(match[1]) if match else -1


def is_whole(path: Path) -> bool:
    """Whether every part of the checkpoint is there: torch's format is a zip file with checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError):
        return False


def remove_all_but_final(folder: Path) -> None:
    """Removes the checkpoints that only a resume needs; a finished run keeps ``final.pth``."""
    for path in saved(folder):
        path.unlink(missing_ok=True)
