"""Whether the image files of a split are there and have the size that the annotations say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from PIL import ExifTags, Image

from benchmark.data.annotations import Images

# Images whose size is read: opening all of them would take longer than some trainings.
_OPENED = 20
_LYING = {5, 6, 7, 8}  # EXIF orientations that turn the picture by a quarter


def missing_files(folder: Path, files: list[str]) -> list[str]:
    """The names that ``folder`` does not hold, each once; reads each of its folders once, not every file."""
    listed: dict[str, set[str]] = {}
    missing = []
    for name in dict.fromkeys(files):
        parent, base = os.path.split(os.path.join(folder, name))  # noqa: PTH118 - in a hot loop
        if parent not in listed:
            listed[parent] = set(_names_in(parent))
        if base not in listed[parent]:
            missing.append(name)
    return missing


def _names_in(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if not entry.is_dir())
    except (OSError, ValueError):
        return  # no such folder: nothing is in it


def size_faults(folder: Path, images: Images) -> tuple[list[str], list[str]]:
    """Compares the sizes of a sample of images with the annotations; reads only file headers.

    Returns:
        Two lists of lines: images whose size is wrong or which are no images, and images whose
        size is that of the picture before its EXIF orientation is applied.
    """
    wrong, turned = [], []
    for index in range(0, len(images.files), max(1, len(images.files) // _OPENED)):
        path = folder / images.files[index]
        said = (int(images.width[index]), int(images.height[index]))
        try:
            seen, is_lying = _size_of(path)
        except FileNotFoundError:
            continue  # told by `missing_files`
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            wrong.append(f"{images.files[index]} cannot be read: {error}")
            continue
        upright = seen[::-1] if is_lying else seen
        if said not in (seen, upright):
            wrong.append(f"{images.files[index]} is {_wh(upright)}, annotated as {_wh(said)}")
        elif said != upright:
            turned.append(f"{images.files[index]} is {_wh(upright)} upright")
    return wrong, turned


def _size_of(path: Path) -> tuple[tuple[int, int], bool]:
    with Image.open(path) as image:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        return image.size, orientation in _LYING


def _wh(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
