"""Ranks that say no more than the measurement does: rows that it does not separate share one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.statistics import LEVEL
from benchmark.statistics.intervals import Sample, p_value, paired_draws, standard_error, usable

# Each pair of rows is compared: more would take seconds, and tens of seconds at ten thousand.
MOST_RANKED = 2000
# A covariance matrix of 1,000 draws is exact to about 1e-13 of its diagonal.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Rank:
    """The ranks that a row may have, 1 the best, both ends included."""

    first: int
    last: int

    @property
    def text(self) -> str:
        """``2`` or ``1–3``."""
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"


def ranks(samples: Sequence[Sample | None], level: float = LEVEL) -> list[Rank | None]:
    """Ranks of rows by mAP50, from all pairs at once (Mogstad et al. 2024; Holm 1979).

    The chance that any row is called better than another that is as good is at most ``1 - level``
    over the whole table. A row's first rank is one more than the rows that are better, its last
    the number of rows less those that are worse; so rows that are not separated share a rank.

    Args:
        samples: One for each row; None for a row without a number.
        level: Of the whole table.

    Returns:
        One for each row; None where there is no sample, or one that says nothing of its
        uncertainty (fewer than two images or draws). Such rows are not counted.

    Raises:
        ValueError: Samples differ in their number of images or draws.
    """
    counted = [s for s in samples if s is not None and usable(s)]
    if not counted:
        return [None] * len(samples)
    found = iter(placed(_better(counted, 1 - level)))
    return [next(found) if s is not None and usable(s) else None for s in samples]


def placed(better: NDArray[np.bool_]) -> list[Rank]:
    """The ranks of rows by whether row i is separated from row j as the better one, shape (R, R)."""
    first, last = 1 + better.sum(axis=0), len(better) - better.sum(axis=1)
    return [Rank(*pair) for pair in zip(first.tolist(), last.tolist(), strict=True)]


def separated(
    values: NDArray[np.float64], p: NDArray[np.float64], alpha: float
) -> NDArray[np.bool_]:
    """Whether row i is separated from row j as the better one, shape (R, R), by Holm's correction.

    Args:
        values: Of each row, shape (R,).
        p: Of each pair of rows, in the order of ``numpy.triu_indices(R, 1)``.
        alpha: The chance of any error that is borne.
    """
    i, j = np.triu_indices(len(values), 1)
    apart = adjusted(p) <= alpha
    better = np.zeros((len(values), len(values)), np.bool_)
    better[i, j] = apart & (values[i] > values[j])
    better[j, i] = apart & (values[i] < values[j])
    return better


def _better(samples: Sequence[Sample], alpha: float) -> NDArray[np.bool_]:
    """Whether row i is separated from row j as the better one, shape (R, R)."""
    values = np.array([sample.value for sample in samples])
    i, j = np.triu_indices(len(samples), 1)
    return separated(values, _p_values(samples, values, i, j, alpha), alpha)


def _p_values(
    samples: Sequence[Sample],
    values: NDArray[np.float64],
    i: NDArray[np.intp],
    j: NDArray[np.intp],
    alpha: float,
) -> NDArray[np.float64]:
    """`intervals.difference`'s p of the pairs (i, j), by one covariance matrix; 1 where it is over ``alpha`` anyway."""
    from scipy.special import ndtri

    images = samples[0].images
    draws = paired_draws(samples)
    draws = draws - draws.mean(axis=1, keepdims=True)
    covariance = draws @ draws.T / (draws.shape[1] - 1)
    own = np.diag(covariance)
    variance = own[i] + own[j] - 2 * covariance[i, j]
    variance = np.where(variance > _ROUNDING * (own[i] + own[j]), variance, 0.0)
    spread = np.array([sample.spread for sample in samples])
    freedom = np.array([len(sample.values) - 1 for sample in samples])
    scaled = variance * images / (images - 1)
    parts, seeds = (spread[i], spread[j]), (freedom[i], freedom[j])
    error, degrees = standard_error(scaled, images - 1, parts, seeds)
    difference = values[i] - values[j]
    # Student's p is never below the normal distribution's: most pairs of a large table need no more than that.
    close = np.abs(difference) < -ndtri(alpha / 2) * error
    p = np.ones(len(difference))
    p[~close] = p_value(difference[~close], error[~close], degrees[~close])
    return p


def adjusted(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's adjusted p values: at most alpha where his step-down test rejects at alpha.

    Args:
        p: Of all tests of the family, shape (M,).

    Returns:
        Shape (M,), in the order given, at most 1.
    """
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    result = np.empty(len(p))
    result[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return result
