"""What a kept image is known by: its file as it is now, what was made of it, and by which libraries."""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any

# A file that was changed within the tick of the file system's clock in which it was read looks as before: clocks tick
# every 4 to 10 ms here, every second or two on some network file systems.
_SETTLED_S = 2.0

_DECODERS = ("mmcv", "mmcv-lite", "numpy", "pillow", "tifffile", "PyTurboJPEG")


@dataclass(frozen=True)
class Seen:
    """A file as it was at one moment.

    Attributes:
        path: Its absolute path.
        state: Device, inode, size, and times of change of its content and of itself, in ns.
    """

    path: str
    state: tuple[int, ...]

    @property
    def settled(self) -> bool:
        """Whether a later change of it would show: neither time is close to now, before or after it.

        A change sets both to the file system's now, also where somebody had set one to a time that is to come.
        """
        now = time.time_ns()
        return all(abs(now - changed) > _SETTLED_S * 1e9 for changed in self.state[-2:])


def seen(path: object) -> Seen | None:
    """What a file is at this moment; None where there is none, or it lies elsewhere than on a file system."""
    if not isinstance(path, str | os.PathLike):
        return None
    try:
        found = os.stat(path)  # noqa: PTH116 - for each image
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    state = (
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )
    return Seen(os.path.abspath(path), state)  # noqa: PTH100 - a third of pathlib's time, for each image


def key_of(file: Seen, decoding: Mapping[str, Any], resizing: Mapping[str, Any] | None) -> bytes:
    """The key, 32 bytes, of what two transforms make of a file.

    Args:
        file: The file.
        decoding: Settings of the one that decodes.
        resizing: Settings of the one that resizes; None where only what was decoded is kept.
    """
    settings = [None if of is None else sorted(of.items()) for of in (decoding, resizing)]
    text = repr((file.path, file.state, settings, _switches(), _libraries()))
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=32).digest()


def _switches() -> tuple[object, ...]:
    """What a module may change of the libraries at any time."""
    import cv2
    from mmcv.image import io
    from PIL import ImageFile

    return io.imread_backend, cv2.useOptimized(), ImageFile.LOAD_TRUNCATED_IMAGES


@lru_cache(maxsize=1)
def _libraries() -> str:
    """The libraries that decode and resize, as they were built, and what of the processor they may use."""
    import cv2

    versions = [f"{name} {_version(name)}" for name in _DECODERS]
    processor = f"{platform.machine()} {cv2.getCPUFeaturesLine()}"
    text = "\n".join([cv2.__version__, cv2.getBuildInformation(), processor, *versions])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
