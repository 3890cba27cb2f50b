"""The columns of the test split, in tables that have one; their keys begin with ``test_``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from benchmark.job.measure import MEASUREMENTS, AnyReading
from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.results import RowResult
from benchmark.statistics.scores import MAIN, SCORES, Score
from benchmark.writing.words import between, fraction

if TYPE_CHECKING:
    from benchmark.statistics.intervals import Interval

_T = TypeVar("_T", float, str)

TEST_MAP50 = "test_map50"
TEST_BOUNDS = ("test_map50_low", "test_map50_high")


def _of_interval(read: Callable[[Interval], _T]) -> Callable[[RowResult], _T | None]:
    """Reads something of a row's interval on the test split, None where there is none."""
    return lambda row: read(row.test.interval) if row.test and row.test.interval else None


def _bound(key: str, title: str, read: Callable[[Interval], float], about: str) -> Column:
    return Column(
        key,
        title,
        _of_interval(read),
        about,
        dtype="float64",
        text=fraction,
        unit="fraction",
        group="trace",
        shown=False,
        missing="test_bootstrap",
    )


MAIN_TEST_COLUMNS = (
    Column(
        TEST_MAP50,
        "Test mAP50",
        lambda r: r.test_mean(MAIN),
        "mAP50 on the test split, by which nothing was chosen: mean over the complete runs.",
        dtype="float64",
        text=fraction,
        unit="fraction",
        better="higher",
        measured=True,
        missing="test",
    ),
    Column(
        "test_interval",
        "95 % interval, test",
        _of_interval(lambda interval: between(interval.low, interval.high)),
        "95 % interval of mAP50 on the test split, from both columns below.",
        stored=False,
        missing="test_bootstrap",
    ),
    _bound(
        TEST_BOUNDS[0],
        "Test interval from",
        lambda interval: interval.low,
        "Lower end of the 95 % interval of mAP50 on the test split, over images and, where several are complete, runs.",
    ),
    _bound(
        TEST_BOUNDS[1],
        "Test interval to",
        lambda interval: interval.high,
        "Upper end of that interval.",
    ),
)


def test_score_columns() -> tuple[Column, ...]:
    """A column for each score on the test split but the main one, which stands in the main table."""
    return tuple(_column(score) for key, score in SCORES.items() if key != MAIN)


def _column(score: Score) -> Column:
    return Column(
        f"test_{score.column}",
        f"Test {score.title}",
        lambda result: result.test_mean(score.key),
        f"On the test split: {score.about}",
        dtype="float64",
        text=fraction,
        unit=score.unit,
        better=score.better,
        group="quality",
        missing="test",
    )


def test_error_columns() -> tuple[Column, ...]:
    """A column for what each kind of error costs on the test split."""
    return tuple(_error_column(reading) for reading in MEASUREMENTS["tide"].readings)


def _error_column(reading: AnyReading) -> Column:
    kind = reading.title
    return Column(
        f"test_{reading.key}",
        f"Test {kind}",
        lambda result: result.test_mean_of(lambda tested: (tested.tide or {}).get(kind)),
        f"On the test split. {reading.about}",
        dtype="float64",
        text=fraction,
        unit=reading.unit,
        better=reading.better,
        group="errors",
        missing="test_tide",
    )


def test_keys() -> frozenset[str]:
    """Keys of all columns of the test split."""
    found = (*MAIN_TEST_COLUMNS, *test_score_columns(), *test_error_columns())
    return frozenset(column.key for column in found)
