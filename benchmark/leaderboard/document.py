"""The leaderboard as plain values: what ``results/<board>.json`` holds and every output is written from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from benchmark.leaderboard.agreement import RankAgreement, agreements
from benchmark.leaderboard.alike import differences
from benchmark.leaderboard.columns import (
    columns_of,
    columns_with,
    main_columns,
    stored_columns,
    texts,
    values_of,
)
from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.columns.labels import label_column
from benchmark.leaderboard.columns.on_test import TEST_BOUNDS, TEST_MAP50
from benchmark.leaderboard.columns.result import ABOUT_OF_FOLDS, NAME_COLUMN, RANK_ON_TEST
from benchmark.leaderboard.results import RowResult, Table
from benchmark.leaderboard.row_notes import row_notes
from benchmark.leaderboard.run_of_row import Run, run_of
from benchmark.leaderboard.setting import Data as Data
from benchmark.leaderboard.setting import Method as Method
from benchmark.leaderboard.setting import TestData as TestData
from benchmark.leaderboard.validations import Told, earlier_better, selection_of
from benchmark.leaderboard.values import best, reasons
from benchmark.run.record import State
from benchmark.statistics import CORRECTED_T
from benchmark.writing.words import counted
from benchmark.yaml_file import Strict

VERSION = 1


class Heading(Strict):
    """What a column is; see `benchmark.leaderboard.columns.Column`."""

    key: str
    title: str
    unit: str
    better: Literal["higher", "lower"] | None
    group: str
    label: bool
    numeric: bool
    right: bool
    shown: bool
    about: str


class ClassPrecision(Strict):
    """AP of one class, fractions in 0..1; None where it has no object."""

    mAP50: float | None  # noqa: N815  (the field's own term)
    mAP: float | None  # noqa: N815


class Line(Told):
    """One row.

    Attributes:
        row: Its name in the experiment.
        names: What the row is made of, by kind: ``{"backbone": "resnet50", ...}``.
        values: By column key; None where there is none.
        per_class: By class name, means over the complete runs.
        missing: Why a value is missing, by column key.
        runs: One for each seed, or for each seed and fold.
        stale: Ids of finished runs that were made with another config than the row has now.
        changes: What was changed of the config that the row is made from, so that it fits; empty for rows of parts.
        notes: What is to be known of how boxes that are not trained here came about.
        test_per_class: As ``per_class``, on the test split.
    """

    silent: ClassVar[tuple[str, ...]] = ("changes", "notes", "test_per_class")

    row: str
    names: dict[str, str] = Field(validation_alias=AliasChoices("names", "parts"))
    values: dict[str, Any]
    per_class: dict[str, ClassPrecision]
    missing: dict[str, str]
    runs: tuple[Run, ...]
    stale: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    test_per_class: dict[str, ClassPrecision] = Field(default_factory=dict)

    @property
    def all_complete(self) -> bool:
        """Whether no run is missing."""
        return all(run.state == State.COMPLETE.value for run in self.runs)


class Leaderboard(Told):
    """A leaderboard as it stands.

    Attributes:
        schema_version: Version of this layout.
        experiment: Name of the experiment.
        board: What its files are called, see `benchmark.leaderboard.boards`; empty in files of version 0.1.
        file: The experiment file, relative to the results folder; empty in files of version 0.1.
        title: Heading, without the caveat.
        profile: The profile that every run was made under.
        comparable: Whether the measured values compare with the published ones.
        caveat: Why they do not, empty if they do.
        selection: What the choice of validations does to the numbers; empty if the last ones are shown.
        judge: ``test`` where the rows are ranked by the test split; None where by the validation images.
        dataset: What the runs were made on.
        seeds: Every seed of any row.
        method: How intervals and ranks were computed.
        agreement: How well mAP50 ranks the rows as others did; empty if fewer than five rows have what they said.
        columns: What the keys of ``values`` are.
        rows: The lines, in order.
    """

    silent: ClassVar[tuple[str, ...]] = ("board", "file", "selection", "agreement")
    unsaid: ClassVar[tuple[str, ...]] = ("judge",)

    schema_version: Literal[1] = 1
    experiment: str
    board: str = ""
    file: str = ""
    title: str
    profile: str
    comparable: bool
    caveat: str
    selection: str = ""
    judge: Literal["test"] | None = None
    dataset: Data
    seeds: tuple[int, ...]
    method: Method
    agreement: tuple[RankAgreement, ...] = ()
    columns: tuple[Heading, ...]
    rows: tuple[Line, ...]

    @property
    def stem(self) -> str:
        """What the names of its files begin with, and what the README's markers name."""
        return self.board or self.experiment

    @property
    def heading(self) -> str:
        """The title, with the caveat."""
        return f"{self.title} ({self.caveat})" if self.caveat else self.title

    @property
    def judged_on(self) -> str:
        """The split that ranks the rows."""
        return self.judge or "val"

    @property
    def judged_key(self) -> str:
        """Key of the column that ranks the rows: mAP50 on the split that judges them."""
        return TEST_MAP50 if self.judge else "map50"

    @property
    def judged_bounds(self) -> tuple[str, str]:
        """Keys of the columns of the ends of its interval."""
        return TEST_BOUNDS if self.judge else ("map50_low", "map50_high")

    @property
    def judged_by(self) -> str:
        """By what the rows are ranked, in words; empty where by the validation images, as is usual."""
        if not self.judge:
            return ""
        test = self.dataset.test
        on = f" ({counted(test.images, 'image')})" if test else ""
        return f"ranked by mAP50 on the test split{on}"

    def not_compared(self, line: Line) -> str:
        """Why a row is held against no published value; empty if it is, or has none."""
        if line.values["leaderboard_map50"] is None:
            return ""
        return self.caveat or line.missing.get("difference", "")

    def held_against(self, line: Line) -> float | None:
        """The published value that stands beside a row's mAP50 on the split that judges, a fraction.

        Returns:
            None if there is none, or it is of another split, or held against nothing.
        """
        if self.not_compared(line) or line.values.get("published_split", "val") != self.judged_on:
            return None
        value: float | None = line.values["leaderboard_map50"]
        return value

    @property
    def progress(self) -> str:
        """``7 of 9``: the rows of which every seed is complete, of all."""
        return f"{sum(line.all_complete for line in self.rows)} of {len(self.rows)}"

    @property
    def resampled(self) -> str:
        """What the intervals are over: ``images``, ``images and seeds``, or that rows differ in it; or folds."""
        if self.dataset.folds:
            return f"{self.dataset.folds} folds"
        if len(self.seeds) < 2:
            return "images"
        single = (line.values["seeds_complete"] == 1 for line in self.rows)
        return (
            "images, and over seeds where a row has several" if any(single) else "images and seeds"
        )

    @cached_property
    def declared(self) -> tuple[Column, ...]:
        """The columns as they are declared: how their values are worded."""
        keys = {column.key for column in self.columns}
        named = any(column.key == NAME_COLUMN.key and column.shown for column in self.columns)
        return columns_with(self.labels, keys, named)

    @cached_property
    def labels(self) -> tuple[Column, ...]:
        """The columns of labels: what its rows are."""
        return tuple(label_column(c.title, c.key) for c in self.columns if c.label)

    @cached_property
    def main_columns(self) -> tuple[Column, ...]:
        """The columns of the table for readers: the README's."""
        return main_columns(self.declared)

    @cached_property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns of the CSV file."""
        return stored_columns(self.declared)

    @cached_property
    def texts(self) -> list[dict[str, str]]:
        """The values of every row as readers see them, by column key."""
        return [texts(self.declared, values) for values in self.values]

    @property
    def best(self) -> set[int]:
        """Positions of the rows with the best mAP50 on the split that judges; none where fewer than two differ."""
        return best(self.values, self.judged_key)

    @property
    def titles(self) -> dict[str, str]:
        """The columns' headings by key."""
        return {column.key: column.title for column in self.columns}

    @property
    def values(self) -> list[dict[str, Any]]:
        """The values of every row by column key."""
        return [line.values for line in self.rows]

    @property
    def earlier_better(self) -> list[str]:
        """A sentence for every run that was better at an earlier validation than at the last, which is shown."""
        return earlier_better(self.rows)

    @property
    def ranked(self) -> list[Line]:
        """The rows by mAP50 on the split that judges, best first; last those without, in the table's order."""
        return sorted(self.rows, key=lambda line: -_or(line.values[self.judged_key], -1.0))

    @cached_property
    def plain(self) -> dict[str, Any]:
        """What JSON can hold; not to be changed."""
        return self.model_dump(mode="json")

    def text(self) -> str:
        """The JSON file, a line a row and column: the same records give the same bytes."""
        plain = dict(self.plain)
        lists = {key: plain.pop(key) for key in ("columns", "rows")}
        head = ",\n".join(f"{_json(key)}: {_json(value)}" for key, value in plain.items())
        tails = (f",\n{_json(key)}: [\n{_lines(items)}\n]" for key, items in lists.items())
        return f"{{\n{head}{''.join(tails)}\n}}\n"


def _or(value: float | None, absent: float) -> float:
    return absent if value is None else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _lines(items: list[Any]) -> str:
    return ",\n".join(map(_json, items))


def leaderboard_of(table: Table, val_images: int | None = None) -> Leaderboard:
    """The document of a table.

    Args:
        table: What is shown.
        val_images: Number of images that its runs were evaluated on.
    """
    data = table.dataset
    complete = [record for result in table.rows for record in result.complete]
    told = any(record.validations for record in complete)
    on_test = table.test is not None or table.judge == "test"
    columns = columns_of((result.row for result in table.rows), told, on_test)
    differ = differences(result.row for result in table.rows)
    rows = (replace(result, differs=differ.get(result.row.name, "")) for result in table.rows)
    return Leaderboard(
        experiment=table.name,
        board=table.board,
        file=table.file,
        title=table.title,
        profile=table.profile,
        comparable=not table.caveat,
        caveat=table.caveat,
        selection=selection_of(complete, on_test),
        judge=None if table.judge == "val" else "test",
        dataset=Data(
            name=data.name,
            classes=data.classes,
            train=data.hashes[0],
            val=data.hashes[1],
            val_images=val_images,
            masks=data.masks,
            folds=data.fold.count if data.fold else 0,
            test=TestData(**asdict(table.test)) if table.test else None,
        ),
        seeds=table.seeds,
        method=Method(folds=CORRECTED_T if data.fold else ""),
        agreement=tuple(agreements(table.rows, table.judge, table.elsewhere)),
        columns=_headings(table, columns),
        rows=tuple(_line(result, columns, not table.caveat) for result in rows),
    )


def _headings(table: Table, columns: Sequence[Column]) -> tuple[Heading, ...]:
    otherwise = ABOUT_OF_FOLDS if table.dataset.fold else {}
    otherwise |= {"rank": RANK_ON_TEST} if table.judge == "test" else {}
    return tuple(
        Heading(
            key=column.key,
            title=column.heading(table.profile),
            unit=column.unit,
            better=column.better,
            group=column.group,
            label=column.label,
            numeric=column.numeric,
            right=column.right,
            shown=column.shown,
            about=otherwise.get(column.key, column.about),
        )
        for column in columns
    )


def _line(result: RowResult, columns: Sequence[Column], comparable: bool) -> Line:
    values = values_of(columns, result, comparable)
    ends = zip(result.seeds, result.records, result.states, result.fold_of_each, strict=True)
    return Line(
        row=result.row.name,
        names=dict(result.row.recipe.names),
        values=values,
        per_class={name: ClassPrecision(**found) for name, found in result.per_class.items()},
        missing=reasons(result, columns, values),
        runs=tuple(run_of(*end) for end in ends),
        stale=result.stale,
        changes=result.changes,
        notes=row_notes(result),
        test_per_class={n: ClassPrecision(**one) for n, one in result.test_per_class.items()},
    )
