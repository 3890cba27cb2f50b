"""VOC's lists of the images of each split: ``ImageSets/Main/train.txt`` and so on."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from unicodedata import normalize

from benchmark.data.importing.ledger import IN_TWO_SPLITS, LISTED_NOT_THERE, Ledger
from benchmark.data.importing.lookup import lines_of
from benchmark.data.layouts import SPLITS, listed

_FOLDERS = ("ImageSets/Main", "ImageSets")
_ENDINGS = (".jpg", ".jpeg", ".png", ".xml", ".bmp")


def listed_splits(root: Path, images: Container[str], ledger: Ledger) -> dict[str, str] | None:
    """The split of each image by its name without ending; None where there are no lists.

    Args:
        root: The source.
        images: Names of the images that are there.
        ledger: Where images are entered that are listed twice, or not there.
    """
    folder = next((root / name for name in _FOLDERS if list(listed(root / name, ".txt"))), None)
    found: dict[str, str] = {}
    for split, path in _lists(folder) if folder else []:
        for stem in dict.fromkeys(_stems(path, images)):
            if stem not in images:
                ledger.leave(LISTED_NOT_THERE, f"{path}: {stem}")
            elif found.setdefault(stem, split) != split:
                ledger.note(IN_TWO_SPLITS, f"{stem}: {found[stem]}, {split}")
    return found or None


def _lists(folder: Path) -> list[tuple[str, Path]]:
    """Which list is which split: ``trainval`` is all of both, and of use only where these are not there."""
    there = {path.stem: path for path in listed(folder, ".txt")}
    lists = [(split, there[split]) for split in SPLITS if split in there]
    if "trainval" in there and "train" not in there:
        lists.append(("train", there["trainval"]))
    return lists


def _stems(path: Path, images: Container[str]) -> list[str]:
    """The images that a list names; some tools write their endings."""
    return [_stem_of(line, images) for line in lines_of(path) if line]


def _stem_of(line: str, images: Container[str]) -> str:
    """Of a line that is the name of an image, which may have spaces, all of it; of others the first word."""
    whole, first = map(_plain, (line, line.split()[0]))
    return whole if whole in images else first


def _plain(name: str) -> str:
    stem = Path(name).with_suffix("").as_posix() if name.lower().endswith(_ENDINGS) else name
    return normalize("NFC", stem)
