"""Labelled images in the forms that tools write, made one folder as ``--data-root`` takes it."""

from __future__ import annotations

from benchmark.data.importing.base import Format
from benchmark.data.importing.coco import COCO
from benchmark.data.importing.cvat import CVAT
from benchmark.data.importing.data_root import DATA_ROOT
from benchmark.data.importing.label_studio import LABEL_STUDIO
from benchmark.data.importing.roboflow import ROBOFLOW
from benchmark.data.importing.voc import VOC
from benchmark.data.importing.yolo import YOLO

FORMATS: tuple[Format, ...] = (VOC, YOLO, CVAT, LABEL_STUDIO, ROBOFLOW, COCO, DATA_ROOT)
"""Every format that `detboard data import` reads: one file and one entry each."""
