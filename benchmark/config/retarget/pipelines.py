"""Pipelines: images and boxes are loaded, from the local disk, and masks where a model learns them."""

from __future__ import annotations

from benchmark.config.tree import LOADERS, Config, dicts, is_list
from benchmark.config.vocabulary.words import class_of, is_local

_NO_MASKS = "masks are not loaded: with_mask, poly2mask and the like"
_DROPPED = {
    "CopyPaste": "it pastes objects along their masks",
    "InstaBoost": "it moves objects along their masks",
    "LoadSemSegAnnotations": "it loads semantic maps",
    "SegRescale": "it scales semantic maps",
}
_LOADING = ("LoadAnnotations", "LoadPanopticAnnotations")
# Other libraries have other transforms under these keys.
_FOREIGN = ("Albu", "ImageAug")
_NESTING = ("transforms", "policies", "aug_space")


def retarget_pipelines(config: Config, with_masks: bool) -> list[str]:
    """Fits every pipeline of a config to a data set on the local disk, in place.

    They are those of the loaders, whatever wraps their data sets, of test-time augmentation, and those that a hook
    puts in later.

    Args:
        config: A retargeted config.
        with_masks: Whether masks are loaded for the model; semantic maps never are.

    Returns:
        What was changed.
    """
    changes: list[str] = []
    for node in (n for key in (*LOADERS, "custom_hooks") for n in dicts(config.get(key))):
        for key in ("pipeline", "switch_pipeline"):
            if is_list(node.get(key)):
                node[key] = _fitted(node[key], with_masks, changes)
    if is_list(config.get("tta_pipeline")):
        config["tta_pipeline"] = _fitted(config["tta_pipeline"], with_masks, changes)
    return changes


def _fitted(steps: object, with_masks: bool, changes: list[str]) -> object:
    """A transform, or a list of them however deep, without what is dropped."""
    if is_list(steps):
        kept = (item for item in steps if not _goes(item, with_masks, changes))
        return type(steps)(_fitted(item, with_masks, changes) for item in kept)  # type: ignore[call-arg]
    if isinstance(steps, dict):
        _fit_step(steps, with_masks, changes)
    return steps


def _goes(step: object, with_masks: bool, changes: list[str]) -> bool:
    name = class_of(step)
    goes = name in _DROPPED and not (with_masks and name in ("CopyPaste", "InstaBoost"))
    if goes:
        changes.append(f"{name} dropped: {_DROPPED[name]}")
    return goes


def _fit_step(step: Config, with_masks: bool, changes: list[str]) -> None:
    if step.pop("file_client_args", None) or not is_local(step.get("backend_args")):
        changes.append("backend_args dropped: the data is local")
    if "backend_args" in step:
        step["backend_args"] = None
    if class_of(step) in _LOADING:
        changes += _fit_loading(step, with_masks)
    if class_of(step) == "FilterAnnotations" and not with_masks:
        changes += _fit_filter(step)
    if class_of(step) == "Albu" and not with_masks and isinstance(step.get("keymap"), dict):
        step["keymap"] = {k: v for k, v in step["keymap"].items() if k != "gt_masks"}
    for key in _NESTING if class_of(step) not in _FOREIGN else ():
        if key in step:
            step[key] = _fitted(step[key], with_masks, changes)


def _fit_loading(step: Config, with_masks: bool) -> list[str]:
    changes = []
    if class_of(step) == "LoadPanopticAnnotations":
        backend = {"backend_args": None} if "backend_args" in step else {}
        step.clear()
        step.update(type="LoadAnnotations", with_bbox=True, **backend)
        changes.append("LoadPanopticAnnotations -> LoadAnnotations")
    if step.pop("with_seg", False):
        changes.append("semantic maps are not loaded: with_seg")
    if not with_masks:
        changes += [_NO_MASKS] if step.pop("with_mask", False) else []
        step.pop("poly2mask", None)
    return changes


def _fit_filter(step: Config) -> list[str]:
    """A filter by masks would leave nothing; by boxes it goes on."""
    step.pop("min_gt_mask_area", None)
    by_mask = step.pop("by_mask", False)
    if by_mask:
        step["by_box"] = True
    return [_NO_MASKS] if by_mask else []
