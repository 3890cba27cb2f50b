"""How large the images are that a config's model sees, and so the objects in them: mmdet's own arithmetic of sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.config.shrink.images import training_side
from benchmark.config.shrink.pixels import has_size, numbers
from benchmark.config.tree import Config, dicts, is_list, leaves
from benchmark.config.vocabulary.words import class_of, mapping_of

Sides = NDArray[np.float64]

TEST, TRAINING = "test pipeline", "largest training scale"


@dataclass(frozen=True)
class Resizing:
    """A step that resizes images.

    Attributes:
        kind: ``fit``: as large as a box of ``width`` x ``height`` holds, lying or standing as the image does, as
            mmcv's ``Resize`` with ``keep_ratio``; ``within``: the same, and the box is not turned; ``exact``: to
            these two sides; ``shortest``: the shorter side becomes ``height``, and the longer at most ``width`` (0
            for any); ``times``: both sides are factors.
        width: Pixels, or a factor.
        height: Pixels, or a factor.
    """

    kind: str
    width: float
    height: float

    @property
    def sides(self) -> tuple[float, ...]:
        """The longest side that an image may have, in pixels; nothing for factors."""
        return () if self.kind == "times" else (max(self.width, self.height),)

    def factors(self, width: Sides, height: Sides) -> tuple[Sides, Sides]:
        """What the sides of images are multiplied by; each (N,), float64."""
        if self.kind == "times":
            return np.full_like(width, self.width), np.full_like(height, self.height)
        if self.kind == "exact":
            return self.width / width, self.height / height
        factor = self._kept(width, height)
        return factor, factor

    def _kept(self, width: Sides, height: Sides) -> Sides:
        """The one factor of both sides where the ratio is kept."""
        short, long = np.minimum(width, height), np.maximum(width, height)
        if self.kind == "within":
            return np.minimum(self.width / width, self.height / height)
        if self.kind == "fit":
            larger, smaller = max(self.width, self.height), min(self.width, self.height)
            return np.minimum(larger / long, smaller / short)
        factor = self.height / short
        return np.minimum(factor, self.width / long) if self.width else factor

    def __str__(self) -> str:
        if self.kind == "times":
            return f"{self.width:g} x {self.height:g} times as large"
        if self.kind == "shortest":
            most = f", longer at most {self.width:g}" if self.width else ""
            return f"shorter side {self.height:g}{most}"
        ratio = "" if self.kind == "exact" else ", ratio kept"
        return f"{self.width:g}x{self.height:g}{ratio}"


@dataclass(frozen=True)
class InputSize:
    """The size of the images that a model sees.

    Attributes:
        source: `TEST`, or `TRAINING` where the test pipeline resizes in a way that is not mmdet's.
        steps: What is done to an image's size, one after the other; none leaves it as it is.
        trained: The longest side of a training image in pixels; 0 where the config does not tell.
    """

    source: str
    steps: tuple[Resizing, ...]
    trained: int

    def factors(self, width: Sides, height: Sides) -> tuple[Sides, Sides]:
        """What the sides of images, and of objects in them, are multiplied by.

        Args:
            width: Of each image in pixels, shape (N,), float64.
            height: Likewise.

        Returns:
            Those of widths and those of heights, each (N,), float64.
        """
        across, down = np.ones_like(width), np.ones_like(height)
        for step in self.steps:
            more, taller = step.factors(width * across, height * down)
            across, down = across * more, down * taller
        return across, down

    def __str__(self) -> str:
        said = ", then ".join(map(str, self.steps)) or "images as large as they are"
        same = self.trained in {0, *(round(side) for step in self.steps for side in step.sides)}
        more = "" if same else f"; in training up to {self.trained} px on the longer side"
        return f"{said} ({self.source}{more})"


def input_size(config: Config) -> InputSize | None:
    """The size at which a composed config's model is evaluated, which is that of its anchors and of latency, too.

    Returns:
        None where neither the test pipeline nor that of the training tells it.
    """
    loader = config.get("val_dataloader") or config.get("test_dataloader")  # without validation
    leaf = next((leaf.node for leaf in leaves(loader)), {})
    steps = [_resizing(mapping_of(step)) for step in _in_turn(leaf.get("pipeline"))]
    known = [step for step in steps if isinstance(step, Resizing)]
    side = training_side(config)
    if steps and None not in steps:
        return InputSize(TEST, tuple(known), side)
    return InputSize(TRAINING, (Resizing("fit", side, side),), side) if side else None


def _in_turn(steps: object) -> Iterator[object]:
    for step in steps if is_list(steps) else ():
        within = mapping_of(step).get("transforms")
        yield from _in_turn(within) if class_of(step) == "Compose" else (step,)


def _resizing(step: Config) -> Resizing | bool | None:
    """What a step makes of an image's size; True if nothing, None where that is not known."""
    kind = class_of(step)
    if kind in ("Resize", "FixScaleResize"):
        return _of_resize(step)
    if kind == "FixShapeResize":
        sides = _two([step.get("width"), step.get("height")])
        return Resizing("within" if step.get("keep_ratio") else "exact", *sides) if sides else None
    if kind == "ResizeShortestEdge":
        sides = _two(step.get("scale"))
        return Resizing("shortest", step.get("max_size") or 0, min(sides)) if sides else None
    is_known = kind.endswith(("Pad", "Crop")) or not any(map(_sizes, dicts(step)))
    return True if is_known else None


def _of_resize(step: Config) -> Resizing | None:
    factor = step.get("scale_factor")
    if step.get("scale") is None and factor is not None:
        pair = factor if is_list(factor) else (factor, factor)
        return Resizing("times", *map(float, pair)) if len(pair) == 2 else None
    sides = _two(step.get("scale"))
    return Resizing("fit" if step.get("keep_ratio") else "exact", *sides) if sides else None


def _two(scale: object) -> tuple[int, int] | None:
    """Width and height that a size says; None where it says something else."""
    found: Sequence[int] = [*numbers(scale if is_list(scale) else [scale, scale])]
    return (found[0], found[1]) if len(found) == 2 and min(found) > 0 else None


def _sizes(step: Mapping[str, object]) -> bool:
    """Whether a step makes a size, be it in words of its own."""
    return has_size(dict(step)) or "Resize" in class_of(step)
