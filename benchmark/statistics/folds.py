"""Intervals, differences and ranks of values over the folds of a cross-validation.

The values of k folds are no independent measurements: any two of the trainings share most of their images. Their
variance, taken as that of k independent ones, is therefore too small, and no estimate of it is right whatever the data
(Bengio & Grandvalet 2004). All here is the corrected resampled t of Nadeau & Bengio (2003), which counts the variance
of a mean over folds as ``(1/k + n_test/n_train) * s**2``. docs/statistics.md says more, and how well it holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.statistics import LEVEL
from benchmark.statistics.intervals import Difference, Interval, p_value
from benchmark.statistics.ranks import Compared, Pairs, Rank, ranked


def standard_error(values: ArrayLike) -> NDArray[np.float64]:
    """Standard error of means over folds, by Nadeau & Bengio's correction.

    Args:
        values: One of each of k folds, of which each is validated on once, shape (..., k), k at least 2.

    Returns:
        Shape (...), float64.
    """
    array = np.asarray(values, np.float64)
    count = array.shape[-1]
    # Each fold is validated on one part and trained on the other k - 1: n_test / n_train.
    factor = 1 / count + 1 / (count - 1)
    error: NDArray[np.float64] = np.sqrt(factor * np.var(array, axis=-1, ddof=1))
    return error


def interval(values: ArrayLike, level: float = LEVEL) -> Interval:
    """The mAP50 to be expected of trainings on other data of the same kind, as much of it as each fold trains on.

    Args:
        values: mAP50 of each fold, means over its seeds; fractions in 0..1, shape (k,), k at least 2.
        level: Of the interval.
    """
    array = np.asarray(values, np.float64)
    mean = float(array.mean())
    reach = _quantile(array, level) * float(standard_error(array))
    return Interval(max(mean - reach, 0.0), min(mean + reach, 1.0))


def difference(a: ArrayLike, b: ArrayLike, level: float = LEVEL) -> Difference:
    """One row less another, paired by fold.

    Args:
        a: The value of each fold, shape (k,), k at least 2.
        b: The same of the other row, on the same folds.
        level: Of the interval.
    """
    apart = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    value, error = float(apart.mean()), float(standard_error(apart))
    reach = _quantile(apart, level) * error
    p = float(p_value(value, error, len(apart) - 1))
    return Difference(value, max(value - reach, -1.0), min(value + reach, 1.0), p)


def ranks(samples: Sequence[NDArray[np.float64] | None], level: float = LEVEL) -> list[Rank | None]:
    """Ranks of rows by their means over the folds, from all pairs at once; see `benchmark.statistics.ranks.ranks`.

    Args:
        samples: One for each row: the value of each fold, shape (k,), the same folds of all; None for a row without.
        level: Of the whole table.

    Returns:
        One for each row; None where there is no sample.
    """
    known = [sample for sample in samples if sample is not None]
    if not known:
        return [None] * len(samples)
    values = np.stack(known)
    found = iter(ranked(values.mean(axis=1), _comparing(values), 1 - level))
    return [None if sample is None else next(found) for sample in samples]


def _comparing(values: NDArray[np.float64]) -> Compared:
    """Compares rows, of which the values of each fold are given, shape (R, k), as `difference` does."""
    rows, count = values.shape

    def compared(first: int, last: int) -> Pairs:
        i, j = (at + first for at in np.triu_indices(last - first, 1, rows - first))
        apart = values[i] - values[j]
        degrees = np.full(len(i), count - 1.0)
        return Pairs(i, j, apart.mean(axis=1), standard_error(apart), degrees)

    return compared


def _quantile(values: NDArray[np.float64], level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(len(values) - 1, (1 + level) / 2))
