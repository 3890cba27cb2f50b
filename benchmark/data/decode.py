"""Decodes an image file as a job does, and says what is wrong with one that a job would fail on or misread."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from benchmark.data.absent import absence
from benchmark.data.faults import (
    CLOSED,
    DAMAGED,
    EMPTY,
    FOREIGN,
    POINTER_START,
    POINTERS,
    SIZE,
    VAST,
    Fault,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Pixels: TypeAlias = NDArray[np.uint8 | np.uint16 | np.float32]

# Of 256 levels: 12 bits in a file of 16 leave 16, and what a thermal camera measures in a room leaves fewer.
_FEW_LEVELS = 32
# Formats, as Pillow calls them, that OpenCV decodes: a file that it does not decode is broken, though Pillow reads it.
_KNOWN_TO_OPENCV = ("PNG", "JPEG", "WEBP")


@dataclass(frozen=True)
class Reader:
    """How jobs read images: what a pipeline tells mmcv's ``LoadImageFromFile``.

    Attributes:
        backend: ``imdecode_backend``, one of `BACKENDS`.
        color_type: ``color_type``, one of `COLOR_TYPES`: what is made of colours, depth and EXIF orientation.
    """

    backend: str = "cv2"
    color_type: str = "color"

    @property
    def title(self) -> str:
        """The library's name."""
        return {"cv2": "OpenCV", "pillow": "Pillow"}.get(self.backend, self.backend)

    @property
    def works(self) -> bool:
        """Whether jobs can read anything with it: mmcv knows turbojpeg, but would have to be told before."""
        return self.backend in BACKENDS and self.color_type in COLOR_TYPES


class Look(NamedTuple):
    """What is odd about an image that jobs can read.

    Attributes:
        turned: The annotations have the size that it has before its EXIF orientation turns it.
        flat: It has over 8 bits a channel, and next to nothing is left of its contrast in 8.
    """

    turned: bool
    flat: bool


class _Unreadable(Exception):
    """The reader says no: a kind of fault, and why."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


def look(path: str, name: str, said: tuple[int, int], reader: Reader) -> Look | Fault:
    """Decodes a file as jobs do.

    Args:
        path: The file.
        name: What messages call it.
        said: Its width and height by the annotations.
        reader: How jobs read it.
    """
    try:
        data = _bytes_of(path)
        pixels = _READERS[reader.backend](data, reader.color_type)
    except _Unreadable as error:
        return Fault(error.kind, f"{name}{error}")
    except Exception as error:  # whatever a decoder raises
        return _why(data, name, reader, error)
    if not _fits(pixels, reader):
        told = f"{name} (decoded as {pixels.dtype} of shape {pixels.shape})"
        return Fault(FOREIGN.format(reader=reader.title), told)
    seen = _size(pixels)
    turned = seen != said and said == _size_before_exif(data, reader)
    if seen != said and not turned:
        return Fault(SIZE, f"{name} is {wh(seen)}, annotated as {wh(said)}")
    return Look(turned, _is_flat(pixels) and _is_deep(data))


def wh(size: tuple[int, int]) -> str:
    """Width and height for a message."""
    return f"{size[0]}x{size[1]}"


def _bytes_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - in a hot loop
            data = file.read()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):  # went away since it was listed
            fault = absence(path, "")
            raise _Unreadable(fault.kind, fault.told) from None
        raise _Unreadable(CLOSED, f": {error.strerror}") from None
    if not data:
        raise _Unreadable(EMPTY, "")
    if data.startswith(POINTER_START):
        raise _Unreadable(POINTERS, "")
    return data


def _by_opencv(data: bytes, color_type: str) -> Pixels:
    import cv2
    import numpy as np

    # The flags are those of mmcv.image.io.imread_flags.
    kind = color_type.removesuffix("_ignore_orientation")
    flags = {
        "color": cv2.IMREAD_COLOR,
        "grayscale": cv2.IMREAD_GRAYSCALE,
        "unchanged": cv2.IMREAD_UNCHANGED,
    }[kind]
    if kind != color_type:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ValueError("OpenCV returns nothing")
    return pixels  # type: ignore[return-value] # cv2's own types are those of all its arrays


def _by_pillow(data: bytes, color_type: str) -> Pixels:
    import numpy as np
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as opened:  # as mmcv.image.io._pillow2array does
        if color_type == "unchanged":
            return np.asarray(opened)
        image: Image.Image = opened
        if not color_type.endswith("_ignore_orientation"):
            image = ImageOps.exif_transpose(opened)
        return np.asarray(image.convert("L" if color_type.startswith("gray") else "RGB"))


def _by_tifffile(data: bytes, _color_type: str) -> Pixels:
    import tifffile

    pixels: Pixels = tifffile.imread(io.BytesIO(data))
    return pixels


_READERS: dict[str, Callable[[bytes, str], Pixels]] = {
    "cv2": _by_opencv,
    "pillow": _by_pillow,
    "tifffile": _by_tifffile,
}
BACKENDS = tuple(_READERS)
"""The values of ``imdecode_backend`` that jobs can read images with."""
COLOR_TYPES = (
    "color",
    "grayscale",
    "unchanged",
    "color_ignore_orientation",
    "grayscale_ignore_orientation",
)
"""The values of ``color_type``: mmcv's ``imread_flags``."""


def _fits(pixels: Pixels, reader: Reader) -> bool:
    """Whether it is what jobs take for the color type: OpenCV returns a PFM of one channel as it is."""
    if reader.backend == "tifffile" or reader.color_type == "unchanged":
        return pixels.ndim >= 2
    channels = (3,) if reader.color_type.startswith("color") else ()
    return pixels.dtype.itemsize == 1 and pixels.shape[2:] == channels


def _size(pixels: Pixels) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]


def _size_before_exif(data: bytes, reader: Reader) -> tuple[int, int] | None:
    if reader.color_type not in ("color", "grayscale") or reader.backend == "tifffile":
        return None  # no orientation is applied
    return _size(_READERS[reader.backend](data, f"{reader.color_type}_ignore_orientation"))


def _is_flat(pixels: Pixels) -> bool:
    """Whether all but the darkest and brightest hundredths of a sample of the pixels lie within a few levels."""
    import numpy as np

    if pixels.dtype != np.uint8:
        return False
    rows, columns = (max(1, length // 64) for length in pixels.shape[:2])
    sample = np.sort(pixels[::rows, ::columns].ravel())
    cut = len(sample) // 100
    return int(sample[-1 - cut]) - int(sample[cut]) < _FEW_LEVELS


def _is_deep(data: bytes) -> bool:
    """Whether the file has over 8 bits a channel."""
    try:
        return _by_opencv(data, "unchanged").dtype.itemsize > 1
    except Exception:  # Pillow reads what OpenCV does not
        return _by_pillow(data, "unchanged").dtype.itemsize > 1


def _why(data: bytes, name: str, reader: Reader, error: Exception) -> Fault:
    """Why the reader does not decode the data: Pillow knows more formats than OpenCV, and says more."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, MemoryError) or "Insufficient memory" in str(error):
        return Fault(CLOSED, f"{name}: too little memory to decode it")
    if "CV_IO_MAX_IMAGE" in str(error) or isinstance(error, Image.DecompressionBombError):
        return Fault(VAST.format(reader=reader.title), name)
    known = "cannot be opened"
    try:
        with Image.open(io.BytesIO(data)) as image:
            known = f"{image.format}, {image.mode}"
            image.load()
    except Image.DecompressionBombError:
        return Fault(DAMAGED, f"{name}: {reader.title} does not decode it")
    except UnidentifiedImageError:
        return Fault(DAMAGED, f"{name} cannot be read: it begins with {data[:16]!r}")
    except Exception as problem:  # whatever a decoder of Pillow raises
        return Fault(DAMAGED, f"{name} ({known}: {problem})")
    if isinstance(error, ImportError):
        return Fault(CLOSED, f"{name}: {error}")
    return _only_by_pillow(name, reader, known, error)


def _only_by_pillow(name: str, reader: Reader, known: str, error: Exception) -> Fault:
    """Why the reader does not decode what Pillow does; ``known`` is the format and mode."""
    if reader.backend == "pillow":
        return Fault(DAMAGED, f"{name} ({known}: {error})")
    if reader.backend == "cv2" and known.startswith(_KNOWN_TO_OPENCV):
        return Fault(DAMAGED, f"{name} ({known}: {reader.title} does not take it as it is)")
    return Fault(FOREIGN.format(reader=reader.title), f"{name} ({known})")
