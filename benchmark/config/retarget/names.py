"""Classes by their names: configs of the new kind name them as Python imports them."""

from __future__ import annotations

from benchmark.config.tree import Config

# Keys under which mmengine and mmdet look up a class.
_NAMING = ("type", "constructor", "ema_type")
_OURS = ("mmcv", "mmdet", "mmengine")
_OTHERS = ("mmcls", "mmpretrain", "mmseg")


def use_registered_names(config: Config) -> None:
    """Puts the name that a registry knows a class by in the place of the class, or of its import path, in place.

    ``mmdet.models.detectors.FasterRCNN`` becomes ``FasterRCNN``, ``torch.optim.AdamW`` becomes ``AdamW``, and
    ``mmpretrain.models.ConvNeXt`` becomes ``mmpretrain.ConvNeXt``. A class of another package, ``torch.nn.ReLU``, is
    named by its whole path, by which mmengine imports it.

    Args:
        config: A config, or a mapping within one.
    """
    for key, value in config.items():
        config[key] = _named(value, is_name=key in _NAMING)


def _named(value: object, is_name: bool = False) -> object:
    if isinstance(value, dict):
        use_registered_names(value)
        return value
    if isinstance(value, list | tuple):
        return type(value)(map(_named, value))
    if callable(value):
        value = f"{value.__module__}.{getattr(value, '__qualname__', '')}"
        return _registered(value)
    return _registered(value) if is_name and isinstance(value, str) else value


def _registered(path: str) -> str:
    first, _, rest = path.partition(".")
    *inner, last = rest.split(".")
    if not rest:
        return path
    if (first in _OURS and inner) or [first, *inner[:1]] == ["torch", "optim"]:
        return last
    return f"{first}.{last}" if first in _OTHERS else path
