"""Numbers as labels have them: texts, of which some are none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmark.data.importing.base import XYWH

_NOISE = 6  # decimals of a pixel: what is beyond comes of arithmetic


def number(text: str | None) -> float | None:
    """The finite number that a text is; None of any other."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def numbers(texts: Iterable[str]) -> list[float] | None:
    """The finite numbers that texts are; None if one of them is none."""
    found = [number(text) for text in texts]
    return [value for value in found if value is not None] if None not in found else None


def tidy(value: float) -> float:
    """A coordinate without what arithmetic has left of it, and without a fraction where it has none."""
    rounded = round(value, _NOISE)
    return int(rounded) if float(rounded).is_integer() else rounded


def bounds(points: Sequence[float]) -> XYWH:
    """The upright box around points ``[x1, y1, x2, y2, ...]``."""
    xs, ys = points[::2], points[1::2]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
