"""Test-time augmentation at the scales of a row's own test pipeline."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from benchmark.config.config_file import load_config, plain
from benchmark.config.overrides import key_path
from benchmark.config.retarget import dataset_leaves
from benchmark.config.shipped import SHIPPED
from benchmark.config.tree import Config, dicts, is_list
from benchmark.config.vocabulary.words import class_of
from benchmark.experiment.rows.augmented import Views

# mmdet's own scales, (1333, 800), (666, 400) and (2000, 1200), to the first.
_RATIOS = (1.0, 0.5, 1.5)
# What networks halve images by at most, and mmdet's own configs pad to.
_GRID = 32
_FLIP_KEYS = ("flip", "flip_direction")

Pipeline = list[Config]


def fitted_tta(config: Config, overridden: Iterable[str]) -> Pipeline | None:
    """A ``tta_pipeline`` for the images that a row is tested on, in the place of the shipped one.

    The shipped one has the scales that mmdet trains at; a row that is trained at 160 pixels finds nothing there. Here
    each view goes through the row's test pipeline, mirrored and not right after the resizing; where that is a plain
    ``Resize`` that keeps the ratio, at its scale, half of it and one and a half, as in mmdet.

    Args:
        config: A composed config.
        overridden: Key paths that the row or ``--set`` have set.

    Returns:
        None where nothing is to be done: the scales fit, or the row has a ``tta_pipeline`` of its own.
    """
    given = config.get("tta_pipeline")
    if not given or _without_scales(given) != _without_scales(shipped_tta()) or is_set(overridden):
        return None
    leaf = next(dataset_leaves(config.get("test_dataloader")), {})
    pipeline = list(leaf.get("pipeline") or [])
    if not pipeline or "Pack" not in str(pipeline[-1].get("type")):
        return None
    fitted = through_views(pipeline, packed_keys(given), Views())
    return None if fitted == given else fitted


def packed_keys(pipeline: Iterable[Config]) -> tuple[str, ...]:
    """The ``meta_keys`` of the last transform that packs."""
    found = [node["meta_keys"] for part in pipeline for node in dicts(part) if "meta_keys" in node]
    return tuple(found[-1]) if found else ()


@lru_cache(maxsize=1)
def shipped_tta() -> Pipeline:
    """The ``tta_pipeline`` of ``configs/runtime.py``."""
    pipeline: Pipeline = plain(load_config(SHIPPED / "runtime.py"))["tta_pipeline"]
    return pipeline


def is_set(overridden: Iterable[str]) -> bool:
    """Whether the scales of a ``tta_pipeline`` are somebody's wish.

    A knob that scales all images sets those of the test pipeline, too.
    """
    keys = [key_path(key) for key in overridden]
    touched, tested = (
        any(key.startswith(name) for key in keys) for name in ("tta_pipeline", "test_dataloader")
    )
    return touched and not tested


def _without_scales(node: object) -> object:
    if isinstance(node, dict):
        return {key: _without_scales(value) for key, value in node.items() if key != "scale"}
    return [_without_scales(item) for item in node] if is_list(node) else node


def own_scale(pipeline: Pipeline) -> tuple[int, int] | None:
    """What a pipeline resizes to at last; None where it does not, or to no two sides."""
    scale = _last_resize(pipeline).get("scale")
    sides = [side for side in scale if isinstance(side, int)] if is_list(scale) else []
    return (sides[0], sides[1]) if len(sides) == 2 else None


def _last_resize(pipeline: Pipeline) -> Config:
    return next((step for step in reversed(pipeline) if "Resize" in class_of(step)), {})


def through_views(pipeline: Pipeline, usual_keys: tuple[str, ...], views: Views) -> Pipeline:
    """A test pipeline that gives several views of each image, each resized and mirrored or not.

    Args:
        pipeline: Of one view; it ends with packing.
        usual_keys: ``meta_keys`` of that, where it names none.
        views: Which views.
    """
    sizes = [i for i, step in enumerate(pipeline) if "Resize" in class_of(step)]
    loads = [i for i, step in enumerate(pipeline) if "LoadImage" in class_of(step)]
    first = sizes[-1] if sizes else max(loads, default=-1) + 1
    scales = _scales(pipeline, pipeline[first + 1 :], views) if sizes else []
    resizes = [{**pipeline[first], **({"scale": s} if s else {})} for s in scales]
    rest = pipeline[first + bool(resizes) : -1]
    if views.scales and (own := own_scale(pipeline)):
        rest = [_holding(step, own, scales) for step in rest]
    keys = (*(pipeline[-1].get("meta_keys") or usual_keys), *_FLIP_KEYS)
    flips = (1.0, 0.0) if views.flip else (0.0,)
    made: Config = {
        "type": "TestTimeAug",
        "transforms": [
            *([resizes] if resizes else []),
            [{"type": "RandomFlip", "prob": prob} for prob in flips],
            *([step] for step in rest),
            [{**pipeline[-1], "meta_keys": tuple(dict.fromkeys(keys))}],
        ],
    }
    whole: Pipeline = plain({"made": [*pipeline[:first], made]})["made"]
    return whole


def _scales(pipeline: Pipeline, after: Pipeline, views: Views) -> list[tuple[int, int] | None]:
    """The scale of each view; None for that of the pipeline itself."""
    own, keeps_ratio = own_scale(pipeline), _last_resize(pipeline).get("keep_ratio")
    # What follows, or the model, may want one size.
    single = not keeps_ratio or any("Pad" in class_of(step) for step in after)
    if own is None or (views.scales is None and single):
        return [None]
    wanted = _RATIOS if views.scales is None else views.scales
    return [
        (round(own[0] * one), round(own[1] * one)) if isinstance(one, float) else one
        for one in wanted
    ]


def _holding(
    step: Config, own: tuple[int, int], scales: Iterable[tuple[int, int] | None]
) -> Config:
    """A padding to a size that holds every view; any other step as it is."""
    size = step.get("size")
    if "Pad" not in class_of(step) or not is_list(size):
        return step
    larger = max(max(scale[0] / own[0], scale[1] / own[1]) for scale in scales if scale)
    sides = [side * larger for side in size if isinstance(side, int)]
    if larger <= 1:
        return step
    return {**step, "size": tuple(math.ceil(side / _GRID) * _GRID for side in sides)}
