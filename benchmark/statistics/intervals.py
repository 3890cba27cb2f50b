"""Intervals of a row's mAP50, and the difference of two rows.

docs/statistics.md explains each formula and names its source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.statistics import LEVEL

_SEED = 0  # of the order in which the seeds' part is laid over the images' part


@dataclass(frozen=True)
class Sample:
    """What is known of a row's (or a run's) mAP50; fractions in 0..1.

    Attributes:
        values: mAP50 on all images, one for each seed, shape (S,), float64.
        draws: The mean over the seeds of each bootstrapped mAP50, shape (B,), float64, NaN where a
            resample has no object; None where the runs have none.
        images: Number of images evaluated on.
    """

    values: NDArray[np.float64]
    draws: NDArray[np.float64] | None
    images: int

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(self.values))

    @property
    def spread(self) -> float:
        """Squared standard error of the mean over the seeds; 0 with one seed."""
        count = len(self.values)
        return float(np.var(self.values, ddof=1)) / count if count > 1 else 0.0


@dataclass(frozen=True)
class Interval:
    """Both ends, fractions in 0..1."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Difference:
    """One row less another.

    Attributes:
        value: Difference of the means, in -1..1.
        low: Lower end of its interval, in -1..1.
        high: Upper end, in -1..1.
        p: How often chance alone sets two equal rows at least this far apart, two-sided.
    """

    value: float
    low: float
    high: float
    p: float


def usable(sample: Sample) -> bool:
    """Whether the sample says anything of its uncertainty: two images, and two draws, or more."""
    draws = sample.draws
    return sample.images > 1 and draws is not None and int(np.isfinite(draws).sum()) > 1


def interval(sample: Sample, level: float = LEVEL) -> Interval | None:
    """The mAP50 to be expected on other image sets of this size, and with other seeds.

    Bootstrapped mAP50 lies higher than the measured one, the more so the fewer objects a class
    has, at times so much that the percentiles leave the measured value out. So the spread of the
    draws is laid around the measured value. Several seeds add Student's t for their mean.

    Returns:
        None where the sample has fewer than two images or draws.
    """
    if sample.draws is None or not usable(sample):
        return None
    draws = sample.draws[np.isfinite(sample.draws)]
    offsets = (draws - draws.mean()) * _widening(sample.images, level)
    offsets = offsets + _seed_offsets(sample, len(draws))
    tail = (1 - level) / 2
    low, high = (sample.value + np.quantile(offsets, [tail, 1 - tail])).tolist()
    # Draws that are all alike differ from their own mean by a rounding error.
    low, high = min(low, sample.value), max(high, sample.value)
    return Interval(max(low, 0.0), min(high, 1.0))


@lru_cache
def _widening(images: int, level: float) -> float:
    """What percentiles of few images lack against Student's interval (Hesterberg 2015)."""
    from scipy.special import ndtri, stdtrit

    tail = (1 + level) / 2
    factor = np.sqrt(images / (images - 1)) * stdtrit(images - 1, tail) / ndtri(tail)
    return float(factor)


def _seed_offsets(sample: Sample, count: int) -> NDArray[np.float64]:
    """What other seeds would add: Student's t for the mean over the seeds."""
    seeds = len(sample.values)
    if seeds < 2:
        return np.zeros(count)
    offsets: NDArray[np.float64] = _mixed_quantiles(seeds - 1, count) * np.sqrt(sample.spread)
    return offsets


@lru_cache
def _mixed_quantiles(degrees: int, count: int) -> NDArray[np.float64]:
    """Evenly spaced quantiles of Student's t, in a fixed random order."""
    from scipy.special import stdtrit

    quantiles = stdtrit(degrees, (np.arange(count) + 0.5) / count)
    mixed: NDArray[np.float64] = np.random.default_rng(_SEED).permutation(quantiles)
    return mixed


def difference(a: Sample, b: Sample, level: float = LEVEL) -> Difference | None:
    """``a`` less ``b``, measured on the same images.

    Returns:
        None where a sample has fewer than two images or draws.

    Raises:
        ValueError: The samples differ in their number of images or draws.
    """
    from scipy.special import stdtrit

    if not (usable(a) and usable(b)):
        return None
    draws = paired_draws([a, b])
    value = a.value - b.value
    images = float(np.var(draws[0] - draws[1], ddof=1)) * a.images / (a.images - 1)
    freedom = [len(sample.values) - 1 for sample in (a, b)]
    error, degrees = standard_error(images, a.images - 1, [a.spread, b.spread], freedom)
    reach = float(stdtrit(degrees, (1 + level) / 2) * error) if error > 0 else 0.0
    p = float(p_value(value, error, degrees))
    return Difference(value, max(value - reach, -1.0), min(value + reach, 1.0), p)


def paired_draws(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """The draws that every sample has, shape (len(samples), B).

    Raises:
        ValueError: The samples differ in their number of images or draws.
    """
    draws = [sample.draws for sample in samples if sample.draws is not None]
    kinds = {(s.images, len(s.draws)) for s in samples if s.draws is not None}
    if len(draws) < len(samples) or len(kinds) > 1:
        found = ", ".join(f"{images} images and {count} draws" for images, count in sorted(kinds))
        raise ValueError(f"only draws of the same resampled images can be paired, not {found}")
    stacked = np.stack(draws)
    whole = np.isfinite(stacked).all(axis=0)
    return stacked if whole.all() else stacked[:, whole]


def standard_error(
    images: ArrayLike, freedom: int, seeds: Sequence[ArrayLike], seed_freedom: Sequence[ArrayLike]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standard error of a difference, and Satterthwaite's degrees of freedom for it.

    Args:
        images: Variance over the images.
        freedom: Its degrees of freedom, the number of images less one.
        seeds: Variance of the mean over the seeds, of either side.
        seed_freedom: Their degrees of freedom; 0 where there is one seed, and no variance.
    """
    images = np.asarray(images, np.float64)
    total = images + sum(np.asarray(part, np.float64) for part in seeds)
    doubt = images**2 / freedom
    for part, degrees in zip(seeds, seed_freedom, strict=True):
        doubt = doubt + np.asarray(part, np.float64) ** 2 / np.maximum(degrees, 1)
    degrees = np.where(doubt > 0, total**2 / np.where(doubt > 0, doubt, 1), freedom)
    return np.sqrt(total), degrees


def p_value(value: ArrayLike, error: ArrayLike, degrees: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p of Student's t; without any error 1 for no difference, and 0 for any other."""
    from scipy.special import stdtr

    value, error = np.abs(value), np.asarray(error)
    t = value / np.where(error > 0, error, 1)
    certain = np.where(value > 0, 0.0, 1.0)
    p: NDArray[np.float64] = np.where(error > 0, 2 * stdtr(degrees, -t), certain)
    return p
