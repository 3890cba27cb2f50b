"""The same few images and boxes as labelling tools write them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from hotcoco import COCO
from PIL import Image

CLASSES = ["bag", "can"]
SIZES = {"a.png": (64, 32), "b.png": (32, 64), "c.png": (128, 64)}
BOXES: dict[str, list[tuple[str, list[int]]]] = {
    "a.png": [("can", [0, 0, 64, 32]), ("bag", [3, 5, 10, 20])],
    "b.png": [("bag", [31, 63, 1, 1])],
    "c.png": [],
}
"""Boxes ``xywh`` in pixels by the image; one fills its image, one is its last pixel, one image has none."""


def draw(folder: Path, names: Any = SIZES, **saved: Any) -> None:
    """Draws the images, each in a colour of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", SIZES[name], (40 + number, 90, 200)).save(folder / name, **saved)


def coco(names: Any = SIZES, **fields: Any) -> dict[str, Any]:
    """The COCO file of some of the images; ``fields`` are added to each of ``images``."""
    images = [
        {"id": key, "file_name": name, "width": SIZES[name][0], "height": SIZES[name][1], **fields}
        for key, name in enumerate(names, start=1)
    ]
    boxes = [(image["id"], *box) for image in images for box in BOXES[image["file_name"]]]
    return {
        "images": images,
        "annotations": [
            {
                "id": key,
                "image_id": image,
                "category_id": CLASSES.index(label) + 1,
                "bbox": xywh,
                "area": xywh[2] * xywh[3],
                "iscrowd": 0,
            }
            for key, (image, label, xywh) in enumerate(boxes, start=1)
        ],
        "categories": [{"id": key, "name": name} for key, name in enumerate(CLASSES, start=1)],
    }


def dump(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def _hotcoco(root: Path) -> COCO:
    root.mkdir(parents=True, exist_ok=True)
    path = dump(root / "coco.json", coco())
    try:
        return COCO(str(path))
    finally:
        path.unlink()


def voc(root: Path) -> None:
    """As hotcoco writes it, without the list of classes, which is its own."""
    _hotcoco(root).to_voc(str(root))
    (root / "labels.txt").unlink()
    draw(root / "JPEGImages")


def yolo(root: Path) -> None:
    _hotcoco(root).to_yolo(str(root / "labels"))
    shutil.move(root / "labels" / "data.yaml", root / "data.yaml")
    draw(root / "images")


def cvat(root: Path) -> None:
    draw(root / "images")
    _hotcoco(root).to_cvat(str(root / "annotations.xml"))


def label_studio(root: Path) -> None:
    """Category ids from 0, names below ``images/``, ids of annotations from 0."""
    content = coco()
    for image in content["images"]:
        image["file_name"] = f"images/{image['file_name']}"
    for key, box in enumerate(content["annotations"]):
        box.update(id=key, category_id=box["category_id"] - 1, ignore=0, segmentation=[])
    for kind in content["categories"]:
        kind["id"] -= 1
    info = {"year": 2026, "version": "1.0", "contributor": "Label Studio", "url": ""}
    dump(root / "result.json", {**content, "info": info})
    draw(root / "images")


def roboflow(root: Path) -> None:
    """The class 0 that stands for all others, and a licence in each image."""
    content = coco(license=1, date_captured="2026-01-31T12:00:00+00:00")
    kinds = [{"id": 0, "name": "things", "supercategory": "none"}]
    kinds += [{**kind, "supercategory": "things"} for kind in content["categories"]]
    dump(root / "train" / "_annotations.coco.json", {**content, "categories": kinds})
    draw(root / "train")


def coco_layout(root: Path) -> None:
    dump(root / "annotations" / "instances_train2017.json", coco())
    draw(root / "train2017")


def data_root(root: Path) -> None:
    dump(root / "train.json", coco())
    draw(root / "images")


EXPORTS = {
    "voc": voc,
    "yolo": yolo,
    "cvat": cvat,
    "label-studio": label_studio,
    "roboflow": roboflow,
    "coco": coco_layout,
    "data-root": data_root,
}
"""By the format's name, what writes it into a folder; all of it is for training, or of no split."""
