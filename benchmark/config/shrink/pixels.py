"""Which arguments of transforms are sizes in pixels, and how one size becomes another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmark.config.tree import Config, dicts, is_list

# Arguments of mmdet's transforms that are image sizes in pixels. Those in the second line are sizes
# of the batch, which must stay multiples of what the network divides an image by.
SCALES = frozenset({"scale", "scales", "img_scale", "img_scales", "border"})
BATCH_SIZES = frozenset({"crop_size", "size", "random_size_range"})

# Likewise, of mmdet's FixShapeResize and of albumentations.
EDGES = frozenset({"height", "width"})

# Distances in an image and what bounds its size: they shrink along, and tell nothing about an image.
LENGTHS = frozenset(
    {"max_shift_px", "max_size", "min_height", "min_width", "crop_height", "crop_width"}
)

# What a network may divide an image by, as far as a size that it was published with can tell.
_STEPS = (128, 64, 32)


def numbers(value: object) -> Iterator[int]:
    """The sizes in pixels of an argument; a float is a share of the image, which shrinks with it."""
    if is_list(value):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value


def mapped(value: object, change: Callable[[int], int]) -> object:
    """A size, or a nested list of sizes, with every whole number changed."""
    if isinstance(value, list | tuple):
        return type(value)(mapped(item, change) for item in value)
    return change(value) if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(frozen=True)
class Grid:
    """The sizes that a batch may have.

    Attributes:
        step: They are multiples of it.
        less: Less this, for networks that take a pixel less than a multiple: hourglasses take 511.
    """

    step: int
    less: int = 0

    def within(self, side: int) -> int:
        """The largest size up to a side, or the smallest there is."""
        return max((side + self.less) // self.step, 1) * self.step - self.less

    def near(self, side: float) -> int:
        """The size nearest to a side."""
        return max(round((side + self.less) / self.step), 1) * self.step - self.less

    def beyond(self, side: float) -> int:
        """The smallest size that a side fits in."""
        return math.ceil((side + self.less) / self.step) * self.step - self.less


@dataclass(frozen=True)
class Network:
    """What a network asks of the sizes of its batches.

    Attributes:
        divisor: What the data preprocessor pads to; 1 where that says nothing, as for models that crop to one size.
        deepest: The largest stride of a head, 128 where none is told.
    """

    divisor: int
    deepest: int

    @classmethod
    def of(cls, model: Config) -> Network:
        """Reads a config's ``model``."""
        preprocessor = model.get("data_preprocessor") or {}
        told = max((n for node in dicts(model) for n in numbers(node.get("strides"))), default=0)
        return cls(
            preprocessor.get("pad_size_divisor", 1), told if told >= min(_STEPS) else max(_STEPS)
        )

    def grid(self, side: int) -> Grid:
        """The grid that a published side lies on: no network that takes 640 divides it by more than 128."""
        if self.divisor > 1:
            return Grid(self.divisor)
        steps = [step for step in _STEPS if step <= self.deepest]
        whole = [Grid(step) for step in steps if side % step == 0]
        less = [Grid(step, 1) for step in steps if (side + 1) % step == 0]
        return next(iter(whole + less), Grid(1))


def has_size(transform: Config) -> bool:
    """Whether a transform names a size in pixels."""
    return any(True for key in SCALES | BATCH_SIZES | EDGES for _ in numbers(transform.get(key)))
