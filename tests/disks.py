"""File systems of a test's own, small enough to fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(where: Path, size: str) -> Iterator[Path]:
    """A file system of its own, of ``size`` in the words of ``mount``; the test is skipped where none can be had."""
    folder = where / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Leaves no room."""
    for size in (1 << 16, 1):
        with (
            (disk / "filler").open("ab", buffering=0) as file,
            pytest.raises(OSError, match="space"),
        ):
            while True:
                file.write(bytes(size))


def remount(disk: Path, options: str) -> None:
    """Mounts it again with other options: ``ro``, ``size=200m``."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)
