"""The maps that a backbone gives: which there are, how many channels each has, at what stride."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul

from benchmark.config.tree import Config, is_list

_RESNETS = ("ResNet", "ResNetV1d", "ResNeXt", "ResNeSt", "Res2Net")
_BOTTLENECK = 50  # layers from which on a block has four times the channels that it works with

# mmpretrain's ``ConvNeXt.arch_settings``: channels of the first stage, which each of the others doubles.
_CONVNEXT = {
    "atto": 40,
    "femto": 48,
    "pico": 64,
    "nano": 80,
    "tiny": 96,
    "small": 96,
    "base": 128,
    "large": 192,
}

# timm's ``tf_efficientnet_lite0``, and which of its maps `benchmark.models.efficientnet_lite0` gives.
_LITE0, _LITE0_STRIDES, _LITE0_GIVEN = (16, 24, 40, 112, 320), (2, 4, 8, 16, 32), (1, 2, 3, 4)

STRIDES = (4, 8, 16, 32)
"""Where the pyramids of detectors begin to look, and what a neck wants that does not say otherwise."""


@dataclass(frozen=True)
class Level:
    """One map of a backbone.

    Attributes:
        index: What ``out_indices`` calls it.
        channels: How many it has.
        stride: Pixels of the image from one place of the map to the next.
    """

    index: int
    channels: int
    stride: int


@dataclass(frozen=True)
class Described:
    """What is known of a backbone.

    Attributes:
        levels: All that it can give, from the first to the last.
        given: Those that it gives as it is configured, in this order.
        chooses: Whether ``out_indices`` chooses among them.
        norm_eval: Whether it takes that argument.
    """

    levels: tuple[Level, ...]
    given: tuple[Level, ...]
    chooses: bool
    norm_eval: bool

    def at(self, strides: Sequence[int]) -> tuple[Level, ...] | None:
        """For each stride the deepest level that has it; None if one is missing, or not to be had without others.

        Two maps of one stride are those of a backbone that gives just these: no other has such stages.
        """
        if not self.chooses or len(set(strides)) < len(strides):
            return self.given if [level.stride for level in self.given] == list(strides) else None
        deepest = {level.stride: level for level in self.levels}
        found = [deepest[stride] for stride in strides if stride in deepest]
        return tuple(found) if len(found) == len(strides) else None

    def __str__(self) -> str:
        levels = self.levels if self.chooses else self.given
        return maps([level.channels for level in levels], [level.stride for level in levels])


def maps(channels: Sequence[int], strides: Sequence[int]) -> str:
    """Words for some maps: ``64, 128 channels at strides 4, 8``."""
    at = f" at strides {listed(strides)}" if strides else ""
    return f"{listed(channels)} channels{at}"


def listed(numbers: Sequence[object] | object) -> str:
    """Numbers for a message, without brackets: ``64, 128``."""
    if isinstance(numbers, str) or not isinstance(numbers, Sequence):
        return str(numbers)
    return ", ".join(map(str, numbers))


def like(old: object, numbers: Sequence[int]) -> object:
    """Numbers as the kind of value that they take the place of: a list, a tuple, or the last of them alone."""
    if isinstance(old, list):
        return list(numbers)
    return tuple(numbers) if isinstance(old, tuple) else numbers[-1]


def known(backbone: Config) -> Described | None:
    """What is known of a backbone without building it: of mmdet's ResNets, Swin, ConvNeXt and EfficientNet-Lite0.

    A test holds it against what the models themselves give.
    """
    kind = str(backbone.get("type")).removeprefix("mmdet.")
    if kind in _RESNETS:
        return _resnet(backbone)
    if kind == "SwinTransformer":
        return _swin(backbone)
    if kind == "EfficientNetLite0":
        given = {"out_indices": _LITE0_GIVEN, **backbone}
        return _stages(given, _LITE0, _LITE0_STRIDES, norm_eval=True)
    return _convnext(backbone) if kind == "mmpretrain.ConvNeXt" else None


def _resnet(backbone: Config) -> Described | None:
    depth = backbone.get("depth")
    if not isinstance(depth, int):
        return None
    width = backbone.get("base_channels", 64) * (4 if depth >= _BOTTLENECK else 1)
    steps = tuple(backbone.get("strides", (1, 2, 2, 2)))[: backbone.get("num_stages", 4)]
    strides = [4 * step for step in accumulate(steps, mul)]
    return _stages(backbone, _doubled(width, len(strides)), strides, norm_eval=True)


def _swin(backbone: Config) -> Described:
    steps = [backbone.get("patch_size", 4), *tuple(backbone.get("strides", (4, 2, 2, 2)))[1:]]
    width = backbone.get("embed_dims", 96)
    strides = list(accumulate(steps, mul))
    return _stages(backbone, _doubled(width, len(strides)), strides, norm_eval=False)


def _convnext(backbone: Config) -> Described | None:
    arch = backbone.get("arch", "tiny")
    if isinstance(arch, dict) and is_list(arch.get("channels")):
        channels = [int(str(one)) for one in arch["channels"]]
    elif isinstance(arch, str) and arch in _CONVNEXT:
        channels = _doubled(_CONVNEXT[arch], len(STRIDES))
    else:
        return None
    first = backbone.get("stem_patch_size", 4)
    strides = [first << stage for stage in range(len(channels))]
    # Without out_indices it gives the last one alone.
    return _stages({"out_indices": -1, **backbone}, channels, strides, norm_eval=False)


def _doubled(width: int, stages: int) -> list[int]:
    return [width << stage for stage in range(stages)]


def _stages(
    backbone: Config, channels: Sequence[int], strides: Sequence[int], norm_eval: bool
) -> Described:
    maps_of = zip(channels, strides, strict=True)
    levels = tuple(Level(i, width, stride) for i, (width, stride) in enumerate(maps_of))
    chosen = backbone.get("out_indices", range(len(levels)))
    chosen = [chosen] if isinstance(chosen, int) else chosen
    given = tuple(levels[i] for i in chosen if -len(levels) <= i < len(levels))
    return Described(levels, given, chooses=True, norm_eval=norm_eval)


def described(answer: Mapping[str, object]) -> Described:
    """What a model has told of itself; see `benchmark.config.replace.probe`."""

    def levels(key: str) -> tuple[Level, ...]:
        found = answer[key]
        return tuple(Level(*map(int, one)) for one in found) if isinstance(found, list) else ()

    return Described(
        levels("levels"), levels("given"), bool(answer["chooses"]), bool(answer["norm_eval"])
    )
