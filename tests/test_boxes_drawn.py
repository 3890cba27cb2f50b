"""Pictures with boxes: where mmdet's pixels are, whatever the size of an image and however it is turned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from benchmark.data.boxes.pictures import check_folder
from benchmark.errors import UserError
from benchmark.writing.boxes_drawn import DrawnBox, write_picture

RED = (213, 94, 0)


def drawn(tmp_path: Path, size: tuple[int, int], turned: int | None, box: DrawnBox) -> Image.Image:
    source, picture = tmp_path / "image.png", tmp_path / "deep" / "picture.png"
    exif = Image.Exif()
    if turned:
        exif[ExifTags.Base.Orientation] = turned
    Image.new("RGB", size, "white").save(source, exif=exif)
    write_picture(picture, source, [box])
    return Image.open(picture)


@pytest.mark.parametrize(
    ("size", "turned", "seen"),
    [
        ((2048, 1024), None, (1024, 512)),
        ((100, 50), None, (400, 200)),
        ((2048, 1024), 6, (512, 1024)),  # the upright image is 1024 x 2048
    ],
)
def test_boxes_lie_at_the_upright_images_pixels(
    tmp_path: Path, size: tuple[int, int], turned: int | None, seen: tuple[int, int]
) -> None:
    upright = size[::-1] if turned else size
    box = (0.25 * upright[0], 0.25 * upright[1], 0.75 * upright[0], 0.75 * upright[1])
    picture = drawn(tmp_path, size, turned, DrawnBox(box, "", "#D55E00"))
    assert picture.size == seen
    marked = [
        (x, y)
        for x in range(picture.width)
        for y in range(picture.height)
        if picture.getpixel((x, y)) == RED
    ]
    across, down = zip(*marked, strict=True)
    assert (min(across), max(across)) == pytest.approx((0.25 * seen[0], 0.75 * seen[0]), abs=1)
    assert (min(down), max(down)) == pytest.approx((0.25 * seen[1], 0.75 * seen[1]), abs=1)


@pytest.mark.parametrize("box", [(0, 0, 20, 20), (80, 30, 100, 50), (-30, -9, 4, 200)])
def test_a_text_stays_within_the_picture(
    tmp_path: Path, box: tuple[float, float, float, float]
) -> None:
    bare = drawn(tmp_path, (100, 50), None, DrawnBox(box, "", "#D55E00"))
    told = drawn(tmp_path, (100, 50), None, DrawnBox(box, "1 Бумага 0.98", "#D55E00"))
    reds = [int((np.asarray(picture) == RED).all(axis=2).sum()) for picture in (bare, told)]
    assert reds[1] > reds[0] + 1000  # of about 120 x 18 pixels that a text takes


def test_what_is_no_folder_takes_no_pictures(tmp_path: Path) -> None:
    file = tmp_path / "drawn"
    file.touch()
    with pytest.raises(UserError, match="drawn: is there, and is no folder: name another"):
        check_folder(file, tmp_path / "photos")
