"""Ranks of tables of any size: by pairs in blocks as by all pairs at once."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark.statistics import LEVEL, folds, ranks
from benchmark.statistics.intervals import Sample, difference
from benchmark.statistics.ranks import Rank, adjusted

FEW = 40  # pairs at a time


def samples(rows: int, seed: int, spread: float, seeds: int = 1) -> list[Sample]:
    """Rows of which some are equal, and two the same to the last digit."""
    random = np.random.default_rng(seed)
    values = 0.4 + spread * random.normal(size=(rows, seeds)).round(1)
    common = random.normal(0, 0.01, 1000)  # hard images are hard for every row
    draws = values.mean(axis=1)[:, None] + common + random.normal(0, 0.005, (rows, 1000))
    values[1], draws[1] = values[0], draws[0]
    counts = 1 + np.arange(rows) % seeds
    return [
        Sample(own[:count], drawn, 500)
        for own, drawn, count in zip(values, draws, counts, strict=True)
    ]


def by_all_pairs(values: list[float], p: list[float]) -> list[Rank]:
    """Holm's definition, without any shortcut."""
    first, last = [1] * len(values), [len(values)] * len(values)
    told = adjusted(np.array(p)) <= 1 - LEVEL
    for (i, j), apart in zip(combinations(range(len(values)), 2), told, strict=True):
        if apart and values[i] != values[j]:
            better, worse = (i, j) if values[i] > values[j] else (j, i)
            first[worse] += 1
            last[better] -= 1
    return [Rank(*ends) for ends in zip(first, last, strict=True)]


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("spread", [0.0, 0.01, 0.02, 0.2])
def test_blocks_of_pairs_give_the_ranks_of_all_pairs(
    monkeypatch: pytest.MonkeyPatch, spread: float, seeds: int
) -> None:
    table = samples(31, 0, spread, seeds)
    found = [difference(a, b) for a, b in combinations(table, 2)]
    p = [one.p for one in found if one is not None]
    expected = by_all_pairs([one.value for one in table], p)
    assert ranks.ranks(table) == expected
    monkeypatch.setattr(ranks, "_PAIRS_AT_ONCE", FEW)
    assert ranks.ranks(table) == expected
    assert len({rank.text for rank in expected}) > 1 or spread < 0.2


def test_blocks_of_pairs_over_folds_give_the_ranks_of_all_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(0)
    table: list[NDArray[np.float64] | None] = [
        0.4 + 0.02 * row + random.normal(0, 0.01, 5) for row in range(23)
    ]
    known = [row for row in table if row is not None]
    p = [folds.difference(a, b).p for a, b in combinations(known, 2)]
    expected = by_all_pairs([float(row.mean()) for row in known], p)
    assert folds.ranks(table) == expected
    monkeypatch.setattr(ranks, "_PAIRS_AT_ONCE", FEW)
    assert folds.ranks([None, *table]) == [None, *expected]


def test_no_more_than_a_block_of_pairs_is_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,100 rows 600,000 pairs: they are compared twice, in two blocks."""
    sizes: list[int] = []
    compared = ranks.standard_error

    def noted(images: NDArray[np.float64], *others: object) -> object:
        sizes.append(len(images))
        return compared(images, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(ranks, "standard_error", noted)
    rows, random = 1100, np.random.default_rng(1)
    values = random.uniform(0.2, 0.6, rows)
    table = [Sample(np.array([v]), v + random.normal(0, 0.01, 20), 500) for v in values]
    found = ranks.ranks(table)
    assert all(found)
    assert max(sizes) <= ranks._PAIRS_AT_ONCE < sum(sizes) / 2 == rows * (rows - 1) / 2
