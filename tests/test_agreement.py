"""How well local values rank rows as a hidden test set did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import make_board, make_record, make_row, result
from desk import Desk
from scipy.stats import kendalltau
from test_published import board_of, of_root, stored

from benchmark.experiment.published import HiddenScores
from benchmark.leaderboard.agreement import agreement_text
from benchmark.leaderboard.results import RowResult
from benchmark.run.record import State
from benchmark.statistics.agreement import Agreement, agreement, tau_interval

pytestmark = pytest.mark.usefixtures("no_plots")

LOCAL = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def found(second: tuple[float, ...]) -> Agreement:
    made = agreement(LOCAL[: len(second)], second)
    assert made is not None
    return made


def test_correlations_are_those_of_the_books() -> None:
    """By hand: of 15 pairs two are the other way round, and the ranks' differences squared sum to 4."""
    made = found((0.2, 0.1, 0.3, 0.5, 0.4, 0.6))
    assert made.kendall.value == pytest.approx((13 - 2) / 15)
    assert made.spearman.value == pytest.approx(1 - 6 * 4 / (6 * 35))
    assert made.rows == 6


def test_equal_values_count_for_neither_side() -> None:
    """Ranks of ties are averaged, and tau-b leaves tied pairs out on their side."""
    made = found((0.1, 0.1, 0.3, 0.3, 0.5))
    assert made.kendall.value == pytest.approx(8 / np.sqrt(10 * 8))
    ranks = np.corrcoef([1, 2, 3, 4, 5], [1.5, 1.5, 3.5, 3.5, 5])[0, 1]
    assert made.spearman.value == pytest.approx(ranks)


@pytest.mark.parametrize("second", [LOCAL, LOCAL[::-1]])
def test_the_same_order_of_a_few_rows_is_no_certainty(second: tuple[float, ...]) -> None:
    made = found(second)
    for one in (made.kendall, made.spearman):
        inner = min(abs(one.low), abs(one.high))
        assert abs(one.value) == pytest.approx(1) and 0.1 < inner < 0.9
        assert max(abs(one.low), abs(one.high)) == pytest.approx(1)


def test_fewer_than_five_rows_and_scores_that_rank_nothing_have_none() -> None:
    assert agreement(LOCAL[:4], LOCAL[:4]) is None
    assert agreement(LOCAL, [0.5] * 6) is None and agreement([0.5] * 6, LOCAL) is None
    with pytest.raises(ValueError, match="6 and of 5"):
        agreement(LOCAL, LOCAL[:5])


@pytest.mark.parametrize("rows", [5, 9, 30])
@pytest.mark.parametrize("true", [0.0, 0.6, 0.95, 0.99])
def test_intervals_hold_the_true_value_in_95_of_100_cases(rows: int, true: float) -> None:
    """Scores that are correlated by ``true``; of tau, as Spearman's ends follow from those."""
    draws = np.random.default_rng(rows).standard_normal((2, 2000, rows))
    first, second = draws[0], true * draws[0] + np.sqrt(1 - true**2) * draws[1]
    i, j = np.triu_indices(rows, 1)
    signs = np.sign(first[:, i] - first[:, j]) * np.sign(second[:, i] - second[:, j])
    expected = 2 / np.pi * np.arcsin(true)
    ends = np.array([tau_interval(float(tau), rows) for tau in signs.mean(axis=1)])
    held = np.mean((ends[:, 0] <= expected) & (expected <= ends[:, 1]))
    assert 0.94 <= held <= 0.992


NAMES = ("a", "b", "c", "d", "e", "f")


def with_scores(content: dict[str, Any], public: Sequence[float], published: bool = False) -> None:
    """Six rows like the first, with a rate of their own each, and what a leaderboard gave them."""
    first = content["rows"][0]
    first.pop("published")
    content["rows"] = [
        {
            **first,
            "name": name,
            "set": {"optim_wrapper.optimizer.lr": 0.01 * (at + 1)},
            "leaderboard": {"public": score},
        }
        for at, (name, score) in enumerate(zip(NAMES, public, strict=False))
    ]
    if published:
        for at, row in enumerate(content["rows"]):
            row["published"] = {"value": 0.6 - 0.1 * at, "split": "test"}


def measured(desk: Desk) -> None:
    """Rows that are better from one to the next."""
    for at, name in enumerate(NAMES):
        for record in desk.results.glob(f"runs/{name}-*/record.json"):
            content = json.loads(record.read_text())
            content["metrics"]["mAP50"] = 0.3 + 0.05 * at
            record.write_text(json.dumps(content))
    status, output = desk.report()
    assert status == 0, output


def test_one_line_says_how_well_local_values_rank_the_rows(
    tmp_path: Path, synthetic_data: Path
) -> None:
    """In every output, of each score; the rows of the test are ranked alike by one, the other way round by another."""

    def change(content: dict[str, Any]) -> None:
        of_root(synthetic_data)(content)
        with_scores(content, (0.2, 0.1, 0.3, 0.4, 0.5, 0.6), published=True)

    desk = board_of(tmp_path / "desk", synthetic_data, change)
    measured(desk)
    line = (
        "How well measured mAP50 ranks the rows as others did (95 % intervals): public leaderboard, 6 rows: "
        "Spearman 0.94 (0.17 to 1.00), Kendall 0.87 (0.11 to 0.99); values published on test, 6 rows: "
        "Spearman -1.00 (-1.00 to -0.41), Kendall -1.00 (-1.00 to -0.28)"
    )
    assert f"\n{line}.\n" in (desk.results / "tiny.md").read_text()
    assert f"\n{line}.\n" in (desk.folder / "README.md").read_text()
    assert f'class="note">{line}.</p>' in (desk.results / "tiny.html").read_text()
    first, second = stored(desk)["agreement"]
    assert (first["rows"], second["rows"]) == (6, 6)
    assert first["kendall"]["value"] == pytest.approx(13 / 15)
    assert desk.report("--check")[0] == 0


def test_too_few_rows_and_scores_that_are_all_the_same_have_no_line() -> None:
    """Nor has a row whose run is not complete, or that has no score, a part in it."""

    def rows_of(scores: Sequence[float | None]) -> list[RowResult]:
        rows = [
            make_row(f"r{at}", leaderboard=HiddenScores(private=one) if one else None)
            for at, one in enumerate(scores)
        ]
        return [result(row, make_record(row.name, map50=0.1 * at)) for at, row in enumerate(rows)]

    for scores in (LOCAL[:4], (*LOCAL[:4], None, None), [0.5] * 6):
        assert agreement_text(make_board(*rows_of(scores))) == ""
    board = make_board(*rows_of(LOCAL[:5]), result(make_row("more"), State.WAITING))
    assert "private leaderboard, 5 rows: Spearman 1.00" in agreement_text(board)


def test_means_that_their_last_digit_tells_apart_are_equal() -> None:
    several = (76 / 101,) * 3
    rows = [
        result(
            make_row(f"r{at}", leaderboard=HiddenScores(private=0.1 * (at + 1))),
            *(make_record(f"r{at}", seed, one) for seed, one in enumerate(values)),
        )
        for at, values in enumerate((several, several[:1], (0.8,), (0.85,), (0.9,)))
    ]
    assert rows[0].map50 != rows[1].map50
    (found,) = make_board(*rows).agreement
    tied = (0.75, 0.75, 0.8, 0.85, 0.9)
    assert found.kendall.value == pytest.approx(kendalltau(tied, range(5)).statistic)


def test_other_data_than_the_experiments_own_is_named(tmp_path: Path, synthetic_data: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        of_root(Path("/nowhere"))(content)
        with_scores(content, LOCAL)

    desk = board_of(tmp_path / "desk", synthetic_data, change)
    measured(desk)
    told = (desk.results / "tiny.synthetic.md").read_text()
    assert "measured mAP50 on other data than the experiment's own ranks the rows" in told
