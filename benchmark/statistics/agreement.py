"""How well one score ranks some rows as another does: rank correlations with their intervals.

docs/statistics.md explains the formulas, and how often the intervals hold the true value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmark.statistics import LEVEL

LEAST_ROWS = 5
_STEPS = 4000  # of Kendall's tau from -1 to 1, among which the ends of its interval are looked for


@dataclass(frozen=True)
class Correlation:
    """A rank correlation and both ends of its interval, each in -1..1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """How well two scores rank the same rows alike.

    Attributes:
        rows: How many rows have both.
        spearman: The correlation of their ranks, those of equal values averaged.
        kendall: Kendall's tau-b.
    """

    rows: int
    spearman: Correlation
    kendall: Correlation


def agreement(
    first: Sequence[float], second: Sequence[float], level: float = LEVEL
) -> Agreement | None:
    """How well two scores rank rows alike.

    Args:
        first: One score of each row, shape (R,).
        second: The other one of the same rows, shape (R,).
        level: Of each interval.

    Returns:
        None below five rows, and where all values of a score are the same: then it ranks nothing.

    Raises:
        ValueError: The scores are not of the same number of rows.
    """
    from scipy.stats import kendalltau, spearmanr

    if len(first) != len(second):
        raise ValueError(f"scores of {len(first)} and of {len(second)} rows")
    rows = len(first)
    if rows < LEAST_ROWS or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    tau = float(kendalltau(first, second, method="asymptotic").statistic)  # its p is not used
    rho = float(spearmanr(first, second).statistic)
    low, high = tau_interval(tau, rows, level)
    ends = sorted((*map(_spearman_of, (low, high)), rho))
    return Agreement(rows, Correlation(rho, ends[0], ends[-1]), Correlation(tau, low, high))


@lru_cache
def tau_interval(tau: float, rows: int, level: float = LEVEL) -> tuple[float, float]:
    """The true values of Kendall's tau that a measured one is no surprise under.

    Each is tested by the normal curve, with the variance that tau has under it (Esscher 1924; Kendall and Gibbons
    1990, chapter 10), and half a step between neighbouring values as continuity correction. Unlike an interval by
    Fisher's z, whose variance is 0.437 / (R - 4) wherever tau lies (Fieller, Hartley and Pearson 1957), it has a width
    where all rows are in the same order.

    Args:
        tau: The measured one, in -1..1.
        rows: How many rows, 2 or more.
        level: Of the interval.

    Returns:
        Both ends, in -1..1.
    """
    from scipy.special import ndtri

    true = np.linspace(-1, 1, _STEPS + 1)
    half_step = 2 / (rows * (rows - 1))
    reach = ndtri((1 + level) / 2) * np.sqrt(_variance(true, rows)) + half_step
    held = true[np.abs(true - tau) <= reach]
    return min(float(held.min(initial=1)), tau), max(float(held.max(initial=-1)), tau)


def _variance(tau: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Of a measured tau of normal scores whose true one is ``tau``, shape (N,)."""
    triples = 1 / 9 - (2 / np.pi * np.arcsin(np.sin(np.pi / 2 * tau) / 2)) ** 2
    found = 2 / (rows * (rows - 1)) * (1 - tau**2 + 2 * (rows - 2) * triples)
    return np.maximum(found, 0.0)  # of tau 1 it is 0, but for rounding


def _spearman_of(tau: float) -> float:
    """The rank correlation of normal scores that have this tau (Pearson 1907; Greiner 1909)."""
    return float(6 / np.pi * np.arcsin(np.sin(np.pi / 2 * tau) / 2))
