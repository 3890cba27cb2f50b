"""The columns of a row itself: its name, its rank, how it did, and the state of its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from benchmark.experiment.experiment import Row
from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.results import RowResult
from benchmark.writing.words import between, fraction, signed


def _trace(
    key: str, title: str, read: Callable[[RowResult], Any], about: str, **more: Any
) -> Column:
    return Column(key, title, read, about, group="trace", shown=False, **more)


def _hidden(part: Literal["public", "private"], of: str) -> Column:
    return Column(
        f"leaderboard_{part}",
        f"{part.capitalize()} leaderboard",
        lambda r: getattr(r.row.leaderboard, part, None),
        f"What a leaderboard gave the row's submission, by its own measure, on {of}.",
        dtype="float64",
        text=str,  # as many digits as it gave
        unit="fraction",
        better="higher",
    )


NAME_COLUMN = Column(
    "row", "Row", lambda r: r.row.name, "Name of the row in the experiment.", shown=False
)

DIFFERS_COLUMN = Column(
    "differs",
    "Differs in",
    lambda r: r.differs or None,
    "What the row sets, or is made of, that not all rows of its labels do.",
    stored=False,
)

RANK_COLUMNS = (
    Column(
        "rank",
        "Rank",
        lambda r: r.rank.text if r.rank else None,
        "Place by mAP50; a range where the rows' difference is not separated.",
        missing="rank",
        stored=False,
    ),
    _trace(
        "rank_first",
        "First rank",
        lambda r: r.rank.first if r.rank else None,
        "One more than the rows that are separated as better.",
        dtype="Int64",
        better="lower",
        missing="rank",
    ),
    _trace(
        "rank_last",
        "Last rank",
        lambda r: r.rank.last if r.rank else None,
        "The number of ranked rows less those that are separated as worse.",
        dtype="Int64",
        better="lower",
        missing="rank",
    ),
)

RESULT_COLUMNS = (
    Column(
        "leaderboard_map50",
        "Leaderboard mAP50",
        lambda r: r.row.published.value if r.row.published else None,
        "The published value.",
        dtype="float64",
        text=str,  # as many digits as were published
        unit="fraction",
        better="higher",
    ),
    Column(
        "published_split",
        "Published on",
        lambda r: r.row.published.split if r.row.published else None,
        "The split that the published value was measured on.",
    ),
    Column(
        "map50",
        "Measured mAP50",
        lambda r: r.map50,
        "Mean over the complete seeds.",
        dtype="float64",
        text=fraction,
        unit="fraction",
        better="higher",
        measured=True,
    ),
    Column(
        "interval",
        "95 % interval",
        lambda r: between(r.interval.low, r.interval.high) if r.interval else None,
        "95 % interval of mAP50, from both columns below.",
        stored=False,
        missing="bootstrap",
    ),
    _trace(
        "map50_low",
        "Interval from",
        lambda r: r.interval.low if r.interval else None,
        "Lower end of the 95 % interval of mAP50, over images and, where several are complete, seeds.",
        dtype="float64",
        text=fraction,
        unit="fraction",
        missing="bootstrap",
    ),
    _trace(
        "map50_high",
        "Interval to",
        lambda r: r.interval.high if r.interval else None,
        "Upper end of that interval.",
        dtype="float64",
        text=fraction,
        unit="fraction",
        missing="bootstrap",
    ),
    Column(
        "difference",
        "Difference",
        lambda r: r.difference,
        "Measured less published mAP50; under the full profile and on the published data only.",
        dtype="float64",
        text=signed,
        unit="fraction",
        better="higher",
        compares=True,
    ),
    Column(
        "published_inside",
        "Published inside",
        lambda r: r.published_inside,
        "Whether the published value lies inside the interval; where there is a difference only.",
        compares=True,
        missing="bootstrap",
    ),
    _hidden("public", "the part of its hidden images that it scores at once"),
    _hidden("private", "the part of its hidden images that it scores in the end"),
    _trace(
        "published_source",
        "Published in",
        lambda r: r.row.published.source if r.row.published else None,
        "Where the published value stands.",
    ),
)

# What an experiment says that others say of its rows; but for the first only where a row has one.
SAID_KEYS = (
    "leaderboard_map50",
    "published_split",
    "published_source",
    "leaderboard_public",
    "leaderboard_private",
)


def said_columns(rows: Iterable[Row]) -> set[str]:
    """Keys of the columns of what others say that some row has; the split only where one is not the usual."""
    rows = list(rows)
    published = [row.published for row in rows if row.published]
    scores = [row.leaderboard for row in rows if row.leaderboard]
    has = {
        "published_split": any(each.split != "val" for each in published),
        "published_source": any(each.source for each in published),
        "leaderboard_public": any(each.public is not None for each in scores),
        "leaderboard_private": any(each.private is not None for each in scores),
    }
    return {key for key, some in has.items() if some}


_SELECTED = {"last": "last", "best": "best, chosen on the images reported on"}

RANK_ON_TEST = (
    "Place by mAP50 on the test split; a range where the rows' difference is not separated."
)

# What those columns are whose values are otherwise computed where the data is divided.
ABOUT_OF_FOLDS = {
    "map50": "Mean over the folds, within each over its complete seeds.",
    "map50_low": "Lower end of the 95 % interval of mAP50, by the corrected resampled t over the folds.",
    "seeds_complete": "Number of seeds of which every fold is complete.",
}

VALIDATION_COLUMNS = (
    Column(
        "best_map50",
        "mAP50, best validation",
        lambda r: r.best_map50,
        "Of each run's validations the best mAP50; mean over the complete seeds. The highest of several is too high.",
        dtype="float64",
        text=fraction,
        unit="fraction",
        better="higher",
        group="quality",
        missing="train_seconds",  # which says why nothing was trained
    ),
    _trace(
        "validation",
        "Validation",
        lambda r: " / ".join(sorted({_SELECTED[v.select] for v in r.validations})) or None,
        "Whose numbers are shown: each run's last validation, or its best, chosen on the images reported on.",
    ),
)

STATE_COLUMNS = (
    Column("status", "State", lambda r: r.status, "The state in words.", stored=False),
    _trace("state", "State", lambda r: r.state.value, "``complete`` as soon as one seed is."),
    _trace(
        "failure",
        "Failure",
        lambda r: " ".join(r.failure_kinds) or None,
        "Kinds of the failures: oom, diverged, data, error.",
    ),
    _trace(
        "no_predictions",
        "No predictions",
        lambda r: r.no_predictions if r.complete else None,
        "Complete runs that predicted nothing at all.",
        dtype="Int64",
        unit="runs",
    ),
    _trace(
        "seeds_complete",
        "Seeds complete",
        lambda r: r.seeds_complete,
        "Number of complete runs.",
        dtype="Int64",
        unit="runs",
    ),
    _trace(
        "seeds",
        "Seeds",
        lambda r: " ".join(map(str, dict.fromkeys(r.seeds))),
        "The seeds that were ever started or asked for.",
    ),
    _trace(
        "run_ids",
        "Runs",
        lambda r: " ".join(record.run_id for record in r.recorded) or None,
        "Ids of the runs that have a record: folders under ``runs/``.",
    ),
)
