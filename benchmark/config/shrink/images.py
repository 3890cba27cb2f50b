"""Smaller images: every size of every pipeline by the factor that makes training images as small as asked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmark.config.shrink.pixels import (
    BATCH_SIZES,
    EDGES,
    LENGTHS,
    SCALES,
    Grid,
    Network,
    has_size,
    mapped,
    numbers,
)
from benchmark.config.tree import LOADERS, Config, dicts, is_list, leaves
from benchmark.config.vocabulary.words import class_of, mapping_of

# A pair of sides further apart means the short side alone, as DETR's (400, 4200); few photographs are longer than
# 16 : 9.
_FURTHEST_APART = 3
_LONG_TO_SHORT = 16 / 9

_EVALUATION = ("val_dataloader", "test_dataloader")


class Shrunk(NamedTuple):
    """What became of the images.

    Attributes:
        factor: What their sides were multiplied by.
        share: Of their number that is as much work as asked for: below 1 where the model takes one size only.
    """

    factor: float = 1
    share: float = 1


def shrink_images(config: Config, longest_side: int, changes: list[str]) -> Shrunk:
    """Shrinks every image size of a config, in place.

    Args:
        config: A merged config.
        longest_side: Of a training image, in pixels.
        changes: Takes a line for each thing that is more than a smaller size.
    """
    model = mapping_of(config.get("model"))
    trained = training_side(config)
    published = trained or _pipelines_side(config, *_EVALUATION)
    if published > longest_side and takes_one_size(model):
        changes.append(
            f"images stay at {published} px, the one size that this model takes: fewer of them"
        )
        return Shrunk(share=(longest_side / published) ** 2)
    network = Network.of(model)
    target = _target(config, published, longest_side, network)
    if target < published:
        scale_images(config, target / published, network)
    if not trained:
        _resize(config, ("train_dataloader",), target, changes)
    if not trained or target < published:
        _resize(config, _EVALUATION, target, changes)
    return Shrunk(min(target / published, 1) if published else 1)


def takes_one_size(model: object) -> bool:
    """Whether a model is built for one size of images: SSD's layers and anchors are laid out for one size of image."""
    return any(
        class_of(node) == "SSDAnchorGenerator" or "input_size" in node for node in dicts(model)
    )


def _target(config: Config, published: int, longest_side: int, network: Network) -> int:
    """The longest side fits the grid, or padding alone would multiply the work."""
    steps = dicts(config.get("train_dataloader"))
    sizes = (step.get(key) for step in steps for key in BATCH_SIZES | EDGES)
    of_a_batch = network.divisor > 1 or any(published in numbers(size) for size in sizes)
    return (network.grid(published) if of_a_batch else Grid(1)).within(longest_side)


# How large a training image is


def training_side(config: Config) -> int:
    """The longest side of a config's training images in pixels; 0 where nothing tells."""
    preprocessor = mapping_of(mapping_of(config.get("model")).get("data_preprocessor"))
    augments = preprocessor.get("batch_augments")
    return _pipelines_side(config, "train_dataloader") or max(_sides(augments), default=0)


def _pipelines_side(config: Config, *loaders: str) -> int:
    nodes = (node for loader in loaders for node in dicts(config.get(loader)))
    return max((side for node in nodes for side in _sides(node.get("pipeline"))), default=0)


def _sides(steps: object, most: float = math.inf) -> Iterator[int]:
    """The longest side after each step of a pipeline that is not cut down later in it."""
    for step in reversed([*_in_turn(steps)]):
        if not isinstance(step, dict):
            yield from _sides(step, most)
            continue
        yield from _sides(step.get("transforms"), most)
        side = _side_after(step)
        if side:
            yield int(min(side, most))
        if side and _settles(step):
            most = min(most, side)


def _in_turn(steps: object) -> Iterator[object]:
    """The steps of a pipeline; those of albumentations come one after the other, too."""
    for step in steps if is_list(steps) else ():
        within = mapping_of(step).get("transforms")
        yield from _in_turn(within) if class_of(step) == "Albu" else (step,)


def _side_after(step: Config) -> int:
    """The longest side that a step names, in pixels; 0 if it names none."""
    longest = _of_photograph if step.get("keep_ratio") else _largest
    scales = (longest(step.get(key)) for key in SCALES)
    return max(*scales, *(_largest(step.get(key)) for key in BATCH_SIZES | EDGES))


def _settles(step: Config) -> bool:
    """Whether no image is larger after a step than it says."""
    kind = class_of(step)
    if "Crop" in kind:
        return not str(step.get("crop_type", "")).startswith("relative") and step.get("p", 1) == 1
    return kind.endswith("Resize")


def _largest(size: object) -> int:
    return max(map(abs, numbers(size)), default=0)


def _of_photograph(size: object) -> int:
    """The longest side of an image that is fitted into a size, a pair or a list of these."""
    if not is_list(size) or len(size) != 2 or any(map(is_list, size)):
        return max(map(_of_photograph, size), default=0) if is_list(size) else _largest(size)
    short, long = min(map(_largest, size)), _largest(size)
    return round(short * _LONG_TO_SHORT) if 0 < short * _FURTHEST_APART < long else long


# What is done to it


def scale_images(config: Config, factor: float, network: Network) -> None:
    """Multiplies every image size of pipelines, of those that hooks put in, and of batches, in place.

    Sizes of crops and batches stay on the network's grid.
    """
    places = [config.get(name) for name in (*LOADERS, "tta_pipeline")]
    # The pipeline that a hook puts in later works on the same images.
    later = [hook.get("switch_pipeline") for hook in dicts(config.get("custom_hooks"))]
    batches = mapping_of(config.get("model")).get("data_preprocessor")
    for place in (*places, *later, batches):
        for node in dicts(place):
            if "type" in node:
                _shrink_sizes(node, factor, network)


def _shrink_sizes(step: Config, factor: float, network: Network) -> None:
    # What is cut to a size of its own each time says nothing about batches.
    free = network.divisor == 1 and str(step.get("crop_type", "")).endswith("_range")
    padded = network.divisor == 1 and class_of(step).endswith("Pad")

    def of_a_batch(side: int) -> int:
        grid = Grid(1) if free else network.grid(side)
        return grid.beyond(round(side * factor)) if padded else grid.near(side * factor)

    for key in SCALES & step.keys():
        step[key] = mapped(step[key], lambda side: round(side * factor))
    for key in LENGTHS & step.keys():
        step[key] = mapped(step[key], lambda length: max(round(length * factor), 1))
    for key in (BATCH_SIZES | EDGES) & step.keys():
        step[key] = mapped(step[key], of_a_batch)


def _resize(config: Config, loaders: Sequence[str], side: int, changes: list[str]) -> None:
    """Puts a ``Resize`` into the pipelines that take images as large as they are, as those of CornerNet do."""
    for loader in loaders:
        # Boxes are resized with images that are learnt from; those that are held out stay as they are annotated.
        after = "Load" if loader == "train_dataloader" else "LoadImage"
        for leaf in leaves(config.get(loader), (loader,)):
            steps = leaf.node.get("pipeline") or []
            loads = any(class_of(step).startswith("LoadImage") for step in steps)
            if loads and not any(map(_sizes, dicts(steps))):
                leaf.node["pipeline"] = _with_resize(steps, side, after)
                changes.append(
                    f"{leaf.key}.pipeline: Resize to {side} px, where it took images as large as they are"
                )


def _sizes(step: Config) -> bool:
    """Whether a step makes a size; one of a class of one's own may say it in words of its own."""
    return has_size(step) or "Resize" in class_of(step)


def _with_resize(steps: Sequence[Config], side: int, after: str) -> list[Config]:
    for node in dicts(steps):
        keys = node.get("meta_keys")
        if is_list(keys) and "scale_factor" not in keys:
            # Without it boxes would stay those of the small image.
            node["meta_keys"] = (*keys, "scale_factor")
    at = max((i + 1 for i, step in enumerate(steps) if class_of(step).startswith(after)), default=0)
    return [*steps[:at], {"type": "Resize", "scale": (side, side), "keep_ratio": True}, *steps[at:]]
