"""What a config says of itself in a table: detector, backbone, neck, head, schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from benchmark.config.tree import Config, is_list, leaves
from benchmark.config.vocabulary.words import mapping_of
from benchmark.writing.words import counted

OUTLINE = ("model", "train_cfg", "param_scheduler", "train_dataloader")
"""The top-level keys that labels are made from."""

# Widths and depths of the families, as mmdet's configs name them.
_CSP = {
    (0.167, 0.375): "tiny",
    (0.33, 0.25): "nano",
    (0.33, 0.375): "tiny",
    (0.33, 0.5): "s",
    (0.67, 0.75): "m",
    (1, 1): "l",
    (1.33, 1.25): "x",
}
_SWIN = {(96, 12): "T", (96, 24): "S", (128, 24): "B", (192, 24): "L"}
_PVT = {(64, 8): "T", (64, 16): "S", (64, 28): "M", (64, 41): "L"}
_PVT_V2 = {
    (32, 8): "B0",
    (64, 8): "B1",
    (64, 16): "B2",
    (64, 28): "B3",
    (64, 41): "B4",
    (64, 52): "B5",
}
_CHANNELS_OF_RESNET = 64
_CALLED_X = range(12, 73, 12)  # epochs of mmdet's 1x, 2x, ... 6x


def labels_of(config: Config) -> dict[str, str]:
    """The cells of a row by column title, in the columns' order; without those that a config has nothing for.

    Args:
        config: A detector's config before a profile shortens it; of it, `OUTLINE`.
    """
    model = config["model"]
    said = {
        "Model": _type(model),
        "Backbone": _backbone(mapping_of(model.get("backbone"))),
        "Neck": _neck(model.get("neck")),
        "Head": _head(model),
        "Learning Method": _schedule(config),
    }
    return {title: text for title, text in said.items() if text}


def _type(node: object) -> str:
    name = str(node.get("type") or "") if isinstance(node, dict) else ""
    return name.rpartition(".")[2]


def _neck(neck: object) -> str:
    return " + ".join(map(_type, neck)) if is_list(neck) else _type(neck)


def _head(model: Config) -> str:
    return next((text for key in ("roi_head", "bbox_head") if (text := _type(model.get(key)))), "")


def _backbone(backbone: Config) -> str:
    kind = _type(backbone)
    if kind in ("TIMMBackbone", "TimmFeatures"):
        return str(backbone.get("model_name", kind))
    if kind == "RegNet" and isinstance(backbone.get("arch"), str):
        return f"RegNet{backbone['arch'].removeprefix('regnet').replace('_', '-').upper()}"
    size = ""
    with suppress(TypeError, KeyError, IndexError):  # a value that no such backbone takes
        size = _SIZES.get(kind, _depth_or_arch)(backbone)
    return "-".join(filter(None, [_FAMILIES.get(kind, kind), size]))


def _depth_or_arch(backbone: Config) -> str:
    """``50``, ``tiny``; a ResNet that is narrower than usual says so: ``18-w16``."""
    size = backbone.get("depth", backbone.get("arch"))
    narrow = backbone.get("base_channels", _CHANNELS_OF_RESNET) != _CHANNELS_OF_RESNET
    width = f"w{backbone['base_channels']}" if narrow else ""
    return "-".join(filter(None, [str(size) if isinstance(size, int | str) else "", width]))


def _resnext(backbone: Config) -> str:
    groups = f"{backbone.get('groups', 1)}x{backbone.get('base_width', 4)}d"
    return f"{_depth_or_arch(backbone)}-{groups}"


def _csp(backbone: Config) -> str:
    depth, width = backbone.get("deepen_factor", 1), backbone.get("widen_factor", 1)
    return _CSP.get((depth, width), f"d{depth}-w{width}")


def _hrnet(backbone: Config) -> str:
    stage = (backbone.get("extra") or {}).get("stage4") or {}
    return f"W{stage['num_channels'][0]}" if is_list(stage.get("num_channels")) else ""


def _of_layers(sizes: Mapping[tuple[int, int], str], wide: int) -> Callable[[Config], str]:
    """By the channels of the first stage, ``wide`` where nothing is said, and the layers of the first four."""

    def size(backbone: Config) -> str:
        layers = backbone.get("depths") or backbone.get("num_layers") or (2, 2, 6, 2)
        channels = backbone.get("embed_dims", wide)
        return sizes.get((channels, sum(layers[:4])), f"{channels}-{sum(layers)}")

    return size


_FAMILIES = {
    "PyramidVisionTransformer": "PVT",
    "PyramidVisionTransformerV2": "PVTv2",
    "SwinTransformer": "Swin",
}
_SIZES: Mapping[str, Callable[[Config], str]] = {
    "CSPDarknet": _csp,
    "CSPNeXt": _csp,
    "HRNet": _hrnet,
    "PyramidVisionTransformer": _of_layers(_PVT, 64),
    "PyramidVisionTransformerV2": _of_layers(_PVT_V2, 64),
    "ResNeXt": _resnext,
    "SwinTransformer": _of_layers(_SWIN, 96),
}


def _schedule(config: Config) -> str:
    """``1x`` and its multiples for steps down over so many epochs, ``300 epochs``, ``90k iterations``."""
    loop = mapping_of(config.get("train_cfg"))
    if isinstance(iterations := loop.get("max_iters"), int):
        count = f"{iterations // 1000}k" if iterations % 1000 == 0 else str(iterations)
        return f"{count} iterations"
    times = next((leaf.times for leaf in leaves(config.get("train_dataloader"))), 1)
    epochs = times * loop["max_epochs"] if isinstance(loop.get("max_epochs"), int) else 0
    steps = any(_type(one) == "MultiStepLR" for one in _listed(config.get("param_scheduler")))
    if steps and epochs in _CALLED_X:
        return f"{epochs // _CALLED_X[0]}x"
    return counted(epochs, "epoch", "epochs") if epochs else ""


def _listed(value: object) -> Sequence[object]:
    return value if is_list(value) else [value]
