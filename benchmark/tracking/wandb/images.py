"""How Weights & Biases shows an image with its boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.run.samples import Box, ImageSample


def wandb_image(sample: ImageSample, class_names: Sequence[str]) -> Any:
    """The ``wandb.Image`` of a sample; ``class_names`` are in label order."""
    import wandb

    labels = dict(enumerate(class_names))
    ids = {name: index for index, name in labels.items()}
    boxes = {
        key: {"box_data": [_box_data(box, ids) for box in drawn], "class_labels": labels}
        for key, drawn in (("ground_truth", sample.truth), ("predictions", sample.predictions))
    }
    return wandb.Image(str(sample.path), boxes=boxes, caption=sample.path.name)


def _box_data(box: Box, ids: Mapping[str, int]) -> dict[str, Any]:
    left, top, right, bottom = box.xyxy
    score = {} if box.score is None else {"score": box.score}
    return {
        "position": {"minX": left, "minY": top, "maxX": right, "maxY": bottom},
        "domain": "pixel",
        "class_id": ids[box.label],
        "box_caption": box.label if box.score is None else f"{box.label} {box.score:.2f}",
        "scores": score,
    }
