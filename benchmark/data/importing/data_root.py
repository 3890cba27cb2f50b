"""The folder that ``--data-root`` takes: ``train.json``, ``val.json`` and ``test.json``; to be merged with others."""

from __future__ import annotations

from pathlib import Path

from benchmark.data.importing.base import Format, Source
from benchmark.data.importing.coco_file import read_files
from benchmark.data.importing.ledger import Ledger
from benchmark.data.layouts import SPLITS, LaidOut


def own_files(root: Path) -> list[LaidOut]:
    """The annotation files of a data root."""
    return [
        LaidOut(split, root / f"{split}.json", (root / "images", root / split, root))
        for split in SPLITS
        if (root / f"{split}.json").is_file()
    ]


def _recognise(root: Path) -> str:
    return ", ".join(str(file.annotations) for file in own_files(root))


def _read(root: Path, ledger: Ledger) -> Source:
    return read_files(root, own_files(root), ledger)


DATA_ROOT = Format(
    key="data-root",
    title="COCO as --data-root takes it",
    sought="train.json, val.json or test.json",
    recognise=_recognise,
    read=_read,
)
