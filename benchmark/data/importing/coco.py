"""COCO's own layout: ``annotations/instances_train2017.json`` beside ``train2017/``; CVAT's COCO export has it, too."""

from __future__ import annotations

from pathlib import Path

from benchmark.data.importing.base import Format, Source
from benchmark.data.importing.coco_file import read_files
from benchmark.data.importing.ledger import Ledger
from benchmark.data.layouts import coco_files


def _recognise(root: Path) -> str:
    return ", ".join(str(file.annotations) for file in coco_files(root))


def _read(root: Path, ledger: Ledger) -> Source:
    return read_files(root, coco_files(root), ledger)


COCO = Format(
    key="coco",
    title="COCO",
    sought="annotations/instances_*.json",
    recognise=_recognise,
    read=_read,
)
