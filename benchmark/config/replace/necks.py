"""What a neck takes of a backbone, and what it gives to heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.config.replace.levels import STRIDES, maps
from benchmark.config.tree import Config, dicts, is_list

_NUM_OUTS = {"HRFPN": 5, "NASFCOS_FPN": 5}  # where a config gives none; other necks ask for it


@dataclass(frozen=True)
class Maps:
    """What a neck gives.

    Attributes:
        channels: Of each map, in the order of the neck's own words.
        strides: Likewise; empty where nothing tells them.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __str__(self) -> str:
        return maps(self.channels, self.strides)


def stages_of(model: Config) -> list[Config]:
    """The neck's stages, first to last; none where there is no neck."""
    neck = model.get("neck")
    return [one for one in (neck if is_list(neck) else [neck]) if isinstance(one, dict)]


def entry(model: Config) -> Config | None:
    """The stage of the neck that takes the backbone's maps; None where there is no neck."""
    stages = stages_of(model)
    taking = (stage for stage in stages if "in_channels" in stage)
    return next(taking, stages[0] if stages else None)


def kind(model: Config) -> str:
    """What messages call the neck: ``FPN + BFP``."""
    return " + ".join(str(stage.get("type")) for stage in stages_of(model)) or "none"


def wanted(stage: Config) -> tuple[int, ...]:
    """The strides of the maps that a neck was written for, which only their number tells."""
    takes = stage.get("in_channels")
    count = len(takes) if is_list(takes) else 1 if isinstance(takes, int) else len(STRIDES)
    finer = [STRIDES[0] // 2, *STRIDES]
    return tuple(finer[-count:]) if count <= len(finer) else ()


def runs_backwards(stage: Config, channels: Sequence[int]) -> bool:
    """Whether a neck names its inputs from the deepest to the first, as YOLOv3's does."""
    takes = stage.get("in_channels")
    return is_list(takes) and list(takes) != list(channels) and list(takes) == list(channels)[::-1]


def backbone_within(model: Config) -> str | None:
    """The key of a backbone that a neck holds, as the recursive pyramid of DetectoRS does."""
    names = (key for stage in stages_of(model) for node in dicts(stage) for key in node)
    return next((key for key in names if key.endswith("backbone")), None)


def gives(model: Config, strides: Sequence[int]) -> Maps | None:
    """What comes out of a neck.

    Args:
        model: Whose neck has its ``in_channels``.
        strides: Of the maps that go into it, in the order of its own words.

    Returns:
        None where nothing tells.
    """
    stages = stages_of(model)
    first = entry(model)
    if first is None:
        return None
    if first.get("type") == "CTResNetNeck":
        return _upsampled(first, strides)
    channels = next((s["out_channels"] for s in reversed(stages) if "out_channels" in s), None)
    if is_list(channels):
        listed = tuple(int(str(one)) for one in channels)
        return Maps(listed, tuple(strides) if len(strides) == len(listed) else ())
    if not isinstance(channels, int):
        return None
    out = _pyramid(first, strides)
    return Maps((channels,) * len(out), out)


def _pyramid(stage: Config, strides: Sequence[int]) -> tuple[int, ...]:
    kind_of = str(stage.get("type")).removeprefix("mmdet.")
    start = stage.get("start_level", int(kind_of == "NASFCOS_FPN"))
    count = stage.get("num_outs", _NUM_OUTS.get(kind_of)) or len(strides) - start
    inside = list(strides[start:])[:count]
    while inside and len(inside) < count:  # each further one is half as large
        inside.append(inside[-1] * 2)
    return tuple(inside)


def _upsampled(stage: Config, strides: Sequence[int]) -> Maps:
    filters = stage.get("num_deconv_filters", ())
    return Maps((filters[-1],), tuple(stride >> len(filters) for stride in strides[-1:]))
