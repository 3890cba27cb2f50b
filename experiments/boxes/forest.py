"""Boxes from a program of a few lines, as a challenge takes them: spots of colour, named by a random forest.

It stands for whatever finds boxes elsewhere. Its file for the miniature data is beside it, and was made so:

    python experiments/boxes/forest.py data/miniature experiments/boxes/forest.csv
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import find_objects, label
from sklearn.ensemble import RandomForestClassifier

THRESHOLDS = (30, 45, 60, 80, 110)  # differences from the floor's colour, of 255
SIDE, LEAST = 12, 8  # pixels: of the patch that the forest sees, and of a spot's shorter side
KEPT = 10  # boxes an image

Box = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels


def spots(image: Image.Image) -> Iterator[Box]:
    """Connected regions whose colour is not the floor's, which is the median of the image."""
    pixels = np.asarray(image, np.float64)
    distance = np.abs(pixels - np.median(pixels, axis=(0, 1))).max(axis=2)
    boxes = set()
    for threshold in THRESHOLDS:
        regions, _ = label(distance > threshold)
        for rows, columns in find_objects(regions):
            boxes.add((columns.start, rows.start, columns.stop, rows.stop))
    return (box for box in sorted(boxes) if min(box[2] - box[0], box[3] - box[1]) >= LEAST)


def patch(image: Image.Image, box: Box) -> NDArray[np.float64]:
    """What the forest sees of a box: its pixels at one size, and how large it is."""
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box), np.float64)
    return np.append(pixels.ravel(), (box[2] - box[0], box[3] - box[1]))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    sizes = ((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b))
    return shared / (sum(sizes) - shared)


def images_of(root: Path, split: str) -> Iterator[tuple[dict[str, object], Image.Image, list]]:
    """The images of a split, each with its boxes and their labels."""
    content = json.loads((root / f"{split}.json").read_text())
    order = [category["id"] for category in content["categories"]]
    for entry in content["images"]:
        truth = []
        for found in content["annotations"]:
            if found["image_id"] == entry["id"]:
                x, y, width, height = found["bbox"]
                truth.append(((x, y, x + width, y + height), order.index(found["category_id"])))
        yield entry, Image.open(root / "images" / entry["file_name"]).convert("RGB"), truth


def learnt(root: Path) -> tuple[RandomForestClassifier, int]:
    """A forest that knows each class, and which label stands for none: spots that lie on no object."""
    patches, labels = [], []
    for _, image, truth in images_of(root, "train"):
        for box, number in truth:
            patches.append(patch(image, box))
            labels.append(number)
        for box in spots(image):
            best, number = max(((overlap(box, b), n) for b, n in truth), default=(0.0, -1))
            if best > 0.6 or best < 0.3:
                patches.append(patch(image, box))
                labels.append(number if best > 0.6 else -1)
    forest = RandomForestClassifier(300, random_state=0, n_jobs=1)
    return forest.fit(np.array(patches), labels), -1


def found(forest: RandomForestClassifier, nothing: int, image: Image.Image) -> list[tuple]:
    """Label, score and box of the best spots; of two that lie on each other the better one."""
    boxes = list(spots(image))
    if not boxes:
        return []
    chances = forest.predict_proba(np.array([patch(image, box) for box in boxes]))
    known = [
        (score, number, box)
        for box, scores in zip(boxes, chances, strict=True)
        for number, score in zip(forest.classes_, scores, strict=True)
        if number != nothing and score > 0.05
    ]
    kept: list[tuple] = []
    for score, number, box in sorted(known, reverse=True):
        if all(number != n or overlap(box, b) < 0.5 for _, n, b in kept):
            kept.append((score, number, box))
    return kept[:KEPT]


def main(root: Path, out: Path) -> None:
    """Writes the boxes on the validation images of a data root."""
    forest, nothing = learnt(root)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["PredictionString", "image_id"])
        for entry, image, _ in images_of(root, "val"):
            boxes = found(forest, nothing, image)
            words = (f"{n} {score:.3f} {' '.join(map(str, box))}" for score, n, box in boxes)
            writer.writerow([" ".join(words), entry["id"]])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
