"""Rows whose boxes need no training: the true boxes, moved; and those of other rows, moved once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.experiment.rows.base import Layer, Recipe, Surroundings
from benchmark.job.made.base import Made, Making
from benchmark.statistics.evaluation import Detections


class TruthRecipe(Recipe):
    """The true boxes, each ``truth`` pixels further right, every ``skip``-th left out."""

    truth: float
    skip: int = 3

    @property
    def names(self) -> Mapping[str, str]:
        return {"truth": str(self.truth)}

    def layers(self, around: Surroundings) -> Sequence[Layer]:
        return ()

    def making(self, around: Surroundings) -> Mapping[str, object]:
        return {"shift": self.truth, "skip": self.skip}


class CopyRecipe(Recipe):
    """The boxes of the first of the rows, each a pixel further right."""

    copies: list[str]
    all_seeds: bool = False

    @property
    def names(self) -> Mapping[str, str]:
        return {"copies": " ".join(self.copies)}

    @property
    def source_rows(self) -> tuple[str, ...]:
        return tuple(self.copies)

    @property
    def over_seeds(self) -> bool:
        return self.all_seeds

    def layers(self, around: Surroundings) -> Sequence[Layer]:
        return ()

    def making(self, around: Surroundings) -> Mapping[str, object]:
        return {"shift": 1}


def from_truth(making: Making) -> Made:
    return Made({split: _moved_truth(making, split) for split in making.splits})


def _moved_truth(making: Making, split: str) -> Detections:
    boxes = making.annotations[split].boxes
    kept = np.arange(len(boxes.xywh)) % int(str(making.spec.making["skip"])) != 0
    moved = boxes.xywh + np.array([float(str(making.spec.making["shift"])), 0, 0, 0])
    scores = np.linspace(0.9, 0.5, len(moved))
    found = Detections(boxes.image_ids, moved, scores, boxes.category_ids)
    return found.chosen(kept)


def from_row(making: Making) -> Made:
    """Of rows whose boxes of the test split are not known."""
    from benchmark.files import read_json

    folder, _ = making.sources[0]
    found = Detections.from_coco(read_json(folder.predictions_file))
    moved = found.boxes + np.array([1.0, 0, 0, 0])
    return Made({"val": Detections(found.image_ids, moved, found.scores, found.category_ids)})
