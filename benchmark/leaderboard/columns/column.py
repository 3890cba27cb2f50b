"""What a column of the leaderboard is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.job.measure import Axis
from benchmark.leaderboard.results import COMPARABLE_PROFILE, RowResult
from benchmark.writing.words import DASH

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
        compares: Whether it compares with published values, so that only a table that does fills it.
        axis: How the page draws mAP50 against it, None where it does not.
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
    axis: Axis | None = None

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.dtype != "object"

    @property
    def right(self) -> bool:
        """Whether its cells stand to the right, as numbers and what belongs to them do."""
        return self.numeric or self.key in ("rank", "interval", "test_interval")

    def heading(self, profile: str) -> str:
        """The title; a measured value of another profile than the full one names that profile."""
        if self.measured and profile != COMPARABLE_PROFILE:
            return f"{self.title.removeprefix('Measured ')} ({profile})"
        return self.title

    def cell(self, value: Any) -> str:
        """A value, or its absence, for readers."""
        return DASH if value is None else self.text(value)
