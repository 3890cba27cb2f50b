"""An image as it is kept: a header of 128 bytes, then the bytes of its array."""

from __future__ import annotations

import mmap
import os
import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

HEAD_BYTES = 128
_MAGIC = b"detboard image 1"
_HEAD = struct.Struct("<16s32s4sB3xIIIIIIQQ")
_KINDS = re.compile(r"[|<>][uif][1248]")
_DIMENSIONS = 3

Pixels = npt.NDArray[Any]
"""An image: (height, width) or (height, width, channels), of any type of number."""


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        pixels: What is kept, decoded and perhaps resized.
        decoded: Shape of the array that was decoded: of ``pixels`` itself, unless it was resized.
    """

    pixels: Pixels
    decoded: tuple[int, ...]

    @property
    def fits(self) -> bool:
        """Whether it can be kept: it has pixels, and up to three dimensions of plain numbers."""
        shapes = (self.pixels.shape, self.decoded)
        plain = _KINDS.fullmatch(self.pixels.dtype.str) is not None
        return plain and all(2 <= len(shape) <= _DIMENSIONS and min(shape) > 0 for shape in shapes)

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return HEAD_BYTES + self.pixels.nbytes


def written(key: bytes, picture: Picture) -> list[memoryview]:
    """What is written of an image: the header and the bytes of the array.

    Args:
        key: What it is known by, 32 bytes.
        picture: It fits.
    """
    pixels = np.ascontiguousarray(picture.pixels)
    body = pixels.reshape(-1).view(np.uint8).data
    dimensions = len(pixels.shape) + 16 * len(picture.decoded)
    sizes = (
        *_three(pixels.shape),
        *_three(picture.decoded),
        len(body),
        _checksum(pixels.reshape(-1).view(np.uint8)),
    )
    head = _HEAD.pack(_MAGIC, key, pixels.dtype.str.encode(), dimensions, *sizes)
    return [memoryview(head.ljust(HEAD_BYTES, b"\0")), body]


def _three(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape, *[0] * (_DIMENSIONS - len(shape)))


def _checksum(content: Pixels) -> int:
    """The sum of the bytes, eight at a time: it tells blocks that were never written, in a tenth of a CRC's time."""
    whole = content.size // 8 * 8
    return (int(content[:whole].view(np.uint64).sum()) + int(content[whole:].sum())) % 2**64


def read(descriptor: int, at: int, size: int, key: bytes, checked: bool = False) -> Picture | None:
    """Reads an image into an array of the caller's own, which may be written to.

    Args:
        descriptor: Of the file.
        at: Where in it the image begins.
        size: Bytes that it takes.
        key: What it is known by.
        checked: Whether its checksum is looked at, too.

    Returns:
        None where that is not what stands there: it was cut short, is another, or is damaged.

    Raises:
        OSError: It cannot be read.
    """
    if size <= HEAD_BYTES:
        return None
    head, body = bytearray(HEAD_BYTES), np.empty(size - HEAD_BYTES, np.uint8)
    if os.preadv(descriptor, [head, body.data], at) != size:
        return None
    return _picture(head, body, key, checked)


def mapped(descriptor: int, at: int, size: int, key: bytes) -> Picture | None:
    """As `read`, of a file that nobody cuts short: a page is copied only where it is written to.

    Large images take a fifth of the time: most of it goes to giving a process new pages.

    Args:
        descriptor: Of the file.
        at: Where in it the image begins: a multiple of `mmap.ALLOCATIONGRANULARITY`.
        size: Bytes that it takes.
        key: What it is known by.

    Raises:
        OSError: The process has no file or map left.
    """
    own = mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY, offset=at)
    return _picture(own[:HEAD_BYTES], np.frombuffer(own, np.uint8, offset=HEAD_BYTES), key, False)


def _picture(head: bytes | bytearray, body: Pixels, key: bytes, checked: bool) -> Picture | None:
    magic, found, kind, dimensions, *sizes, nbytes, checksum = _HEAD.unpack_from(head)
    if (magic, found, nbytes) != (_MAGIC, key, body.nbytes):
        return None
    if checked and _checksum(body) != checksum:
        return None
    shape, decoded = sizes[: dimensions % 16], sizes[3 : 3 + dimensions // 16]
    pixels = body.view(np.dtype(kind.rstrip(b"\0").decode())).reshape(shape)
    return Picture(pixels, tuple(decoded))
