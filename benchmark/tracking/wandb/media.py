"""Tables, pictures and images with boxes as Weights & Biases shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.run.samples import Box, ImageSample
from benchmark.tracking.base import Table, Value

if TYPE_CHECKING:
    import wandb


def wandb_value(value: Value) -> float | wandb.Table | wandb.Image:
    """A number as it is, a table as ``wandb.Table``, a picture's file as ``wandb.Image``."""
    import wandb

    if isinstance(value, Table):
        # Declared: a column whose first value is absent would otherwise hold nothing else.
        kinds = [float if numeric else str for numeric in value.numeric]
        rows = [list(row) for row in value.rows]
        return wandb.Table(columns=list(value.columns), data=rows, dtype=kinds, optional=True)
    return wandb.Image(str(value)) if isinstance(value, Path) else value


def wandb_image(sample: ImageSample, class_names: Sequence[str]) -> wandb.Image:
    """The image of a sample with its boxes; ``class_names`` are in label order."""
    import wandb

    labels = dict(enumerate(class_names))
    ids = {name: index for index, name in labels.items()}
    boxes = {
        key: {"box_data": [_box_data(box, ids) for box in drawn], "class_labels": labels}
        for key, drawn in (("ground_truth", sample.truth), ("predictions", sample.predictions))
    }
    return wandb.Image(str(sample.path), boxes=boxes, caption=sample.path.name)


def _box_data(box: Box, ids: Mapping[str, int]) -> dict[str, object]:
    left, top, right, bottom = box.xyxy
    score = {} if box.score is None else {"score": box.score}
    return {
        "position": {"minX": left, "minY": top, "maxX": right, "maxY": bottom},
        "domain": "pixel",
        "class_id": ids[box.label],
        "box_caption": box.label if box.score is None else f"{box.label} {box.score:.2f}",
        "scores": score,
    }
