"""Rates that fall from layer to layer, which know the layers of the backbone that they were written for."""

from __future__ import annotations

import math

from benchmark.config.tree import Config, is_list

_CONSTRUCTOR = "LearningRateDecayOptimizerConstructor"
_KNOWN = "ConvNeXt"  # in the name of a class: mmdet raises for any other
# Blocks of the third stage in mmpretrain's ``ConvNeXt.arch_settings``, by the architecture.
_BLOCKS = {
    "atto": 6,
    "femto": 6,
    "pico": 6,
    "nano": 8,
    "tiny": 9,
    "small": 27,
    "base": 27,
    "large": 27,
    "xlarge": 27,
    "huge": 27,
}


def fit_layer_decay(config: Config, backbone: Config, own: bool) -> list[str]:
    """Has the rates by layer of a config know another backbone, in place; without them where mmdet does not.

    Args:
        config: Plain config.
        backbone: That is to come.
        own: Whether its part says an optimizer of its own.

    Returns:
        What was changed.
    """
    wrapper = config.get("optim_wrapper") or {}
    if wrapper.get("constructor") != _CONSTRUCTOR:
        return []
    paramwise = wrapper.get("paramwise_cfg") or {}
    if _KNOWN in str(backbone.get("type")):
        return [] if own else _fit_depth(paramwise, backbone)
    del wrapper["constructor"]
    for key in ("decay_rate", "decay_type", "num_layers"):
        paramwise.pop(key, None)
    return ["optim_wrapper: without rates by layer, which were the old backbone's"]


def _fit_depth(paramwise: Config, backbone: Config) -> list[str]:
    """Layers of a ConvNeXt as mmdet's ``get_layer_id_for_convnext`` counts them: of the third stage three blocks each.

    With fewer than there are, deep ones would learn faster than the heads do.
    """
    blocks, had = _blocks(backbone.get("arch", "tiny")), paramwise.get("num_layers")
    if blocks is None or paramwise.get("decay_type", "layer_wise") != "layer_wise":
        return []
    layers = 3 + math.ceil(blocks / 3)
    if had == layers:
        return []
    paramwise["num_layers"] = layers
    return [f"optim_wrapper.paramwise_cfg.num_layers: {had} -> {layers}"]


def _blocks(arch: object) -> int | None:
    if isinstance(arch, str):
        return _BLOCKS.get(arch)
    depths = arch.get("depths") if isinstance(arch, dict) else None
    return int(str(depths[2])) if is_list(depths) and len(depths) == 4 else None
