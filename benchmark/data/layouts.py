"""Folders of COCO files as others lay them out, which are read as they are: Roboflow's and COCO's own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.files import is_file

SPLITS = ("train", "val", "test")
"""Names of splits, in the order in which everything goes through them."""
NO_SPLIT = ""
"""Stands for the split of images that are not divided."""
ROBOFLOW_FILE = "_annotations.coco.json"
"""What Roboflow calls the annotation file beside the images of a split."""
INSTANCES = "instances_"
"""How the names of COCO's annotation files of objects begin."""
_IMAGES_ALONE = "image_info_"

_WORDS = {
    "train": r"train(ing)?",
    "val": r"val(id|idation)?",
    "test": r"test(ing)?",
}


@dataclass(frozen=True)
class LaidOut:
    """An annotation file of a layout.

    Attributes:
        split: One of `SPLITS`, or `NO_SPLIT`.
        annotations: The file.
        folders: Where its images may be, the likeliest first.
    """

    split: str
    annotations: Path
    folders: Sequence[Path]


def split_of(name: str) -> str:
    """The split that a folder, file or subset of this name is: ``valid`` and ``val2017`` are val, others are none."""
    for split, word in _WORDS.items():
        if re.fullmatch(rf"{word}[-_.\d]*", name, re.IGNORECASE):
            return split
    return NO_SPLIT


def listed(folder: Path, suffix: str) -> Iterator[Path]:
    """The files of a folder, not of those within it, whose name ends so in lower or upper case; none without it."""
    for name in names_in(folder):
        if name.lower().endswith(suffix) and not name.startswith(".") and is_file(folder / name):
            yield folder / name


def names_in(folder: Path) -> list[str]:
    """What a folder holds, by name, sorted; nothing where it cannot be read."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names alone
    except OSError:
        return []


def split_folders(root: Path) -> list[tuple[str, Path]]:
    """The folders in ``root`` that are called as a split, each with the split; by name."""
    named = [(split_of(name), root / name) for name in names_in(root)]
    return [(split, path) for split, path in named if split != NO_SPLIT and path.is_dir()]


def roboflow_files(root: Path) -> list[LaidOut]:
    """``train/_annotations.coco.json`` beside its images, and so for ``valid`` and ``test``."""
    return [
        LaidOut(split, folder / ROBOFLOW_FILE, (folder,))
        for split, folder in [(NO_SPLIT, root), *split_folders(root)]
        if is_file(folder / ROBOFLOW_FILE)
    ]


def coco_files(root: Path) -> list[LaidOut]:
    """``annotations/instances_train2017.json`` with its images in ``train2017``, and so for others.

    Where no such file is for testing, one of images alone is, ``image_info_test2017.json``, if its images are there.
    """
    objects = list(_named(root, INSTANCES))
    if not objects or any(one.split == "test" for one in objects):
        return objects
    return [*objects, *(one for one in _named(root, _IMAGES_ALONE) if _is_test(one))]


def _named(root: Path, start: str) -> Iterator[LaidOut]:
    for path in listed(root / "annotations", ".json"):
        if (name := path.stem.removeprefix(start)) != path.stem:
            yield LaidOut(split_of(name), path, _folders(root, name))


def _is_test(one: LaidOut) -> bool:
    return one.split == "test" and any(folder.is_dir() for folder in one.folders[:2])


def _folders(root: Path, name: str) -> list[Path]:
    images = root / "images"
    return [root / name, images / name, images, root]


def laid_out(root: Path) -> Mapping[str, Sequence[LaidOut]]:
    """The annotation files of a folder in Roboflow's or COCO's layout, by the split; empty in any other layout."""
    found: dict[str, list[LaidOut]] = {}
    for one in roboflow_files(root) or coco_files(root):
        found.setdefault(one.split, []).append(one)
    return found
