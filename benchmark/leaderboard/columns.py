"""The columns of the table, declared once; every output format shares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.leaderboard.results import RowResult
from benchmark.writing.words import (
    DASH,
    between,
    billions,
    duration,
    fraction,
    hundredths,
    millions,
    signed,
    tenths,
)

Group = Literal["main", "quality", "cost", "errors", "trace"]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: Name in the CSV file, the JSON file and the data frame.
        title: Heading for readers.
        read: Takes the value out of a row's result; None is a dash for readers, empty in the CSV.
        about: What the value is, in a sentence.
        dtype: pandas dtype that holds the value, and its absence, without loss.
        text: Words a value for readers.
        unit: Unit of the value that ``read`` gives; empty where it has none.
        better: Which way is better, None where neither is.
        group: The table that it stands in on the Markdown page.
        shown: Whether readers see it there; ``main`` columns that are shown are the README's table.
        stored: Whether the CSV holds it.
        label: Whether it says what the row is, rather than how it did.
        measured: Whether its heading names the profile unless that is the full one.
        compares: Whether it compares with published values, so that only the full profile fills it.
        missing: Name of the measurement that a dash's reason is kept under; the key if empty.
    """

    key: str
    title: str
    read: Callable[[RowResult], Any]
    about: str
    dtype: Literal["object", "float64", "Int64"] = "object"
    text: Callable[[Any], str] = str
    unit: str = ""
    better: Literal["higher", "lower"] | None = None
    group: Group = "main"
    shown: bool = True
    stored: bool = True
    label: bool = False
    measured: bool = False
    compares: bool = False
    missing: str = ""

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.dtype != "object"

    @property
    def right(self) -> bool:
        """Whether its cells stand to the right, as numbers and what belongs to them do."""
        return self.numeric or self.key in ("rank", "interval")

    def heading(self, profile: str, comparable: bool) -> str:
        """The title; a measured value of another profile than the full one names that profile."""
        if self.measured and not comparable:
            return f"{self.title.removeprefix('Measured ')} ({profile})"
        return self.title

    def cell(self, value: Any) -> str:
        """A value, or its absence, for readers."""
        return DASH if value is None else self.text(value)


def _label(title: str, key: str, part: str | None = None, about: str = "") -> Column:
    def read(result: RowResult) -> str | None:
        fallback = getattr(result.row.parts, part) if part else None
        return result.row.labels.get(title, fallback)

    words = f"The row's label; where it has none, the name of its {part}." if part else about
    return Column(key, title, read, words, label=True)


def _quality(key: str, title: str, metric: str, about: str) -> Column:
    return Column(
        key,
        title,
        lambda r: r.mean(metric),
        about,
        dtype="float64",
        text=fraction,
        unit="fraction",
        better="higher",
        group="quality",
    )


def _error(kind: str, about: str) -> Column:
    return Column(
        f"tide_{kind.lower()}",
        kind,
        lambda r: r.error(kind),
        f"TIDE: how much mAP50 would rise if {about}.",
        dtype="float64",
        text=fraction,
        unit="fraction",
        better="lower",
        group="errors",
        missing="tide",
    )


def _cost(
    key: str, title: str, read: Callable[[RowResult], Any], about: str, **more: Any
) -> Column:
    usual = {"dtype": "float64", "better": "lower", "group": "cost"}
    return Column(key, title, read, about, **{**usual, **more})


def _trace(
    key: str, title: str, read: Callable[[RowResult], Any], about: str, **more: Any
) -> Column:
    return Column(key, title, read, about, group="trace", shown=False, **more)


_RANK = (
    Column(
        "rank",
        "Rank",
        lambda r: r.rank.text if r.rank else None,
        "Place by mAP50; a range where the rows' difference is not separated.",
        missing="bootstrap",
        stored=False,
    ),
    _trace(
        "rank_first",
        "First rank",
        lambda r: r.rank.first if r.rank else None,
        "One more than the rows that are separated as better.",
        dtype="Int64",
        better="lower",
        missing="bootstrap",
    ),
    _trace(
        "rank_last",
        "Last rank",
        lambda r: r.rank.last if r.rank else None,
        "The number of ranked rows less those that are separated as worse.",
        dtype="Int64",
        better="lower",
        missing="bootstrap",
    ),
)

_LABELS = (
    _label("Model", "model", about="The row's label."),
    _label("Backbone", "backbone", "backbone"),
    _label("Neck", "neck", "neck"),
    _label("Head", "head", "head"),
    _label("Learning Method", "learning_method", "schedule"),
)

_RESULT = (
    Column(
        "leaderboard_map50",
        "Leaderboard mAP50",
        lambda r: r.row.published,
        "The published value.",
        dtype="float64",
        text=str,  # as many digits as were published
        unit="fraction",
        better="higher",
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
        "Where mAP50 lies, from both columns below.",
        stored=False,
        missing="bootstrap",
    ),
    _trace(
        "map50_low",
        "Interval from",
        lambda r: r.interval.low if r.interval else None,
        "Lower end of the 95 % interval of mAP50, over images and seeds.",
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
        "Measured less published mAP50; under the full profile only.",
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
        "Whether the published value lies inside the interval; under the full profile only.",
        compares=True,
        missing="bootstrap",
    ),
)

_QUALITY = (
    _quality("map", "mAP", "mAP", "Mean over IoU 0.50, 0.55 .. 0.95."),
    _quality("map75", "mAP75", "mAP75", "At IoU 0.75."),
    _quality("map_s", "mAP small", "mAP_s", "As mAP, objects under 32 x 32 pixels."),
    _quality("map_m", "mAP medium", "mAP_m", "As mAP, objects from 32 x 32 to 96 x 96 pixels."),
    _quality("map_l", "mAP large", "mAP_l", "As mAP, objects over 96 x 96 pixels."),
)

_ERRORS = (
    _error("Cls", "boxes of the wrong class had the right one"),
    _error("Loc", "boxes that lie badly lay well"),
    _error("Both", "boxes of the wrong class that lie badly were gone"),
    _error("Dupe", "second boxes of an object were gone"),
    _error("Bkg", "boxes on the background were gone"),
    _error("Miss", "objects without a box were found"),
)

_COST = (
    _cost(
        "params",
        "Parameters (M)",
        lambda r: r.params,
        "Parameters of the model.",
        text=millions,
        unit="parameters",
        dtype="Int64",
        group="main",
    ),
    _cost(
        "flops",
        "GFLOPs",
        lambda r: r.flops,
        "Multiply-adds of one image at the test size, as mmengine counts them.",
        text=billions,
        unit="multiply-adds",
        dtype="Int64",
    ),
    _cost(
        "latency_ms",
        "Latency (ms)",
        lambda r: r.latency("median"),
        "Median of the predict path at batch 1 on the device; mean over the seeds.",
        text=tenths,
        unit="ms",
    ),
    _cost(
        "latency_p95_ms",
        "Latency, 95th percentile (ms)",
        lambda r: r.latency("p95"),
        "95th percentile of the same; mean over the seeds.",
        text=tenths,
        unit="ms",
        missing="latency_ms",
    ),
    _cost(
        "peak_memory_gib",
        "Peak memory (GiB)",
        lambda r: r.peak_memory_gib,
        "Highest of the seeds: of the GPU where there is one, else of the process.",
        text=hundredths,
        unit="GiB",
    ),
    Column("device", "Device", lambda r: r.device, "What the complete runs ran on.", group="cost"),
    _cost(
        "train_seconds",
        "Training time",
        lambda r: r.train_seconds,
        "Training and validation of one run; mean over the seeds.",
        text=duration,
        unit="s",
        group="main",
    ),
)

_STATE = (
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
        lambda r: len(r.complete),
        "Number of complete runs.",
        dtype="Int64",
        unit="runs",
    ),
    _trace("seeds", "Seeds", lambda r: " ".join(map(str, r.seeds)), "The seeds asked for."),
    _trace(
        "run_ids",
        "Runs",
        lambda r: " ".join(record.run_id for record in r.recorded) or None,
        "Ids of the runs that have a record: folders under ``runs/``.",
    ),
)

_NAME = Column(
    "row", "Row", lambda r: r.row.name, "Name of the row in the experiment.", shown=False
)
COLUMNS = (_NAME, *_RANK, *_LABELS, *_RESULT, *_QUALITY, *_ERRORS, *_COST, *_STATE)
SHOWN = tuple(column for column in COLUMNS if column.shown and column.group == "main")
STORED = tuple(column for column in COLUMNS if column.stored)


def read(result: RowResult, comparable: bool) -> dict[str, Any]:
    """Every value of a row by column key; None where there is none or it would mislead."""
    return {c.key: None if c.compares and not comparable else c.read(result) for c in COLUMNS}


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """A row's values as readers see them, by column key."""
    return {column.key: column.cell(values[column.key]) for column in COLUMNS}
