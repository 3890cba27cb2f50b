"""Branches for masks: dropped where a data set has boxes alone."""

from __future__ import annotations

from benchmark.config.tree import Config, dicts
from benchmark.config.vocabulary.words import class_of, each

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
# Heads that predict boxes and masks at once.
MASK_HEADS = (
    "BoxInstBboxHead",
    "CondInstBboxHead",
    "RTMDetInsHead",
    "RTMDetInsSepBNHead",
    "YOLACTHead",
)


def predicts_masks(model: Config) -> bool:
    """Whether a model has a branch for masks, and so must be shown some."""
    heads = [head for _, head in each(model.get("bbox_head"), "")]
    roi_heads = _roi_heads(model)
    return bool(
        model.get("mask_head")
        or any(head.get("mask_head") for head in roi_heads)
        or any(class_of(head) in MASK_HEADS for head in heads)
    )


def drop_masks(model: Config, has_masks: bool) -> list[str]:
    """Makes a detector of boxes of one that predicts masks as well, in place.

    Args:
        model: A config's ``model``.
        has_masks: Whether the data set has masks: then only a branch for semantic maps goes.

    Returns:
        What was changed.
    """
    changes = []
    for roi_head in _roi_heads(model):
        keys = _OF_MAPS if has_masks else (*_OF_MASKS, *_OF_MAPS)
        changes += _dropped([key for key in keys if roi_head.pop(key, None) is not None])
        changes += [] if has_masks else _as_boxes(roi_head)
    if has_masks:
        return changes
    _pad_no_masks(model)
    return [*changes, *_as_boxes(model)]


def _roi_heads(model: Config) -> list[Config]:
    """The RoI heads; some detectors of others have several."""
    return [head for _, head in each(model.get("roi_head"), "") if isinstance(head, dict)]


def _dropped(keys: list[str]) -> list[str]:
    masks = [f"roi_head.{key}" for key in keys if key in _OF_MASKS]
    maps = [f"roi_head.{key}" for key in keys if key in _OF_MAPS]
    return [
        f"{kind} dropped: {', '.join(names)}"
        for kind, names in (("mask branch", masks), ("branch for semantic maps", maps))
        if names
    ]


def _as_boxes(node: Config) -> list[str]:
    name = class_of(node)
    if name not in _OF_BOXES:
        return []
    node["type"] = _OF_BOXES[name]
    return [f"{name} -> {node['type']}"]


def _pad_no_masks(model: Config) -> None:
    """A preprocessor that pads masks would look for some."""
    for node in dicts(model.get("data_preprocessor")):
        for key in ("pad_mask", "pad_seg"):
            if node.get(key):
                node[key] = False
