"""What a report is made of: its tables, and what stands beside each."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.leaderboard.document import Leaderboard, leaderboard_of
from benchmark.leaderboard.judge import judged
from benchmark.leaderboard.on_test import judged_on_test
from benchmark.leaderboard.published import held
from benchmark.leaderboard.results import RowResult, Table
from benchmark.run.folder import RunFolder
from benchmark.run.runs import Runs


@dataclass(frozen=True)
class Unjudged:
    """A table whose intervals and ranks are not computed yet: all that a leaderboard is made from.

    Attributes:
        table: The table.
        results: The results folder, whose run folders hold the bootstrap draws.
        compared: Whether its values are held against published ones.
        untested: Why nothing measured is of the test split that published values are of, see
            `benchmark.leaderboard.published.untested`.
    """

    table: Table
    results: Path
    compared: bool
    untested: str

    def leaderboard(self) -> Leaderboard:
        """Computes intervals and ranks, and makes the document."""
        rows, images = judged(self.table.rows, self.results)
        rows = judged_on_test(rows, self.results, self.table.judge)
        if self.compared:
            rows = held(rows, self.untested)
        return leaderboard_of(replace(self.table, rows=rows), images)

    def draws(self) -> Iterator[Path]:
        """The files that the leaderboard is made from beside the values here, whether they are there or not."""
        for result in self.table.rows:
            for record in result.complete:
                folder = RunFolder(self.results / "runs" / record.run_id)
                yield folder.bootstrap_file
                if result.test is not None:
                    yield folder.test_bootstrap_file

    @cached_property
    def identity(self) -> str:
        """Hex SHA-256 of all values here, whatever of them the leaderboard shows.

        Of other values it is another. Of equal ones it may be, too: pickle writes one object in two places otherwise
        than two that are equal.
        """
        rows = [_values(result) for result in self.table.rows]
        values = [_fields(replace(self.table, rows=())), rows, self.compared, self.untested]
        return hashlib.sha256(pickle.dumps(values, protocol=5)).hexdigest()


def _values(result: RowResult) -> list[object]:
    """A row as plain values: two models that are alike may be written as different bytes."""
    row = result.row
    kinds = [type(row).__qualname__, type(row.recipe).__qualname__]
    said = [row.model_dump(), row.cells, dict(row.recipe.names)]
    return [kinds, said, _fields(result, "row")]


def _fields(value: Any, but: str = "") -> list[object]:
    return [getattr(value, field.name) for field in fields(value) if field.name != but]


@dataclass(frozen=True)
class Report:
    """A leaderboard, and what stands beside it.

    Attributes:
        board: What the names of its files begin with.
        make: Makes the leaderboard that is shown.
        runs: The runs of the results folder.
        configs: The composed config of each row, by name; None where the run folders are not there, so that the page
            and the plots cannot be made.
        stale: A sentence for every number that does not belong to its row as the row is now.
        skipped: A sentence for every run folder that could not be read.
        of: What the leaderboard is made from; None where it was read.
    """

    board: str
    make: Callable[[], Leaderboard]
    runs: Runs
    configs: Mapping[str, Mapping[str, Any]] | None
    stale: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    of: Unjudged | None = None

    @cached_property
    def leaderboard(self) -> Leaderboard:
        """What is shown; made when it is asked for first."""
        return self.make()


@dataclass(frozen=True)
class Reports:
    """The boards of an experiment.

    Attributes:
        reports: Those that can be made.
        renamed: Of the boards whose files are not called as they should be: how they are, and how they should be.
        problems: Why others cannot be made.
    """

    reports: tuple[Report, ...]
    renamed: Mapping[str, str]
    problems: tuple[str, ...] = ()
