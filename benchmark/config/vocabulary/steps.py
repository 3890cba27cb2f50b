"""Pipelines: what the steps of one need of each other, and of the values that they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from benchmark.config.tree import Config, dicts, is_leaf, is_list
from benchmark.config.vocabulary.words import (
    class_of,
    each,
    imports_own,
    mapping_of,
    named_hooks,
    not_a_number,
    one_of,
)
from benchmark.errors import shown

_PACKERS = ("PackDetInputs", "PackTrackInputs", "PackReIDInputs", "MultiBranch")
_LOADERS = ("LoadImageFromFile", "LoadMultiChannelImageFromFiles", "InferencerLoader")
# They take other images of the data set, which MultiImageMixDataset hands them.
_MIXERS = ("Mosaic", "MixUp", "CopyPaste")
# Of an evaluated image, mmdet takes back a change of size, and no other: boxes would lie elsewhere.
_MOVERS = (
    "CenterCrop",
    "Expand",
    "GeomTransform",
    "MinIoURandomCrop",
    "RandomAffine",
    "RandomCrop",
    "RandomFlip",
    "RandomShift",
    "Rotate",
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
)
# What mmdet's heads, and CocoMetric, read of an evaluated image.
_META = ("img_id", "ori_shape", "img_shape")

_TURNS = ("horizontal", "vertical", "diagonal")

_Steps = list[tuple[str, Config]]


def nested(node: object, key: str) -> Iterator[tuple[str, Config]]:
    """A data set and those that it is made of, with their key paths."""
    if isinstance(node, dict):
        yield key, node
        for name in ("dataset", "datasets"):
            for where, inner in each(node.get(name), f"{key}.{name}"):
                yield from nested(inner, where)


def orders(config: Config) -> Iterator[str]:
    """Each image is loaded with its boxes, and packed for the model."""
    if imports_own(config):
        return  # a step of one's own may do any of it
    for name in ("train_dataloader", "val_dataloader"):
        evaluated = name == "val_dataloader"
        for key, steps in _whole(mapping_of(config.get(name)).get("dataset"), f"{name}.dataset"):
            yield from _problems(key, steps, evaluated)
    for key, hook in named_hooks(config):
        if is_list(hook.get("switch_pipeline")):
            place = f"{key}.switch_pipeline"
            yield from _problems(place, _steps(hook["switch_pipeline"], place), evaluated=False)


def _whole(node: object, key: str, later: _Steps | None = None) -> Iterator[tuple[str, _Steps]]:
    """The pipeline of each data set that reads a file, and what a MultiImageMixDataset around it goes on with."""
    if not isinstance(node, dict):
        return
    own = _steps(node.get("pipeline"), f"{key}.pipeline")
    if is_leaf(node) and "pipeline" in node:
        yield f"{key}.pipeline", [*own, *(later or [])]
    for name in ("dataset", "datasets"):
        for where, inner in each(node.get(name), f"{key}.{name}"):
            yield from _whole(inner, where, [*own, *(later or [])])


def _steps(pipeline: object, key: str) -> _Steps:
    items = each(pipeline if is_list(pipeline) else None, key)
    return [(place, step) for place, step in items if isinstance(step, dict)]


def _problems(key: str, steps: _Steps, evaluated: bool) -> Iterator[str]:
    names = {class_of(node) for _, step in steps for node in dicts(step)}
    if any("." in name for name in names):
        return  # another library's
    if not names & {*_LOADERS}:
        yield f"{key}: no step loads the image; begin it with LoadImageFromFile"
    if not names & {*_PACKERS}:
        yield f"{key}: no step packs the image for the model; end it with PackDetInputs"
    yield from _evaluated(steps) if evaluated else _learnt(key, steps)
    own = f"{key}."
    for place, step in steps:
        if class_of(step) in _MIXERS and place.startswith(own):
            yield (
                f"{place}: {class_of(step)} takes other images of the data set; write it in the pipeline of a "
                "MultiImageMixDataset around it"
            )


def _learnt(key: str, steps: _Steps) -> Iterator[str]:
    """Without boxes mmdet learns that there is nothing anywhere, and says no word."""
    loading = [n for _, s in steps for n in dicts(s) if "Annotations" in class_of(n)]
    loading = [node for node in loading if class_of(node).startswith("Load")]
    if not loading:
        yield f"{key}: no step loads the boxes; add {{type: LoadAnnotations, with_bbox: true}}"
    for name in ("with_bbox", "with_label"):
        if loading and not any(node.get(name, True) for node in loading):
            yield f"{key}: LoadAnnotations has {name}: false, so that nothing is learnt; leave it out"
    masks = any(node.get("with_mask") for node in loading)
    for place, step in steps:
        if class_of(step) == "CopyPaste" and not masks:
            yield f"{place}: CopyPaste pastes masks, and none are loaded; leave it out"


def _evaluated(steps: _Steps) -> Iterator[str]:
    resized = any("Resize" in class_of(step) for _, step in steps)
    for place, step in steps:
        name = class_of(step)
        if name in _MOVERS and step.get("prob") != 0:
            yield f"{place}: {name} moves the boxes of an image that is evaluated; leave it out"
        keys = step.get("meta_keys")
        if name == "PackDetInputs" and is_list(keys):
            needed = [*_META, *(["scale_factor"] if resized else [])]
            if lacking := [key for key in needed if key not in keys]:
                yield f"{place}.meta_keys: lacks {', '.join(lacking)}, which an evaluation needs"


def inner_steps(step: object, key: str) -> Iterator[tuple[str, object]]:
    """The transforms that one is made of: those of a choice, a policy, a branch."""
    node = mapping_of(step)
    if class_of(node) in ("Albu", "ImageAug"):
        return  # another library's
    for name in ("transforms", "policies", "aug_space"):
        yield from _listed(node.get(name), f"{key}.{name}")
    if class_of(node) == "MultiBranch":
        for name, branch in node.items():
            if name not in ("type", "branch_field"):
                yield from _listed(branch, f"{key}.{name}")


def _listed(node: object, key: str) -> Iterator[tuple[str, object]]:
    for place, item in each(node, key):
        if is_list(item):
            yield from _listed(item, place)
        else:
            yield place, item
            yield from inner_steps(item, place)


def values(config: Config) -> Iterator[str]:
    """What a step refuses only when the job builds it, or comes to the first image."""
    for name in ("train_dataloader", "val_dataloader"):
        for where, node in nested(mapping_of(config.get(name)).get("dataset"), f"{name}.dataset"):
            pipeline = node.get("pipeline")
            for key, step in _listed(pipeline if is_list(pipeline) else None, f"{where}.pipeline"):
                if isinstance(step, dict):
                    yield from _values(key, step)


# What is wrong with the arguments of a step: a test, and what is said where it holds.
_WRONG: Mapping[str, tuple[Callable[[Config], bool], str]] = {
    "CutOut": (
        lambda step: (step.get("cutout_shape") is None) == (step.get("cutout_ratio") is None),
        "needs 'cutout_shape' or 'cutout_ratio', and not both",
    ),
    "LoadImageFromNDArray": (lambda _: True, "reads no files; write LoadImageFromFile"),
    "Pad": (
        lambda step: (step.get("size") is None) == (not _pads_else(step)),
        "needs one of 'size', 'size_divisor' and 'pad_to_square'",
    ),
    "RandomFlip": (lambda step: step.get("prob") is None, "needs 'prob', as in 0.5"),
    "RandomResize": (
        lambda step: step.get("ratio_range") is None and _is_size(step.get("scale")),
        "of one scale needs 'ratio_range', as in [0.5, 2.0]",
    ),
    "Resize": (
        lambda step: step.get("scale") is None and step.get("scale_factor") is None,
        "needs 'scale', the size to fit in, or 'scale_factor'",
    ),
}
_CACHED = {"CachedMixUp": 2, "CachedMosaic": 4}


def _values(key: str, step: Config) -> Iterator[str]:
    name = class_of(step)
    is_wrong, told = _WRONG.get(name, (lambda _: False, ""))
    if is_wrong(step):
        yield f"{key}: {name} {told}"
    if name in _CACHED:
        yield from not_a_number(key, step, "max_cached_images", _CACHED[name], whole=True)
    if name == "RandomFlip":
        for _, turn in each(step.get("direction"), key):
            yield from one_of(key, {"direction": turn}, "direction", _TURNS)
    yield from _chances(key, step)


def _pads_else(step: Config) -> bool:
    return bool(step.get("pad_to_square")) or step.get("size_divisor") is not None


def _is_size(value: object) -> bool:
    return is_list(value) and all(isinstance(side, int) for side in value)


def _chances(key: str, step: Config) -> Iterator[str]:
    """How likely a step is: a share of the images."""
    for _, share in each(step.get("prob"), key):
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            yield f"{key}.prob: {shown(share)} is no share from 0 to 1"
