"""Intervals, differences and ranks over folds, held against cases whose answer is known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student
from test_statistics_intervals import evaluation

from benchmark.statistics.folds import difference, interval, ranks, standard_error
from benchmark.statistics.ranks import Rank, adjusted
from benchmark.statistics.resample import class_precision

CLASSES = 3
FEATURES = 100


def cross_validated(images: int, folds: int, seed: int, learners: int = 1) -> NDArray[np.float64]:
    """mAP50 of detectors that learn, on each fold of random images, shape (learners, folds).

    Objects and distractors have features; a detector knows half of them, and scores a candidate by how it lies between
    the means of the objects and of the distractors that it was trained on. So two trainings that share images are as
    alike as those of a cross-validation are, and more images make better detectors.

    Args:
        images: How many, all folds together.
        folds: Into how many they are divided.
        seed: Of the images.
        learners: How many detectors, each of which knows other features.
    """
    random = np.random.default_rng([images, seed])
    crowding = random.gamma(1.5, 1 / 1.5, (images, 1))
    objects = random.poisson(crowding * 2 / CLASSES, (images, CLASSES))
    counts = np.stack([random.poisson(2 / CLASSES, objects.shape), objects])
    hit, image, label = np.repeat(np.argwhere(counts), counts[counts > 0], axis=0).T
    means = np.random.default_rng(1).normal(0, 0.15, (CLASSES, 2, FEATURES))
    features = random.normal(means[label, hit], 1)
    parts = random.permutation(np.arange(images) % folds)
    found = np.empty((learners, folds))
    for learner, fold in np.ndindex(found.shape):
        known = np.random.default_rng([3, learner]).permutation(FEATURES)[: FEATURES // 2]
        tested, of_tested = parts == fold, parts[image] == fold
        scores = scored(features[:, known], label, hit, ~of_tested)[of_tested]
        place = (np.cumsum(tested) - 1)[image[of_tested]]
        right = hit[of_tested] == 1
        matches = evaluation(objects[tested], label[of_tested], place, scores, right)
        found[learner, fold] = np.nanmean(class_precision(matches))
    return found


def scored(
    features: NDArray[np.float64],
    label: NDArray[np.int64],
    hit: NDArray[np.int64],
    learnt: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Scores of all candidates, by the means of those that are learnt."""
    scores = np.zeros(len(label))
    for k in range(CLASSES):
        good, bad = (features[(label == k) & learnt & (hit == h)].mean(axis=0) for h in (1, 0))
        scores[label == k] = (features[label == k] - (good + bad) / 2) @ (good - bad)
    return scores


def naive(values: NDArray[np.float64]) -> tuple[float, float]:
    """The interval that takes the folds for independent measurements."""
    reach = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    mean = float(values.mean())
    return mean - float(reach), mean + float(reach)


@pytest.fixture(scope="module")
def sets() -> NDArray[np.float64]:
    """Two detectors on 200 sets of 60 images in five folds, shape (200, 2, 5)."""
    return np.array([cross_validated(60, 5, seed, learners=2) for seed in range(200)])


@pytest.mark.slow
def test_interval_covers_and_that_of_independent_folds_does_not(sets: NDArray[np.float64]) -> None:
    # 94.8 % and 89 % of 1,000 such sets.
    values = sets[:, 0]
    truth = float(values.mean())
    held = np.mean([truth in interval(of_folds) for of_folds in values])
    ends = [naive(of_folds) for of_folds in values]
    too_few = float(np.mean([low <= truth <= high for low, high in ends]))
    assert 0.92 <= held <= 0.995
    assert too_few < 0.93


@pytest.mark.slow
def test_equal_detectors_are_rarely_told_apart(sets: NDArray[np.float64]) -> None:
    a, b = np.swapaxes(sets - sets.mean(axis=(0, 2), keepdims=True), 0, 1)
    assert np.mean([difference(*pair).p <= 0.05 for pair in zip(a, b, strict=True)]) <= 0.05


VALUES = np.array([0.50, 0.40, 0.60, 0.44])
OTHERS = np.array([0.30, 0.22, 0.41, 0.25])


def test_interval_is_nadeau_and_bengios() -> None:
    """Of four folds the variance counts 1/4 + 1/3: a quarter is tested on, three quarters are trained on."""
    reach = student.ppf(0.975, 3) * np.sqrt((1 / 4 + 1 / 3) * VALUES.var(ddof=1))
    found = interval(VALUES)
    assert [found.low, found.high] == pytest.approx([VALUES.mean() - reach, VALUES.mean() + reach])
    narrower = interval(VALUES, level=0.5)
    assert found.low < narrower.low < VALUES.mean() < narrower.high < found.high


def test_interval_keeps_to_fractions() -> None:
    assert interval([0.0, 0.4]).low == 0.0 and interval([1.0, 0.6]).high == 1.0
    assert (interval([0.3, 0.3, 0.3]).low, interval([0.0, 0.0]).high) == (pytest.approx(0.3), 0.0)


def test_difference_pairs_the_folds() -> None:
    """Folds that are hard for both count for neither."""
    found = difference(VALUES, OTHERS)
    apart = VALUES - OTHERS
    t = apart.mean() / np.sqrt((1 / 4 + 1 / 3) * apart.var(ddof=1))
    assert found.value == pytest.approx(apart.mean())
    assert found.p == pytest.approx(2 * student.sf(t, 3))
    assert found.low > 0 and interval(VALUES).low < interval(OTHERS).high
    back = difference(OTHERS, VALUES)
    assert (back.value, back.low, back.p) == pytest.approx((-found.value, -found.high, found.p))


def test_a_difference_lies_within_what_fractions_can_differ_by() -> None:
    found = difference(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    assert (found.low, found.value, found.high) == (-1.0, 0.0, 1.0)


def test_identical_rows_tie_and_certain_ones_do_not() -> None:
    assert difference(VALUES, VALUES).p == 1
    assert difference(VALUES, VALUES - 0.125).p < 1e-9
    assert ranks([VALUES, VALUES]) == [Rank(1, 2), Rank(1, 2)]


def test_ranks_are_holms_on_the_pairs_of_all_rows() -> None:
    random = np.random.default_rng(3)
    rows = [VALUES + shift + random.normal(0, 0.01, 4) for shift in (0, -0.01, -0.1, -0.3)]
    pairs = list(combinations(range(4), 2))
    p = adjusted(np.array([difference(rows[i], rows[j]).p for i, j in pairs]))
    first, last = [1] * 4, [4] * 4
    for (i, j), value in zip(pairs, p, strict=True):
        if value <= 0.05:
            better, worse = (i, j) if rows[i].mean() > rows[j].mean() else (j, i)
            first[worse] += 1
            last[better] -= 1
    found = ranks([rows[0], None, *rows[1:]])
    assert found == [Rank(1, last[0]), None, *map(Rank, first[1:], last[1:])]
    assert len({rank for rank in found if rank}) > 1
    assert ranks([None]) == [None] and ranks([]) == []


def test_standard_errors_of_many_rows_at_once() -> None:
    both = standard_error(np.stack([VALUES, OTHERS]))
    assert both == pytest.approx([standard_error(VALUES), standard_error(OTHERS)])
