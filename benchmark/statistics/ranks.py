"""Ranks that say no more than the measurement does: rows that it does not separate share one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.statistics import LEVEL
from benchmark.statistics.intervals import Sample, p_value, paired_draws, standard_error, usable

# Pairs that are looked at together: what is computed of them takes about 50 MiB.
_PAIRS_AT_ONCE = 1 << 19
# A covariance matrix of 1,000 draws is exact to about 1e-13 of its diagonal.
_ROUNDING = 1e-12
# Quantiles of Student's t are exact to far more digits; nearer to one, p itself is computed.
_MARGIN = 1e-6
_MOST_DEGREES = 10_000  # above, Student's t is taken for that of so many: it is a little wider


@dataclass(frozen=True)
class Rank:
    """The ranks that a row may have, 1 the best, both ends included."""

    first: int
    last: int

    @property
    def text(self) -> str:
        """``2`` or ``1–3``."""
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"


@dataclass(frozen=True)
class Pairs:
    """What is known of some pairs of rows, shapes (N,).

    Attributes:
        i: Position of one row.
        j: Position of the other, which comes later.
        difference: The value of row i less that of row j.
        error: Its standard error.
        degrees: Degrees of freedom of that.
    """

    i: NDArray[np.intp]
    j: NDArray[np.intp]
    difference: NDArray[np.float64]
    error: NDArray[np.float64]
    degrees: NDArray[np.float64]

    def p(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """How often chance alone sets two equal rows at least so far apart as some of them are, two-sided."""
        return p_value(self.difference[chosen], self.error[chosen], self.degrees[chosen])

    def over(self, p: float) -> NDArray[np.bool_]:
        """Those whose p is over a value for sure: Student's p is never below the normal distribution's."""
        from scipy.special import ndtri

        near: NDArray[np.bool_] = np.abs(self.difference) < -ndtri(p / 2) * self.error
        return near

    def below(self, p: float) -> NDArray[np.bool_]:
        """Those whose p is below a value for sure: fewer degrees of freedom, rounded down, make it larger."""
        whole = np.clip(self.degrees, 1, _MOST_DEGREES).astype(np.int64)
        far = np.abs(self.difference)
        return (far > 0) & (far >= _quantiles(p)[whole] * (1 + _MARGIN) * self.error)


@lru_cache(maxsize=2)
def _quantiles(p: float) -> NDArray[np.float64]:
    """What Student's t of 0, 1, 2, ... degrees of freedom is beyond, on either side, with probability ``p``."""
    from scipy.special import stdtrit

    degrees = np.maximum(np.arange(_MOST_DEGREES + 1), 1)
    found: NDArray[np.float64] = -stdtrit(degrees, p / 2)
    return found


_Rows = NDArray[np.signedinteger[Any]]  # positions

Compared = Callable[[int, int], Pairs]
"""Compares the rows from one position to before another, each with all later ones of the table."""


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
    values = np.array([sample.value for sample in counted])
    found = iter(ranked(values, _comparing(counted, values), 1 - level))
    return [next(found) if s is not None and usable(s) else None for s in samples]


def ranked(values: NDArray[np.float64], compared: Compared, alpha: float) -> list[Rank]:
    """The ranks of rows by which pairs of them Holm's correction separates.

    Five thousand rows have 12 million pairs. They are compared in blocks, twice: first to know how many can be
    separated at all, which tells within which bounds of p that hangs on the other pairs. Only pairs within them are
    kept, and their p computed.

    Args:
        values: Of each row, shape (R,).
        compared: Compares rows.
        alpha: The chance of any error that is borne.
    """
    blocks, total = _Blocks(len(values), compared), len(values) * (len(values) - 1) // 2
    possible = sum(int(np.count_nonzero(~pairs.over(alpha))) for pairs in blocks)
    least = total - possible + 1  # what the p of a pair that is separated counts times, or more
    places, near, sure = _Places(values), _Near(alpha / least), 0
    for pairs in blocks:
        below = pairs.below(alpha / max(total, 1))
        sure += int(np.count_nonzero(below))
        places.count(pairs.i[below], pairs.j[below])
        near.add(pairs, ~below)
    places.count(*near.apart(total - sure, alpha))
    return places.ranks


class _Blocks:
    """The pairs of a table's rows, in blocks; those of a small table are compared once."""

    def __init__(self, rows: int, compared: Compared) -> None:
        self._starts = _starts(rows)
        alone = len(self._starts) == 2
        self._compared = lru_cache(maxsize=1)(compared) if alone else compared

    def __iter__(self) -> Iterator[Pairs]:
        return (self._compared(*ends) for ends in pairwise(self._starts))


def _starts(rows: int) -> list[int]:
    """The positions at which blocks of rows begin, and the number of rows."""
    starts, held = [0], 0
    for row in range(rows):
        later = rows - 1 - row
        if held and held + later > _PAIRS_AT_ONCE:
            starts.append(row)
            held = 0
        held += later
    return [*starts, rows]


class _Places:
    """How many rows are better and worse than each.

    Args:
        values: Of each row, shape (R,).
    """

    def __init__(self, values: NDArray[np.float64]) -> None:
        self._values = values
        self._better, self._worse = np.zeros((2, len(values)), np.int64)

    def count(self, i: _Rows, j: _Rows) -> None:
        """Takes pairs of rows that are separated; of equal values neither is better."""
        up, down = self._values[i] > self._values[j], self._values[i] < self._values[j]
        for winners, losers in ((i[up], j[up]), (j[down], i[down])):
            self._better += np.bincount(losers, minlength=len(self._values))
            self._worse += np.bincount(winners, minlength=len(self._values))

    @property
    def ranks(self) -> list[Rank]:
        """The ranks that the rows may have."""
        ends = (1 + self._better, len(self._values) - self._worse)
        return [Rank(*pair) for pair in zip(*(end.tolist() for end in ends), strict=True)]


class _Near:
    """Pairs of which it hangs on the others whether they are separated.

    Args:
        largest: The p above which none is.
    """

    def __init__(self, largest: float) -> None:
        self._largest = largest * (1 + _MARGIN)
        self._found: list[tuple[_Rows, _Rows, NDArray[np.float64]]] = []

    def add(self, pairs: Pairs, among: NDArray[np.bool_]) -> None:
        """Takes those among some pairs that may be separated."""
        chosen = among & ~pairs.over(self._largest)
        p = pairs.p(chosen)
        few = p <= self._largest
        i, j = (rows[chosen][few].astype(np.int32) for rows in (pairs.i, pairs.j))
        self._found.append((i, j, p[few]))

    def apart(self, count: int, alpha: float) -> tuple[_Rows, _Rows]:
        """Those that are separated, where ``count`` pairs do not have a smaller p than all of them."""
        i, j, p = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        told = adjusted(p, count) <= alpha
        return i[told], j[told]


def _comparing(samples: Sequence[Sample], values: NDArray[np.float64]) -> Compared:
    """Compares rows as `intervals.difference` does, by covariances of their draws."""
    images = samples[0].images
    draws = paired_draws(samples)
    draws -= draws.mean(axis=1, keepdims=True)
    freedom = draws.shape[1] - 1
    own = np.einsum("ij,ij->i", draws, draws) / freedom
    spread = np.array([sample.spread for sample in samples])
    degrees = np.array([len(sample.values) - 1 for sample in samples])

    def compared(first: int, last: int) -> Pairs:
        i, j = (at + first for at in np.triu_indices(last - first, 1, len(values) - first))
        covariance = draws[first:last] @ draws[first:].T / freedom
        both = own[i] + own[j]
        variance = both - 2 * covariance[i - first, j - first]
        variance = np.where(variance > _ROUNDING * both, variance, 0.0)
        parts, seeds = (spread[i], spread[j]), (degrees[i], degrees[j])
        doubt = standard_error(variance * images / (images - 1), images - 1, parts, seeds)
        return Pairs(i, j, values[i] - values[j], *doubt)

    return compared


def adjusted(p: NDArray[np.float64], count: int | None = None) -> NDArray[np.float64]:
    """Holm's adjusted p values: at most alpha where his step-down test rejects at alpha.

    Args:
        p: Of tests of the family, shape (M,).
        count: How many tests of the family there are but for those with a smaller p that are not given; M if None.

    Returns:
        Shape (M,), in the order given, at most 1.
    """
    order = np.argsort(p, kind="stable")
    most = len(p) if count is None else count
    steps = p[order] * np.arange(most, most - len(p), -1)
    result = np.empty(len(p))
    result[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return result
