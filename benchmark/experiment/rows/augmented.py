"""Rows that are evaluated with test-time augmentation, from the checkpoints of another row's runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from benchmark.experiment.rows.base import Layer, Recipe, Surroundings
from benchmark.yaml_file import Name, Strict

# What is larger is no factor, but a side in pixels.
_LARGEST_FACTOR = 8


def _scale(value: Any) -> Any:
    """One of `Views.scales`, as it stands in a file."""
    if isinstance(value, list | tuple):
        sides = [side for side in value if type(side) is int and side > 0]
        if len(value) != 2 or len(sides) != 2:
            raise ValueError("a size is two whole numbers of pixels: [1333, 800]")
        return tuple(sides)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a scale is a factor of the row's own, 0.8, or a size, [1333, 800]")
    if not 0 < value <= _LARGEST_FACTOR:
        raise ValueError(
            f"a factor is above 0 and at most {_LARGEST_FACTOR}; a size in pixels is a pair, [1333, 800]"
        )
    return float(value)


Scale = Annotated[float | tuple[int, int], BeforeValidator(_scale)]
"""A factor of the scale that a row's images are tested at, or the size in pixels that they are fitted into."""


class Views(Strict):
    """The views of an image that test-time augmentation finds boxes in.

    Attributes:
        scales: Each gives a view, and its mirror image; None: the row's own scale, half of it and one and a half, or
            its own alone where its test pipeline pads or does not keep the ratio.
        flip: Whether the mirror images are among them.
    """

    scales: list[Scale] | None = Field(default=None, min_length=1)
    flip: bool = True

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """True stands for all of the usual views, a list for scales."""
        if value is True:
            return {}
        if isinstance(value, list):
            return {"scales": value}
        if not isinstance(value, dict | Views):
            raise ValueError(
                "give true, a list of scales, [0.8, 1.0, 1.2], or a mapping, {scales: [0.8, 1.0], flip: true}"
            )
        return value

    @field_validator("scales")
    @classmethod
    def _differ(cls, scales: list[Scale] | None) -> list[Scale] | None:
        repeated = [scale for n, scale in enumerate(scales or ()) if scale in (scales or ())[:n]]
        if repeated:
            raise ValueError(f"{_text(repeated[0])} is there twice")
        return scales

    @model_validator(mode="after")
    def _augment(self) -> Views:
        if self.scales == [1.0] and not self.flip:
            raise ValueError("its own scale without a flip is no augmentation: add one of either")
        return self

    @property
    def text(self) -> str:
        """The views in words: ``x0.8, x1, with flips``."""
        scales = ", ".join(map(_text, self.scales)) if self.scales else "usual scales"
        return f"{scales}, {'with' if self.flip else 'without'} flips"


def _text(scale: Scale) -> str:
    return f"x{scale:g}" if isinstance(scale, float) else f"{scale[0]}x{scale[1]}"


class AugmentedRecipe(Recipe):
    """Another row's detectors, each evaluated on several views of every image, whose boxes are put together.

    Attributes:
        tta: The views.
        of: The row whose runs' checkpoints are evaluated; it is trained, or of given weights.
    """

    tta: Views
    of: Name

    @property
    def names(self) -> Mapping[str, str]:
        """The row that it is of, and the views."""
        return {"of": self.of, "tta": self.tta.text}

    @property
    def labels(self) -> Mapping[str, str]:
        """How it came about: ``TTA: a at x0.8, x1, with flips``."""
        return {"Learning Method": f"TTA: {self.of} at {self.tta.text}"}

    @property
    def source_rows(self) -> tuple[str, ...]:
        """The row whose checkpoints are evaluated."""
        return (self.of,)

    def making(self, around: Surroundings) -> Mapping[str, object]:
        """The views."""
        return {"tta": self.tta.model_dump(mode="json")}

    def layers(self, around: Surroundings) -> Sequence[Layer]:
        """None: the configs are those of the other row's runs."""
        return ()
