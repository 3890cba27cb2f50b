"""Roboflow's COCO export: ``_annotations.coco.json`` beside the images in ``train/``, ``valid/`` and ``test/``."""

from __future__ import annotations

from pathlib import Path

from benchmark.data.importing.base import Format, Source
from benchmark.data.importing.coco_file import read_files
from benchmark.data.importing.ledger import Ledger
from benchmark.data.layouts import roboflow_files


def _recognise(root: Path) -> str:
    return ", ".join(str(file.annotations) for file in roboflow_files(root))


def _read(root: Path, ledger: Ledger) -> Source:
    return read_files(root, roboflow_files(root), ledger)


ROBOFLOW = Format(
    key="roboflow",
    title="Roboflow's COCO",
    sought="_annotations.coco.json in train/, valid/ and test/",
    recognise=_recognise,
    read=_read,
)
