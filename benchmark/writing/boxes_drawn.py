"""Images with boxes on them, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.files import replacing
from benchmark.writing.words import cut_short

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

LONGEST_SIDE = 1024  # pixels of a picture: photographs are made as small, and small images up to four times as large
_LARGEST_FACTOR = 4.0
_LONGEST_TEXT = 40
_FONT_PX, _LINE_PX = 14, 2


@dataclass(frozen=True)
class DrawnBox:
    """A box to draw.

    Attributes:
        xyxy: Left, top, right and bottom in pixels of the upright original image.
        text: Stands at its corner; empty for none.
        color: As Pillow takes it, ``#D55E00``.
    """

    xyxy: tuple[float, float, float, float]
    text: str
    color: str


def write_picture(path: Path, image: Path, boxes: Sequence[DrawnBox]) -> None:
    """Writes an image with boxes on it as a PNG, atomically; the later ones lie above.

    It is upright, as mmdet reads it, with a longer side of 1024 pixels; of small images up to four times as large.

    Raises:
        OSError: The image cannot be read, or the file not written.
    """
    drawn = _drawn(image, boxes)
    with replacing(path) as temporary:
        drawn.save(temporary, "PNG")


def _drawn(path: Path, boxes: Sequence[DrawnBox]) -> Image:
    from PIL import ImageDraw

    picture, factor = _sized(path)
    draw = ImageDraw.Draw(picture)
    for box in boxes:
        left, top, right, bottom = (value * factor for value in box.xyxy)
        corners = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
        draw.rectangle(corners, outline=box.color, width=_LINE_PX)
    for box in boxes:
        if box.text:
            _label(draw, picture.size, box, factor)
    return picture


def _sized(path: Path) -> tuple[Image, float]:
    """The upright image in the size of a picture, and by how much that is larger."""
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        # A large JPEG is read small, at no less than the size that is wanted; its own size decides the factor.
        longest = max(opened.size)
        opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    factor = min(LONGEST_SIDE / longest, _LARGEST_FACTOR)
    share = factor * longest / max(upright.size)
    size = (max(round(upright.width * share), 1), max(round(upright.height * share), 1))
    return upright.resize(size), factor


def _label(draw: ImageDraw, room: tuple[int, int], box: DrawnBox, factor: float) -> None:
    """Writes a box's text above its left upper corner, or where there is room for it in the picture."""
    text, font = cut_short(box.text, _LONGEST_TEXT), _font()
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 4, bottom - top + 4
    x = min(max(min(box.xyxy[0], box.xyxy[2]) * factor, 0), max(room[0] - width, 0))
    y = min(max(min(box.xyxy[1], box.xyxy[3]) * factor - height, 0), max(room[1] - height, 0))
    draw.rectangle((x, y, x + width, y + height), fill=box.color)
    draw.text((x + 2 - left, y + 2 - top), text, fill="white", font=font)


@lru_cache(maxsize=1)
def _font() -> FreeTypeFont:
    """DejaVu, which comes with matplotlib: it has Latin, Greek and Cyrillic letters."""
    from PIL import ImageFont

    found = find_spec("matplotlib")
    folder = Path(found.origin or "").parent if found else Path()
    return ImageFont.truetype(
        str(folder / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"), _FONT_PX
    )
