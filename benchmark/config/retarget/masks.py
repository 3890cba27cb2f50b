"""Branches for masks: dropped where a data set has boxes alone."""

from __future__ import annotations

from benchmark.config.tree import Config, dicts
from benchmark.config.vocabulary.words import class_of, mapping_of

_OF_MASKS = ("mask_head", "mask_roi_extractor", "mask_iou_head", "point_head")
# Semantic maps are files beside the annotations, which a data set here has none of.
_OF_MAPS = ("semantic_head", "semantic_roi_extractor")
# The same detectors without their branch for masks.
_OF_BOXES = {
    "MaskRCNN": "FasterRCNN",
    "MaskScoringRCNN": "FasterRCNN",
    "PointRend": "FasterRCNN",
    "MaskScoringRoIHead": "StandardRoIHead",
    "PointRendRoIHead": "StandardRoIHead",
}


def predicts_masks(model: Config) -> bool:
    """Whether a model has a branch for masks, and so must be shown some."""
    return bool(mapping_of(model.get("roi_head")).get("mask_head"))


def drop_masks(model: Config, has_masks: bool) -> list[str]:
    """Makes a detector of boxes of one that predicts masks as well, in place.

    Args:
        model: A config's ``model``.
        has_masks: Whether the data set has masks: then only a branch for semantic maps goes.

    Returns:
        What was changed.
    """
    roi_head = mapping_of(model.get("roi_head"))
    keys = _OF_MAPS if has_masks else (*_OF_MASKS, *_OF_MAPS)
    dropped = [key for key in keys if roi_head.pop(key, None) is not None]
    changes = [_dropped(dropped)] if dropped else []
    return (
        changes
        if has_masks
        else [*changes, *_as_boxes(model), *_as_boxes(roi_head), *_unpadded(model)]
    )


def _dropped(keys: list[str]) -> str:
    return f"mask branch dropped: {', '.join(f'roi_head.{key}' for key in keys)}"


def _as_boxes(node: Config) -> list[str]:
    name = class_of(node)
    if name not in _OF_BOXES:
        return []
    node["type"] = _OF_BOXES[name]
    return [f"{name} -> {node['type']}"]


def _unpadded(model: Config) -> list[str]:
    """A preprocessor that pads masks would look for some."""
    for node in dicts(model.get("data_preprocessor")):
        for key in ("pad_mask", "pad_seg"):
            if node.get(key):
                node[key] = False
    return []
