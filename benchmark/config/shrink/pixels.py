"""Which arguments of transforms are sizes in pixels, and how one size becomes another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmark.config.tree import Config, is_list

# Arguments of mmdet's transforms that are image sizes in pixels. Those in the second line are sizes
# of the batch, which must stay multiples of what the network divides an image by.
SCALES = frozenset({"scale", "scales", "img_scale", "img_scales", "border"})
BATCH_SIZES = frozenset({"crop_size", "size", "random_size_range"})

# Distances in an image, and sizes as albumentations says them: they shrink along, and tell no image's size.
LENGTHS = frozenset({"max_shift_px"})
ALBU_SIZES = frozenset(
    {"height", "width", "min_height", "min_width", "max_size", "crop_height", "crop_width"}
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

    @classmethod
    def of(cls, side: int, divisor: int) -> Grid:
        """The grid that a published side lies on.

        Args:
            side: In pixels.
            divisor: What the data preprocessor pads to, which says it. Where that is 1, as for models that crop to
                one size, the side itself tells: no network that takes 640 divides it by more than 128.
        """
        if divisor > 1:
            return cls(divisor)
        whole = [cls(step) for step in _STEPS if side % step == 0]
        less = [cls(step, 1) for step in _STEPS if (side + 1) % step == 0]
        return next(iter(whole + less), cls(1))

    def within(self, side: int) -> int:
        """The largest size up to a side, or the smallest there is."""
        return max((side + self.less) // self.step, 1) * self.step - self.less

    def near(self, side: float) -> int:
        """The size nearest to a side."""
        return max(round((side + self.less) / self.step), 1) * self.step - self.less


def has_size(transform: Config) -> bool:
    """Whether a transform names a size in pixels."""
    return any(True for key in SCALES | BATCH_SIZES for _ in numbers(transform.get(key)))
