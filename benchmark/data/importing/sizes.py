"""The size of an image as jobs see it, upright, and boxes in its pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from benchmark.data.decode import Look, Reader, look, wh
from benchmark.data.entries import BIGGEST
from benchmark.data.faults import CLOSED, DAMAGED, EMPTY, Fault
from benchmark.data.importing.base import XYWH, Box, Picture
from benchmark.data.importing.ledger import (
    MAYBE_TURNED,
    NO_AREA,
    NO_BOX,
    OTHER_SIZE,
    OUTSIDE,
    TURNED_PICTURES,
    Ledger,
)
from benchmark.data.importing.numbers import bounds

_ORIENTATION = 0x0112  # the tag of EXIF
_UPRIGHT = 1
_ON_ITS_SIDE = (5, 6, 7, 8)

Move: TypeAlias = Callable[[float, float], tuple[float, float]]
"""Where a point is in another picture of the same."""


@dataclass(frozen=True)
class Size:
    """How large an image is.

    Attributes:
        stored: Width and height before EXIF turns it.
        seen: Width and height that jobs see.
        orientation: The EXIF orientation, 1 of an image that nothing turns.
    """

    stored: tuple[int, int]
    seen: tuple[int, int]
    orientation: int


def size_of(path: Path) -> Size | Fault:
    """The size by an image's header; only one that EXIF lays on its side is decoded, by the reader of the jobs."""
    from PIL import Image, UnidentifiedImageError

    try:
        if not path.stat().st_size:
            return Fault(EMPTY, str(path))
        with _any_size(), Image.open(path) as image:
            stored, orientation = image.size, image.getexif().get(_ORIENTATION, _UPRIGHT)
    except UnidentifiedImageError:
        return Fault(DAMAGED, f"{path}: is no image")
    except OSError as error:
        return Fault(CLOSED if error.errno else DAMAGED, f"{path}: {error.strerror or error}")
    except Exception as error:  # whatever Pillow raises of a damaged file
        return Fault(DAMAGED, f"{path}: {error}")
    if orientation not in _ON_ITS_SIDE:
        return Size(stored, stored, orientation)
    found = look(str(path), str(path), stored, Reader())
    if isinstance(found, Look):
        return Size(stored, stored[::-1] if found.turned else stored, orientation)
    return found


@contextmanager
def _any_size() -> Iterator[None]:
    """Pillow opens large images, too: only the header is read, and OpenCV has its own limit."""
    from PIL import Image

    kept = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = kept


@dataclass(frozen=True)
class Placed:
    """An image with its boxes in pixels of what jobs see.

    Attributes:
        picture: The image; its boxes lie at least partly in it, and have an area.
        width: Pixels.
        height: Pixels.
    """

    picture: Picture
    width: int
    height: int


def placed(picture: Picture, ledger: Ledger) -> Placed | None:
    """An image with sound boxes in pixels; None, and an entry in the ledger, where there is no such thing."""
    size = size_of(picture.path)
    if isinstance(size, Fault):
        ledger.leave(size.kind, size.told, len(picture.boxes))
        return None
    boxes = _in_pixels(picture, size, ledger)
    if boxes is None:
        told = f"{picture.path} is {wh(size.seen)}, labelled as {wh(picture.said or (0, 0))}"
        ledger.leave(OTHER_SIZE, told, len(picture.boxes))
        return None
    sound = [box for box in boxes if _is_sound(box, picture, size.seen, ledger)]
    return Placed(replace(picture, boxes=sound), *size.seen)


def _in_pixels(picture: Picture, size: Size, ledger: Ledger) -> Sequence[Box] | None:
    """Boxes in pixels of the upright image; None where the labels are of an image of another size."""
    if picture.fractions:
        return [_scaled(box, size.seen) for box in picture.boxes]
    if picture.said in (None, size.seen):
        untold = picture.said is None or size.seen == size.stored
        if size.orientation != _UPRIGHT and untold:
            ledger.note(MAYBE_TURNED, str(picture.path))
        return picture.boxes
    if picture.said == size.stored:
        ledger.note(TURNED_PICTURES, str(picture.path))
        return [_turned(box, size) for box in picture.boxes]
    return None


def _scaled(box: Box, size: tuple[int, int]) -> Box:
    return _moved(box, lambda x, y: (x * size[0], y * size[1]))


def _turned(box: Box, size: Size) -> Box:
    """A box of an image as it is stored, where it is once EXIF has turned the image by a quarter of a circle."""
    width, height = size.stored
    way: dict[int, Move] = {
        5: lambda x, y: (y, x),
        6: lambda x, y: (height - y, x),
        7: lambda x, y: (height - y, width - x),
        8: lambda x, y: (y, width - x),
    }
    return _moved(box, way[size.orientation])


def _moved(box: Box, move: Move) -> Box:
    x, y, width, height = box.xywh
    (left, top), (right, bottom) = move(x, y), move(x + width, y + height)
    xywh = bounds([left, top, right, bottom])
    return replace(box, xywh=xywh, mask=_moved_mask(box.mask, move))


def _moved_mask(mask: object, move: Move) -> object:
    """Polygons where they are now; run lengths cannot be moved, and go."""
    if not isinstance(mask, list):
        return None
    return [
        [value for x, y in zip(one[::2], one[1::2], strict=True) for value in move(x, y)]
        for one in mask
    ]


def _is_sound(box: Box, picture: Picture, size: tuple[int, int], ledger: Ledger) -> bool:
    x, y, width, height = box.xywh
    told = f"{picture.path}: {box.label} {_shown(box.xywh)}"
    if max(map(abs, box.xywh)) > BIGGEST:
        ledger.leave(NO_BOX, told, 1)
        return False
    if width <= 0 or height <= 0:
        ledger.leave(NO_AREA, told, 1)
        return False
    if x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
        ledger.leave(OUTSIDE, f"{told}, image {wh(size)}", 1)
        return False
    return True


def _shown(box: XYWH) -> str:
    return f"[{', '.join(f'{value:g}' for value in box)}]"
