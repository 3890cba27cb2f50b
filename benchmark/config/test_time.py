"""Test-time augmentation at the scales of a row's own test pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from benchmark.config.config_file import load_config, plain
from benchmark.config.overrides import key_path
from benchmark.config.retarget import dataset_leaves
from benchmark.config.shipped import SHIPPED
from benchmark.config.tree import Config, dicts, is_list

# mmdet's own scales, (1333, 800), (666, 400) and (2000, 1200), to the first.
_RATIOS = (1.0, 0.5, 1.5)
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
    if not given or _without_scales(given) != _without_scales(_shipped()) or _is_set(overridden):
        return None
    leaf = next(dataset_leaves(config.get("test_dataloader")), {})
    pipeline = list(leaf.get("pipeline") or [])
    if not pipeline or "Pack" not in str(pipeline[-1].get("type")):
        return None
    fitted = _augmented(pipeline, packed_keys(given))
    return None if fitted == given else fitted


def packed_keys(pipeline: Iterable[Config]) -> tuple[str, ...]:
    """The ``meta_keys`` of the last transform that packs."""
    found = [node["meta_keys"] for part in pipeline for node in dicts(part) if "meta_keys" in node]
    return tuple(found[-1]) if found else ()


@lru_cache(maxsize=1)
def _shipped() -> Pipeline:
    pipeline: Pipeline = plain(load_config(SHIPPED / "runtime.py"))["tta_pipeline"]
    return pipeline


def _is_set(overridden: Iterable[str]) -> bool:
    """Whether its scales are somebody's wish: a knob that scales all images sets those of the test pipeline, too."""
    keys = [key_path(key) for key in overridden]
    touched, tested = (
        any(key.startswith(name) for key in keys) for name in ("tta_pipeline", "test_dataloader")
    )
    return touched and not tested


def _without_scales(node: object) -> object:
    if isinstance(node, dict):
        return {key: _without_scales(value) for key, value in node.items() if key != "scale"}
    return [_without_scales(item) for item in node] if is_list(node) else node


def _augmented(pipeline: Pipeline, usual_keys: tuple[str, ...]) -> Pipeline:
    sizes = [i for i, transform in enumerate(pipeline) if "Resize" in str(transform.get("type"))]
    loads = [i for i, transform in enumerate(pipeline) if "LoadImage" in str(transform.get("type"))]
    first = sizes[-1] if sizes else max(loads, default=-1) + 1
    resizes = [_resizes(pipeline[first], pipeline[first + 1 :])] if sizes else []
    rest = pipeline[first + len(resizes) : -1]
    keys = (*(pipeline[-1].get("meta_keys") or usual_keys), *_FLIP_KEYS)
    views: Config = {
        "type": "TestTimeAug",
        "transforms": [
            *resizes,
            [{"type": "RandomFlip", "prob": prob} for prob in (1.0, 0.0)],
            *([transform] for transform in rest),
            [{**pipeline[-1], "meta_keys": tuple(dict.fromkeys(keys))}],
        ],
    }
    made: Pipeline = plain({"made": [*pipeline[:first], views]})["made"]
    return made


def _resizes(resize: Config, after: Pipeline) -> Pipeline:
    """The resizing at each scale; at its own alone where what follows, or the model, wants one size."""
    scale, one_size = resize.get("scale"), not resize.get("keep_ratio")
    padded = any("Pad" in str(transform.get("type")) for transform in after)
    sides = [side for side in scale if isinstance(side, int)] if is_list(scale) else []
    if one_size or padded or len(sides) != 2:
        return [resize]
    return [{**resize, "scale": tuple(round(side * by) for side in sides)} for by in _RATIOS]
