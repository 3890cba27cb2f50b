"""A folder of images without annotations: which images it holds, in the columns of an annotation file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.data.annotations import Annotations, Boxes, Images
from benchmark.errors import UserError, few, lone_surrogate, printable, why

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""How names of image files end, in lower case."""

_TURNED = range(5, 9)  # EXIF orientations that lay an image on its side
_ORIENTATION = 0x0112  # the tag of EXIF that holds it


def images_in(folder: Path) -> list[str]:
    """Names of the image files in a folder and in those within it, relative to it, with ``/``, sorted.

    Files and folders whose names begin with a dot are passed over.

    Raises:
        UserError: The folder is none, cannot be read, or holds no image; or a name is no text.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of images")
    found = sorted(_names(folder))
    if not found:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise UserError(f"{folder}: there is no image in it (files that end in {kinds})")
    if odd := [name for name in found if lone_surrogate(name)]:
        raise UserError(
            f"{folder}: names of images that are not UTF-8 ({len(odd)}): {printable(few(odd))}; rename them"
        )
    return found


def _names(folder: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read: {why(error)}") from None

    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            is_image = os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - in a hot loop
            if is_image and not name.startswith("."):
                yield Path(place, name).relative_to(folder).as_posix()


def hash_of(folder: Path, names: Sequence[str]) -> str:
    """Hex SHA-256 over the names of a folder's images and their sizes in bytes: it changes when images come or go.

    Raises:
        UserError: A file cannot be looked at.
    """
    listed = hashlib.sha256()
    for name in names:
        try:
            size = (folder / name).stat().st_size
        except OSError as error:
            raise UserError(f"{folder / name}: cannot be read: {why(error)}") from None
        listed.update(f"{size} {name}\n".encode())
    return listed.hexdigest()


def read_folder(folder: Path) -> Annotations:
    """The images of a folder as an annotation file would list them, without categories and boxes.

    Ids are 1, 2, ... in the order of the names. Width and height are those of the upright image, as its EXIF
    orientation turns it: what jobs see, and what boxes are in the pixels of. An image whose header cannot be read
    stands among ``images.faults``.

    Raises:
        UserError: As `images_in` and `hash_of` do.
    """
    import numpy as np

    names = images_in(folder)
    sizes = [_size(folder / name) for name in names]
    good = [row for row, size in enumerate(sizes) if not isinstance(size, str)]
    wh = np.array([sizes[row] for row in good], np.int64).reshape(-1, 2)
    images = Images(
        ids=np.array(good, np.int64) + 1,
        files=[names[row] for row in good],
        width=wh[:, 0],
        height=wh[:, 1],
        faults=[f"{name}: {s}" for name, s in zip(names, sizes, strict=True) if isinstance(s, str)],
        names=names,
    )
    return Annotations(folder, hash_of(folder, names), (), images, _no_boxes(), masks=False)


def _size(path: Path) -> tuple[int, int] | str:
    """Width and height of an upright image; what is wrong with the file where they cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED
    except Exception as error:  # whatever Pillow raises of a damaged file
        return f"its size cannot be read: {type(error).__name__}: {error}"
    return (height, width) if turned else (width, height)


def _no_boxes() -> Boxes:
    import numpy as np

    whole, none = np.zeros(0, np.int64), np.zeros(0, np.bool_)
    return Boxes(whole, whole, whole, np.zeros((0, 4)), np.zeros(0), none, none, [])
