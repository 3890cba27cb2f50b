"""What of a model is the size of its work on an image, and must fit smaller images."""

from __future__ import annotations

import math

from benchmark.config.shrink.pixels import Grid
from benchmark.config.tree import Config, dicts
from benchmark.config.vocabulary.words import class_of, each, mapping_of

# Pixels a side of the finest cells that two-stage transformers choose their queries from.
_STRIDE = 8
# Few photographs are longer to their width than this.
_NARROW = 3
# mmdet pads what it divides by less than this to a multiple of it.
_STEP = 32
# Regions that an image is learnt from, and those that boxes come from: as many as an image may have boxes.
_FEWEST_REGIONS = 64
_FEWEST_PROPOSALS = 100


def shrink_model(config: Config, longest_side: int, factor: float, changes: list[str]) -> None:
    """Makes the work of a model fit its images, in place.

    Args:
        config: A merged config whose images have shrunk.
        longest_side: Of a training image, in pixels.
        factor: What the sides of images were multiplied by.
        changes: Takes a line for each change.
    """
    model = mapping_of(config.get("model"))
    _fit_queries(model, longest_side, changes)
    if factor < 1:
        _fewer_regions(model, factor, changes)
        _pad_windows(model, changes)
    _pass_threshold_on(mapping_of(model.get("test_cfg")), changes)


def _fewer_regions(model: Config, factor: float, changes: list[str]) -> None:
    """Two stages look at as many regions of a small image as of a large one, which takes most of their time."""
    trained, tested = mapping_of(model.get("train_cfg")), mapping_of(model.get("test_cfg"))
    for key, stage in each(trained.get("rcnn"), "train_cfg.rcnn"):
        sampler = mapping_of(mapping_of(stage).get("sampler"))
        _fewer(sampler, "num", factor, _FEWEST_REGIONS, f"{key}.sampler", changes)
    for key, first in (
        ("train_cfg.rpn_proposal", trained.get("rpn_proposal")),
        ("test_cfg.rpn", tested.get("rpn")),
    ):
        _fewer(mapping_of(first), "max_per_img", factor, _FEWEST_PROPOSALS, key, changes)


def _fewer(
    node: Config, name: str, factor: float, least: int, key: str, changes: list[str]
) -> None:
    given = node.get(name)
    if isinstance(given, int) and given > least:
        node[name] = max(round(given * factor), least)
        changes.append(f"model.{key}.{name}: {given} -> {node[name]}")


def _fit_queries(model: Config, longest_side: int, changes: list[str]) -> None:
    """Two-stage transformers choose as many queries from the cells of an image; a small image has fewer."""
    queries = model.get("num_queries")
    if not model.get("as_two_stage") or not isinstance(queries, int):
        return
    # DDQ looks at more cells than it takes.
    ratio = max(model.get("dense_topk_ratio", 1), 1)
    if (longest_side / _STRIDE) ** 2 / _NARROW >= queries * ratio:
        return
    needed = math.ceil(math.sqrt(queries * ratio) * _STRIDE / _STEP) * _STEP
    padded = min(Grid(_STEP).within(longest_side), needed)
    _pad_to(model, padded, changes)
    fitting = int((padded // _STRIDE) ** 2 / ratio)
    if fitting < queries:
        model["num_queries"] = fitting
        changes.append(
            f"model.num_queries: {queries} -> {fitting}, as many as {padded} px have cells"
        )
        _predict_at_most(model, fitting, changes)


def _pad_to(model: Config, side: int, changes: list[str]) -> None:
    """Makes every batch at least so large, however narrow an image is."""
    preprocessor = model.setdefault("data_preprocessor", {})
    divisor = preprocessor.get("pad_size_divisor", 1)
    if divisor % side:
        preprocessor["pad_size_divisor"] = side
        changes.append(
            f"model.data_preprocessor.pad_size_divisor: {divisor} -> {side}, so that each image has cells"
        )


def _predict_at_most(model: Config, boxes: int, changes: list[str]) -> None:
    tested = mapping_of(model.get("test_cfg"))
    most = tested.get("max_per_img")
    if isinstance(most, int) and most > boxes:
        tested["max_per_img"] = boxes
        changes.append(f"model.test_cfg.max_per_img: {most} -> {boxes}, the number of queries")


def _pass_threshold_on(tested: Config, changes: list[str]) -> None:
    """A profile says one score threshold; detectors of two stages have it in the second's settings."""
    second = mapping_of(tested.get("rcnn"))
    if "rcnn" not in tested or "score_thr" not in tested:
        return
    wanted = tested.pop("score_thr")
    given = second.get("score_thr")
    if isinstance(given, int | float) and given > wanted:
        second["score_thr"] = wanted
        changes.append(f"model.test_cfg.rcnn.score_thr: {given} -> {wanted}")


def _pad_windows(model: Config, changes: list[str]) -> None:
    """Maps smaller than a window are padded by the Swin of mmdet; that of mmpretrain must be told to."""
    for node in dicts(model):
        if class_of(node).startswith("mmpretrain.SwinTransformer") and not node.get(
            "pad_small_map"
        ):
            node["pad_small_map"] = True
            changes.append(
                f"{class_of(node)}.pad_small_map: True, since maps are smaller than its windows"
            )
