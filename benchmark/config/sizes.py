"""Sizes and the like as mmdet's transforms want them: pairs are tuples, which YAML and JSON cannot say."""

from __future__ import annotations

from benchmark.config.shrink import BATCH_SIZES, SCALES
from benchmark.config.tree import LOADERS, Config, dicts, is_list

# Of CutOut, RandomErasing, Resize, Rotate and its kin: a list of two numbers is taken for several values of one.
_PAIRS = frozenset(
    {
        "cutout_ratio",
        "cutout_shape",
        "img_border_value",
        "n_holes",
        "n_patches",
        "ratio",
        "scale_factor",
    }
)


def give_tuples(config: Config) -> None:
    """Makes every size of a pipeline a tuple, in place: ``scale: [640, 480]``, ``scales: [[640, 480], [800, 600]]``."""
    for section in (*LOADERS, "custom_hooks"):
        for node in dicts(config.get(section)):
            for key in (SCALES | BATCH_SIZES | _PAIRS) & node.keys() if "type" in node else ():
                node[key] = _sized(node[key])
            if isinstance(node.get("pad_val"), dict):
                node["pad_val"] = {key: _sized(value) for key, value in node["pad_val"].items()}
    loop = config.get("train_cfg")
    if isinstance(loop, dict) and is_list(loop.get("dynamic_intervals")):
        loop["dynamic_intervals"] = [_sized(pair) for pair in loop["dynamic_intervals"]]


def _sized(value: object) -> object:
    """A pair becomes a tuple; a list of pairs stays a list."""
    if not is_list(value):
        return value
    if any(is_list(item) for item in value):
        return [_sized(item) for item in value]
    return tuple(value)
