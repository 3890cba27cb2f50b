"""Intervals, differences and ranks, held against cases whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import hotcoco
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student
from scipy.stats import ttest_ind

from benchmark.statistics.evaluation import Detections, GroundTruth
from benchmark.statistics.intervals import Difference, Sample, difference, interval
from benchmark.statistics.matches import Matches, match
from benchmark.statistics.ranks import Rank, adjusted, ranks
from benchmark.statistics.resample import bootstrap, class_precision, image_weights

RESAMPLES = 200
CLASSES = 4


def simulated(images: int, objects_seed: int, model_seed: int, skill: float = 0.0) -> Matches:
    """An evaluation on random images by a made-up detector.

    Images differ in how many objects they hold and in how hard they are, for every model alike; a
    wrong box scores lower than a right one on average only.

    Args:
        images: How many.
        objects_seed: Of the images.
        model_seed: Of what is detected in them.
        skill: The higher, the more objects are found.
    """
    things = np.random.default_rng([objects_seed, 0])
    crowding = things.gamma(1.5, 1 / 1.5, (images, 1))
    objects = things.poisson(crowding * 2 / CLASSES, (images, CLASSES))
    ease = skill + things.normal(0, 1, (images, 1)) + np.linspace(-0.5, 0.5, CLASSES)
    random = np.random.default_rng([model_seed, objects_seed])
    right = random.binomial(objects, 1 / (1 + np.exp(-ease)))
    wrong = random.poisson(3 / CLASSES, objects.shape)
    counts = np.stack([wrong, right])
    hit, image, label = np.repeat(np.argwhere(counts), counts[counts > 0], axis=0).T
    score = random.normal(1.5 * hit, 1) + 0.3 * ease[image, label]
    return evaluation(objects, label, image, score, hit.astype(bool))


def evaluation(
    objects: NDArray[np.int64],
    label: NDArray[np.int64],
    image: NDArray[np.int64],
    score: NDArray[np.float64],
    hit: NDArray[np.bool_],
) -> Matches:
    order = np.lexsort((image, -score, label))
    return Matches(
        image_ids=np.arange(len(objects)),
        files=tuple(f"{number}.jpg" for number in range(len(objects))),
        classes=tuple(f"class {number}" for number in range(objects.shape[1])),
        objects=objects.astype(np.int32),
        label=label[order].astype(np.int16),
        image=image[order].astype(np.int32),
        score=score[order],
        hit=hit[order],
    )


def sample(*runs: Matches, resamples: int = RESAMPLES) -> Sample:
    """What the runs of one row, with a seed each, say together."""
    values = np.array([np.nanmean(class_precision(run)) for run in runs])
    draws = np.mean([bootstrap(run, resamples) for run in runs], axis=0)
    return Sample(values, draws, len(runs[0].image_ids))


def without_some_hits(matches: Matches, share: float) -> Matches:
    """The same detections, but a share of those that found an object did not."""
    lost = np.random.default_rng(0).random(len(matches.hit)) < share
    return replace(matches, hit=matches.hit & ~lost)


def made(value: float, spread: float = 0.01, seed: int = 0, seeds: int = 1) -> Sample:
    random = np.random.default_rng(seed)
    values = value + spread * (np.arange(seeds) - (seeds - 1) / 2)
    return Sample(values, random.normal(value, spread, 1000), 500)


# Intervals.


@pytest.fixture(scope="module")
def one_seed() -> list[tuple[Sample, Sample]]:
    """Two models that are equally good, on 200 sets of 100 images."""
    return [(sample(simulated(100, n, 1)), sample(simulated(100, n, 2))) for n in range(200)]


def covered(samples: list[Sample]) -> float:
    """Share of the intervals that hold the mean over all sets."""
    truth = float(np.mean([each.value for each in samples]))
    intervals = [interval(each) for each in samples]
    return float(np.mean([found is not None and truth in found for found in intervals]))


@pytest.mark.slow
def test_interval_of_one_seed_covers(one_seed: list[tuple[Sample, Sample]]) -> None:
    # 93 % of 800 such sets; of 200, less or more 2.6 standard errors.
    for model in (0, 1):
        assert 0.883 <= covered([pair[model] for pair in one_seed]) <= 0.977


@pytest.mark.slow
def test_interval_of_few_images_covers() -> None:
    # 92 % of 800 such sets.
    assert 0.87 <= covered([sample(simulated(24, n, 1)) for n in range(200)]) <= 0.97


@pytest.mark.slow
def test_interval_of_three_seeds_covers_models_not_trained() -> None:
    """Training again moves mAP50 about as much as other images do; three seeds stand for all."""
    skill = np.random.default_rng(5).normal(0, 0.3, (60, 3))
    samples = [sample(*(simulated(60, n, k, skill[n, k]) for k in range(3))) for n in range(60)]
    assert covered(samples) >= 0.93
    # The images alone would not do.
    alone = [Sample(s.values[:1], s.draws, s.images) for s in samples]
    assert covered(alone) < covered(samples)


def test_interval_lies_around_the_measured_value() -> None:
    """Also where every resample is better than what was measured, as with few objects a class."""
    found = interval(Sample(np.array([0.36]), np.linspace(0.37, 0.45, 1000), 1000))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.322, 0.398), abs=1e-3)
    assert 0.36 in found
    assert 0.4 not in found


def test_interval_of_one_seed_is_normal_where_the_draws_are() -> None:
    draws = 0.4 + 0.02 * student.ppf((np.arange(1000) + 0.5) / 1000, 10**6)
    found = interval(Sample(np.array([0.4]), draws, 100_000))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.4 - 0.0392, 0.4 + 0.0392), abs=2e-4)
    wider = interval(Sample(np.array([0.4]), draws, 10))
    assert wider is not None
    reach = student.ppf(0.975, 9) * 0.02 * np.sqrt(10 / 9)
    assert (wider.low, wider.high) == pytest.approx((0.4 - reach, 0.4 + reach), abs=1e-3)


def test_interval_of_seeds_alone_is_students() -> None:
    values = np.array([0.30, 0.36, 0.33])
    found = interval(Sample(values, np.full(1000, 0.33), 500))
    low, high = student.interval(0.95, 2, values.mean(), values.std(ddof=1) / np.sqrt(3))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3)


def test_interval_is_repeatable_and_keeps_to_fractions() -> None:
    low, high = made(0.01, 0.02, seeds=3), made(0.99, 0.02, seeds=3)
    found = interval(low), interval(high)
    assert found == (interval(low), interval(high))
    assert found[0] is not None and found[0].low == 0
    assert found[1] is not None and found[1].high == 1
    narrow, wide = interval(made(0.5), 0.5), interval(made(0.5), 0.99)
    assert narrow is not None and wide is not None
    assert wide.low < narrow.low < narrow.high < wide.high


def test_interval_where_every_image_is_alike_is_the_value() -> None:
    found = interval(Sample(np.array([0.1]), np.full(1000, 0.1), 24))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.1, 0.1), abs=1e-15)
    assert 0.1 in found


UNKNOWN = [
    Sample(np.array([0.5]), None, 24),
    Sample(np.array([0.5]), np.full(1000, 0.5), 1),
    Sample(np.array([0.5]), np.full(1000, np.nan), 24),
]


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_what_says_nothing_of_its_uncertainty_has_no_interval(unknown: Sample) -> None:
    assert interval(unknown) is None
    assert difference(unknown, made(0.4)) is None
    assert ranks([made(0.4), unknown, None]) == [Rank(1, 1), None, None]


def test_resamples_without_an_object_are_left_out() -> None:
    whole = made(0.4)
    assert whole.draws is not None
    gaps = np.insert(whole.draws, [3, 70, 500], np.nan)
    assert interval(Sample(whole.values, gaps, whole.images)) == interval(whole)


# Differences.


def test_identical_models_tie() -> None:
    matches = simulated(50, 0, 1)
    same = sample(matches), sample(matches)
    assert difference(*same) == Difference(0.0, 0.0, 0.0, 1.0)
    assert ranks(same) == [Rank(1, 2), Rank(1, 2)]


def test_better_model_is_separated() -> None:
    matches = simulated(100, 0, 1, skill=1.0)
    better, worse = sample(matches), sample(without_some_hits(matches, 0.2))
    found = difference(better, worse)
    assert found is not None
    assert found.value == better.value - worse.value > 0
    assert 0 < found.low < found.value < found.high
    assert found.p < 1e-4
    assert ranks([worse, better]) == [Rank(2, 2), Rank(1, 1)]
    back = difference(worse, better)
    assert back == Difference(-found.value, -found.high, -found.low, found.p)


def test_equal_models_are_rarely_told_apart(one_seed: list[tuple[Sample, Sample]]) -> None:
    found = [difference(a, b) for a, b in one_seed]
    p = np.array([each.p for each in found if each is not None])
    assert len(p) == 200
    # 5 % of 200, less or more 2.6 standard errors; p spreads evenly over 0..1.
    assert 0.014 <= np.mean(p < 0.05) <= 0.086
    assert 0.42 <= np.mean(p < 0.5) <= 0.58


def test_difference_of_seeds_alone_is_welchs() -> None:
    """With no spread over the images nothing is left but Welch's test of the seeds' values."""
    a, b = np.array([0.31, 0.36, 0.33, 0.35]), np.array([0.30, 0.28])
    still = np.full(1000, 0.3)
    found = difference(Sample(a, still, 500), Sample(b, still, 500))
    expected = ttest_ind(a, b, equal_var=False)
    low, high = expected.confidence_interval(0.95)
    assert found is not None
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


def test_difference_that_every_image_shows_is_certain() -> None:
    a, b = (Sample(np.array([v]), np.full(1000, v), 24) for v in (0.75, 0.5))
    assert difference(a, b) == Difference(0.25, 0.25, 0.25, 0.0)
    assert ranks([a, b]) == [Rank(1, 1), Rank(2, 2)]


def test_only_the_same_images_are_paired() -> None:
    a = made(0.4)
    fewer = replace(a, images=400)
    assert a.draws is not None
    other = replace(a, draws=a.draws[:900])
    for wrong in (fewer, other):
        with pytest.raises(ValueError, match="same resampled images"):
            difference(a, wrong)
        with pytest.raises(ValueError, match="500 images and 1000 draws"):
            ranks([a, wrong])


def evaluated() -> tuple[dict[str, Any], list[Detections]]:
    """300 images with two objects each; either model finds them with its own chance."""
    random = np.random.default_rng(0)
    corners = random.uniform(0, 200, (600, 2)) + [[0, 0], [300, 0]] * 300
    image, category = np.repeat(np.arange(1, 301), 2), random.integers(1, 4, 600)
    things = [
        {"id": n + 1, "image_id": int(image[n]), "category_id": int(category[n])}
        | {"bbox": [*map(float, corners[n]), 50.0, 50.0], "area": 2500.0, "iscrowd": 0}
        for n in range(600)
    ]
    shape = {"width": 640, "height": 480}
    images = [{"id": n, "file_name": f"{n}.jpg", **shape} for n in range(1, 301)]
    categories = [{"id": n, "name": f"class {n}"} for n in (1, 2, 3)]
    found = [_found(image, category, corners, chance) for chance in (0.6, 0.65)]
    return {"images": images, "annotations": things, "categories": categories}, found


def _found(
    image: NDArray[np.int64],
    category: NDArray[np.int64],
    corners: NDArray[np.float64],
    chance: float,
) -> Detections:
    random = np.random.default_rng(round(100 * chance))
    hit = random.random(600) < chance
    moved = corners + np.where(hit, 0, 45)[:, None]
    sides = np.full((600, 2), 50.0)
    return Detections(image, np.hstack([moved, sides]), random.normal(hit, 0.7), category)


def test_resamples_are_held_against_hotcocos() -> None:
    """hotcoco counts an image once that was drawn twice: of 1,000 draws it sees some 632.

    So its interval is narrower than the bootstrap's, by the square root of that share.
    """
    annotations, found = evaluated()
    truth = GroundTruth(annotations)
    ids, names = [*truth.files], [*truth.category_ids]
    one, other = (truth.matching(each, ids, names) for each in found)
    theirs = hotcoco.compare(one, other, n_bootstrap=1000, seed=1)
    spread = theirs["ci"]["AP50"]
    first, second = (match(truth, each, ids, names) for each in found)
    ours = difference(sample(second, resamples=1000), sample(first, resamples=1000))
    assert ours is not None
    assert ours.value == pytest.approx(theirs["deltas"]["AP50"], abs=1e-12)
    width = spread["upper"] - spread["lower"]
    assert width / (ours.high - ours.low) == pytest.approx(np.sqrt(1 - 1 / np.e), rel=0.1)
    once = np.minimum(image_weights(len(ids), 1000, seed=0), 1)
    draws = [class_precision(each, once).mean(axis=1) for each in (second, first)]
    low, high = np.quantile(draws[0] - draws[1], [0.025, 0.975])
    assert (low, high) == pytest.approx((spread["lower"], spread["upper"]), abs=0.1 * width)


def test_overlapping_intervals_do_not_make_a_tie() -> None:
    """What both models find hard is no doubt about which is better."""
    matches = simulated(100, 0, 1, skill=1.0)
    samples = sample(matches), sample(without_some_hits(matches, 0.05))
    better, worse = (interval(each) for each in samples)
    assert better is not None and worse is not None
    assert better.low < worse.high
    assert ranks(samples) == [Rank(1, 1), Rank(2, 2)]


# Ranks.


def test_rank_is_read_as_one_number_or_two() -> None:
    assert [Rank(2, 2).text, Rank(1, 3).text] == ["2", "1–3"]


def test_rows_that_are_not_separated_share_a_rank() -> None:
    """Two rows far above two others; between, one that only the last row is told from."""
    values = (0.50, 0.502, 0.40, 0.30, 0.302)
    samples = [made(value, 0.005, seed) for seed, value in enumerate(values)]
    assert [str(rank.text) for rank in ranks(samples) if rank] == ["1–2", "1–2", "3", "4–5", "4–5"]
    chain = [made(value, 0.01, seed) for seed, value in enumerate((0.5, 0.47, 0.44))]
    assert [rank.text for rank in ranks(chain) if rank] == ["1–2", "1–3", "2–3"]


def test_ranks_are_holms_on_the_differences_of_all_pairs() -> None:
    random = np.random.default_rng(2)
    samples = [made(0.4 + 0.02 * random.normal(), 0.008, n, seeds=n % 3 + 1) for n in range(9)]
    pairs = list(combinations(range(9), 2))
    found = [difference(samples[i], samples[j]) for i, j in pairs]
    p = np.array([each.p for each in found if each is not None])
    separated = adjusted(p) <= 0.05
    assert 0 < separated.sum() < (p < 0.05).sum() < len(pairs)  # the correction tells
    first, last = np.ones(9, int), np.full(9, 9)
    for (i, j), told in zip(pairs, separated, strict=True):
        if told:
            better, worse = (i, j) if samples[i].value > samples[j].value else (j, i)
            first[worse] += 1
            last[better] -= 1
    assert ranks(samples) == [
        Rank(*ends) for ends in zip(first.tolist(), last.tolist(), strict=True)
    ]


@pytest.mark.slow
def test_equal_rows_are_rarely_ranked_apart() -> None:
    """Of tables with four equal models at most 5 % may rank any above another."""
    apart = 0
    for n in range(60):
        table = [sample(simulated(60, n, model)) for model in range(4)]
        apart += any(rank != Rank(1, 4) for rank in ranks(table))
    assert apart <= 9  # 4 expected at most; over 9 has a chance of 1 %


def test_rows_of_no_sample_are_not_counted() -> None:
    assert ranks([]) == []
    assert ranks([None, None]) == [None, None]
    assert ranks([None, made(0.4)]) == [None, Rank(1, 1)]


def test_holm_is_the_step_down_test() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.9])
    assert adjusted(p) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.9])
    assert adjusted(np.array([0.6, 0.7])) == pytest.approx([1, 1])
    assert adjusted(np.array([])).shape == (0,)


def test_a_difference_lies_within_what_fractions_can_differ_by() -> None:
    draws = np.tile([0.0, 1.0], 500)
    a, b = (Sample(np.array([0.5]), drawn, 2) for drawn in (draws, 1 - draws))
    found = difference(a, b)
    assert found is not None
    assert (found.low, found.value, found.high) == (-1.0, 0.0, 1.0)
