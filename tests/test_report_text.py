"""The table's columns and how its values are worded."""

from __future__ import annotations

import pytest
from boards import make_row

from benchmark.leaderboard.columns import columns_of, main_columns
from benchmark.leaderboard.values import best
from benchmark.writing.markdown import escape
from benchmark.writing.words import duration

COLUMNS = columns_of([make_row()])
SHOWN = main_columns(COLUMNS)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("mstrain_3x + R-50", "mstrain_3x + R-50"),
        ("a|b", r"a\|b"),
        ("a\nb\r\n c", "a b c"),
        ("<img src=x>", "&lt;img src=x>"),
        ("A & B &lt;", "A &amp; B &amp;lt;"),
        ("*x* `y` ~z~ _w_ [l](u)", r"\*x\* \`y\` \~z\~ \_w\_ \[l\](u)"),
        ("back\\|slash", r"back\\\|slash"),
        ("\x1b[31mred\x00", r"\[31mred"),
        ("반려 쓰레기", "반려 쓰레기"),
    ],
)
def test_escaping(text: str, safe: str) -> None:
    assert escape(text) == safe


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (725.4, "12 min 05 s"),
        (3599.6, "1 h 00 min"),
        (11_220.25, "3 h 07 min"),
        (360_000.0, "100 h 00 min"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("difference", "words"), [(0.208, "+0.2080"), (-0.4527, "-0.4527"), (-1e-5, "+0.0000")]
)
def test_difference_is_signed_and_never_minus_zero(difference: float, words: str) -> None:
    (column,) = [column for column in COLUMNS if column.key == "difference"]
    assert column.cell(difference) == words


def test_best() -> None:
    assert best([{"map50": None}, {"map50": 0.2}]) == set()
    assert best([{"map50": 0.1}, {"map50": None}, {"map50": 0.2}, {"map50": 0.2}]) == {2, 3}
    assert best([{"params": 5}, {"params": 4}], "params") == {1}
    with pytest.raises(ValueError, match="'status'"):
        best([{"status": "complete"}], "status")


def test_columns_are_declared_in_the_order_of_the_leaderboard() -> None:
    assert [column.title for column in SHOWN] == [
        *("Rank", "Model", "Backbone", "Neck", "Head", "Learning Method", "Leaderboard mAP50"),
        *("Measured mAP50", "95 % interval", "Difference", "Published inside"),
        *("Parameters (M)", "Training time", "State"),
    ]
    assert len({column.key for column in COLUMNS}) == len(COLUMNS)
