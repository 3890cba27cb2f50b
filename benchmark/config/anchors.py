"""The anchors of a config's heads, without building any: mmdet's own arithmetic on what the config says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmark.config.tree import Config, is_list
from benchmark.config.vocabulary.words import class_of, each, mapping_of

_HEADS = ("rpn_head", "bbox_head", "query_head")
# The approximate anchors of guided anchoring and SABL are what objects are matched with; the square ones beside them
# are where a box is regressed from.
_GENERATORS = ("approx_anchor_generator", "anchor_generator", "prior_generator")
# What is no proposal's or one-stage detector's own: second stages work on boxes, and teachers are not trained.
_WITHOUT = ("roi_head", "backbone", "neck", "train_cfg", "test_cfg", "data_preprocessor")

Range = tuple[float, float]
_FCOS: tuple[Range, ...] = ((-1, 64), (64, 128), (128, 256), (256, 512), (512, 1e8))
REGRESS_RANGES: Mapping[str, tuple[Range, ...]] = {
    "FCOSHead": _FCOS,
    "NASFCOSHead": _FCOS,
    "CondInstBboxHead": _FCOS,
    "BoxInstBboxHead": _FCOS,
    "CenterNetUpdateHead": ((0, 80), (64, 160), (128, 320), (256, 640), (512, 1e9)),
}
"""The ``regress_ranges`` that heads of mmdet have where a config gives none; a test compares them."""


@dataclass(frozen=True)
class Anchors:
    """The anchors of a head.

    Attributes:
        levels: By level of the neck the sides of its anchors in pixels of the network's input, rising. A side is the
            square root of an anchor's area, which its ratios leave as it is.
        ratios: Heights to widths of anchors of the same area, rising; empty where each has a shape of its own.
        sized_by: The keys of the generator that set the sizes, and their values.
    """

    levels: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...]
    sized_by: Mapping[str, object]

    @property
    def smallest(self) -> float:
        """Side of the smallest one, in pixels."""
        return min(side for level in self.levels for side in level)

    @property
    def largest(self) -> float:
        """Side of the largest one, in pixels."""
        return max(side for level in self.levels for side in level)


@dataclass(frozen=True)
class Head:
    """A head that finds objects all over an image.

    Attributes:
        key: Its key path in the config.
        kind: Its class.
        generator: Key path of what makes its anchors; empty if nothing does.
        anchors: None for a head without, and where they are made by a class that is not mmdet's.
        ranges: From how far to how far, in pixels of the input, a point of each level may be from an object's edges;
            empty for a head that says nothing of the kind.
        assigner: The class that says which anchors or points learn an object; empty if the config names none.
    """

    key: str
    kind: str
    generator: str
    anchors: Anchors | None
    ranges: tuple[Range, ...]
    assigner: str


def heads_of(config: Mapping[str, object]) -> list[Head]:
    """The heads of a composed config that find objects, the first that works first; none of second stages."""
    return [*_heads(mapping_of(config.get("model")), "model")]


def _heads(node: Config, key: str) -> Iterator[Head]:
    for name, value in node.items():
        where = f"{key}.{name}"
        if name in _HEADS:
            yield from (
                _head(mapping_of(head), at, node)
                for at, head in each(value, where)
                if class_of(head)
            )
        elif isinstance(value, dict) and name not in _WITHOUT and "teacher" not in name:
            yield from _heads(value, where)


def _head(head: Config, key: str, model: Config) -> Head:
    stages = head.get("stages")
    if (
        is_list(stages) and stages
    ):  # of a cascade the first has anchors, and each later one the boxes of that before
        return _head(mapping_of(stages[0]), f"{key}.stages.0", model)
    name = next((name for name in _GENERATORS if mapping_of(head.get(name))), "")
    made = _anchors(mapping_of(head.get(name))) if name else None
    points = "Point" in class_of(head.get(name))
    return Head(
        key,
        class_of(head),
        "" if points or not name else f"{key}.{name}",
        made,
        _ranges(head),
        _assigner(mapping_of(model.get("train_cfg")), key),
    )


def _assigner(train_cfg: Config, key: str) -> str:
    """Of a proposing head it stands under ``rpn``, of a cascade's first stage in a list there."""
    if ".rpn_head" in key:
        train_cfg = next((mapping_of(one) for _, one in each(train_cfg.get("rpn"), "")), {})
    return class_of(train_cfg.get("assigner"))


def _ranges(head: Config) -> tuple[Range, ...]:
    given = head.get("regress_ranges")
    pairs = [_numbers(pair) for pair in given] if is_list(given) else []
    if pairs and all(len(pair) == 2 for pair in pairs):
        return tuple((pair[0], pair[1]) for pair in pairs)
    return REGRESS_RANGES.get(class_of(head), ())


# What generators make


def _anchors(generator: Config) -> Anchors | None:
    make = _MAKERS.get(class_of(generator))
    try:
        made = make(generator) if make else None
    except (TypeError, ValueError, LookupError, ZeroDivisionError):  # a value that mmdet refuses
        return None
    return made if made and all(made.levels) and made.levels else None


def _of_strides(generator: Config) -> Anchors:
    """``AnchorGenerator``: at each level its stride, or base size, times every scale."""
    scales = _numbers(generator.get("scales"))
    keys = ["scales"]
    if not scales:
        octave, steps = generator["octave_base_scale"], generator["scales_per_octave"]
        scales = [octave * 2 ** (step / steps) for step in range(steps)]
        keys = ["octave_base_scale"]
    bases = _numbers(generator.get("base_sizes"))
    keys += ["base_sizes"] if bases else ["strides"]
    bases = bases or [min(_pair(stride)) for stride in generator["strides"]]
    levels = tuple(tuple(sorted(base * scale for scale in scales)) for base in bases)
    return Anchors(levels, tuple(sorted(_numbers(generator["ratios"]))), _given(generator, keys))


def _of_sizes(generator: Config) -> Anchors:
    """``YOLOAnchorGenerator``: widths and heights, level by level."""
    levels = tuple(
        tuple(sorted(math.sqrt(width * height) for width, height in map(_pair, sizes)))
        for sizes in generator["base_sizes"]
    )
    return Anchors(levels, (), _given(generator, ["base_sizes"]))


def _of_ssd(generator: Config) -> Anchors:
    """``SSDAnchorGenerator``: at each level its smallest size, and the geometric mean of that and its largest."""
    keys = ["min_sizes", "max_sizes"]
    smallest, largest = (_numbers(generator.get(key)) for key in keys)
    if not smallest:
        smallest, largest = _ssd_sizes(generator)
        keys = ["input_size", "basesize_ratio_range"]
    levels = tuple(
        (float(low), math.sqrt(low * high)) for low, high in zip(smallest, largest, strict=True)
    )
    others = {float(ratio) for level in generator["ratios"] for ratio in level}
    ratios = sorted({1.0, *others, *(1 / ratio for ratio in others)})
    return Anchors(levels, tuple(ratios), _given(generator, keys))


# By input size and the first ratio: what mmdet puts below its smallest size, in percent of the input.
_FIRST_OF_SSD = {
    (300, 0.15): (7, 15),
    (300, 0.2): (10, 20),
    (512, 0.1): (4, 10),
    (512, 0.15): (7, 15),
}


def _ssd_sizes(generator: Config) -> tuple[list[float], list[float]]:
    """Smallest and largest sizes by level in pixels, as ``SSDAnchorGenerator`` rounds them."""
    size, shares = (
        generator.get("input_size", 300),
        generator.get("basesize_ratio_range", (0.15, 0.9)),
    )
    first = _FIRST_OF_SSD[size, shares[0]]
    low, high = (int(share * 100) for share in shares)
    step = (high - low) // (len(generator["strides"]) - 2)
    parts = [first, *((part, part + step) for part in range(low, high + 1, step))]
    smallest, largest = zip(
        *((int(size * a / 100), int(size * b / 100)) for a, b in parts), strict=True
    )
    return list(smallest), list(largest)


_MAKERS: Mapping[str, Callable[[Config], Anchors]] = {
    "AnchorGenerator": _of_strides,
    "LegacyAnchorGenerator": _of_strides,
    "YOLOAnchorGenerator": _of_sizes,
    "SSDAnchorGenerator": _of_ssd,
    "LegacySSDAnchorGenerator": _of_ssd,
}


def _numbers(values: object) -> list[float]:
    listed: Sequence[object] = values if is_list(values) else []
    return [value for value in listed if isinstance(value, int | float)]


def _pair(value: object) -> tuple[float, float]:
    numbers = _numbers(value) if is_list(value) else _numbers([value, value])
    return numbers[0], numbers[1]


def _given(generator: Config, keys: Sequence[str]) -> dict[str, object]:
    return {key: generator[key] for key in keys if key in generator}
