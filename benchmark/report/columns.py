"""The columns of the table, declared once; every output format shares them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.report.table import RowResult, Table

DASH = "—"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: Name in the CSV file and the data frame.
        title: Heading for readers.
        read: Takes the value out of a row's result; None is a dash for readers, empty in the CSV.
        dtype: pandas dtype that holds the value, and its absence, without loss.
        text: Words a value for readers.
        unit: Unit of the value that ``read`` gives; empty where it has none.
        better: Which way is better, None where neither is.
        shown: Whether readers see it; the CSV holds every column that ``stored`` does not exclude.
        stored: Whether the CSV holds it.
        label: Whether it says what the row is, rather than how it did.
        measured: Whether its heading names the profile unless that is the full one.
        compares: Whether it compares with published values, so that only the full profile fills it.
    """

    key: str
    title: str
    read: Callable[[RowResult], Any]
    dtype: Literal["object", "float64", "Int64"] = "object"
    text: Callable[[Any], str] = str
    unit: str = ""
    better: Literal["higher", "lower"] | None = None
    shown: bool = True
    stored: bool = True
    label: bool = False
    measured: bool = False
    compares: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers, which stand to the right."""
        return self.dtype != "object"

    def heading(self, table: Table) -> str:
        """The title; a measured value of another profile than the full one names that profile."""
        if self.measured and not table.comparable:
            return f"{self.title.removeprefix('Measured ')} ({table.profile})"
        return self.title

    def value(self, table: Table, result: RowResult) -> Any:
        """The value of a row, None where there is none or it would mislead."""
        return None if self.compares and not table.comparable else self.read(result)

    def cell(self, value: Any) -> str:
        """A value, or its absence, for readers."""
        return DASH if value is None else self.text(value)


def duration(seconds: float) -> str:
    """Words a duration: ``41.2 s``, ``12 min 05 s``, ``3 h 07 min``."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    if round(seconds) < 3600:
        return "{} min {:02d} s".format(*divmod(round(seconds), 60))
    return "{} h {:02d} min".format(*divmod(round(seconds / 60), 60))


def _fraction(value: float) -> str:
    return f"{value:.4f}"


def _signed(value: float) -> str:
    return f"{round(value, 4) + 0.0:+.4f}"  # + 0.0: no "-0.0000"


def _millions(value: int) -> str:
    return f"{value / 1e6:.2f}"


def _label(title: str, part: str | None = None) -> Callable[[RowResult], str | None]:
    def read(result: RowResult) -> str | None:
        fallback = getattr(result.row.parts, part) if part else None
        return result.row.labels.get(title, fallback)

    return read


COLUMNS = (
    Column("row", "Row", lambda r: r.row.name, shown=False),
    Column("model", "Model", _label("Model"), label=True),
    Column("backbone", "Backbone", _label("Backbone", "backbone"), label=True),
    Column("neck", "Neck", _label("Neck", "neck"), label=True),
    Column("head", "Head", _label("Head", "head"), label=True),
    Column("learning_method", "Learning Method", _label("Learning Method", "schedule"), label=True),
    Column(
        "leaderboard_map50",
        "Leaderboard mAP50",
        lambda r: r.row.published,
        dtype="float64",
        text=str,  # as many digits as were published
        unit="fraction",
        better="higher",
    ),
    Column(
        "map50",
        "Measured mAP50",
        lambda r: r.map50,
        dtype="float64",
        text=_fraction,
        unit="fraction",
        better="higher",
        measured=True,
    ),
    Column(
        "difference",
        "Difference",
        lambda r: r.difference,
        dtype="float64",
        text=_signed,
        unit="fraction",
        better="higher",
        compares=True,
    ),
    Column(
        "params",
        "Parameters (M)",
        lambda r: r.params,
        dtype="Int64",
        text=_millions,
        unit="parameters",
        better="lower",
    ),
    Column(
        "train_seconds",
        "Training time",
        lambda r: r.train_seconds,
        dtype="float64",
        text=duration,
        unit="s",
        better="lower",
    ),
    Column("status", "State", lambda r: r.status, stored=False),
    Column("state", "State", lambda r: r.state.value, shown=False),
    Column("failure", "Failure", lambda r: " ".join(r.failure_kinds) or None, shown=False),
    Column(
        "no_predictions",
        "No predictions",
        lambda r: r.no_predictions if r.complete else None,
        dtype="Int64",
        unit="runs",
        shown=False,
    ),
    Column(
        "seeds_complete",
        "Seeds complete",
        lambda r: len(r.complete),
        dtype="Int64",
        unit="runs",
        shown=False,
    ),
    Column("seeds", "Seeds", lambda r: " ".join(map(str, r.seeds)), shown=False),
    Column(
        "run_ids",
        "Runs",
        lambda r: " ".join(record.run_id for record in r.recorded) or None,
        shown=False,
    ),
)
SHOWN = tuple(column for column in COLUMNS if column.shown)
STORED = tuple(column for column in COLUMNS if column.stored)


def values(table: Table) -> list[dict[str, Any]]:
    """Every value of the table by column key, a dict a row; None where there is none."""
    return [{c.key: c.value(table, result) for c in COLUMNS} for result in table.rows]


def best(rows: list[dict[str, Any]], key: str = "map50") -> set[int]:
    """Positions of the rows with the best value in a column; none where fewer than two differ.

    Args:
        rows: What `values` gives.
        key: A column with a better way.

    Raises:
        ValueError: If no way is better in this column.
    """
    column = next(c for c in COLUMNS if c.key == key)
    if column.better is None:
        raise ValueError(f"no value of the column '{key}' is better than another")
    known = [row[key] for row in rows if row[key] is not None]
    if len(set(known)) < 2:
        return set()
    top = max(known) if column.better == "higher" else min(known)
    return {position for position, row in enumerate(rows) if row[key] == top}
