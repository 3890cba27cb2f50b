"""What the rows of a table came to on the test split: found in the run folders, and judged as on val."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.leaderboard.results import RowResult
from benchmark.leaderboard.values_on_test import OnTest, TestSplit
from benchmark.run.folder import RunFolder
from benchmark.run.runs import Runs
from benchmark.run.tested import Tested
from benchmark.run.to_test import WEIGHTS, lost_weights
from benchmark.statistics.draws import read_draws
from benchmark.statistics.intervals import Sample, interval, usable
from benchmark.statistics.ranks import ranks

if TYPE_CHECKING:
    from benchmark.experiment.published import Judge

_YET = "not evaluated on the test split yet"
_OTHER = "evaluated on a test split of before; the next sweep evaluates it again"
_BOOTSTRAP = "a run folder has no bootstrap-test.npy"


def with_tests(
    rows: Sequence[RowResult], runs: Runs, judge: Judge
) -> tuple[tuple[RowResult, ...], TestSplit | None]:
    """Gives every row with a complete run what its runs came to on the test split.

    The split is the one that the latest evaluation was on: neither the data nor the experiment need be there to tell.

    Args:
        rows: The rows of a table.
        runs: The runs of the results folder.
        judge: By which split the table ranks its rows.

    Returns:
        The rows, and the split; as they are, and None, where no run was evaluated on one and none need be.
    """
    found = {record.run_id: runs.tested(record.run_id) for result in rows for record in result.done}
    split = _latest(found.values())
    if split is None and judge == "val":
        return tuple(rows), None
    told = (replace(result, test=_of_row(result, found, split, runs)) for result in rows)
    return tuple(told), split


def _latest(tested: Iterable[Tested | None]) -> TestSplit | None:
    known = [one for one in tested if one is not None and one.labelled and not one.problem]
    if not known:
        return None
    latest = max(known, key=lambda one: (one.finished_at, one.run_id))
    return TestSplit(latest.sha256, latest.images.count)


def _of_row(
    result: RowResult, found: Mapping[str, Tested | None], split: TestSplit | None, runs: Runs
) -> OnTest:
    """Only where all of its complete runs have a value: a mean over some of them is another number."""
    own = {record.run_id: found[record.run_id] for record in result.complete}
    reasons = (_why_not(tested, split, runs.folder(name)) for name, tested in own.items())
    why = next(filter(None, reasons), "")
    known = {name: tested for name, tested in own.items() if tested is not None}
    return OnTest({} if why else known, why)


def _why_not(tested: Tested | None, split: TestSplit | None, folder: RunFolder) -> str:
    """Why a run has no value on the split; empty if it has."""
    if tested is not None and tested.problem:
        return f"not evaluated on the test split: {tested.problem}"
    if tested is None or not tested.labelled:
        lost = lost_weights(folder)
        return f"not evaluated on the test split: no {WEIGHTS}" if lost else _YET
    return "" if split is not None and tested.sha256 == split.sha256 else _OTHER


def judged_on_test(rows: Sequence[RowResult], results: Path, judge: Judge) -> tuple[RowResult, ...]:
    """Gives the rows their intervals on the test split, and where that is what ranks them their ranks.

    Args:
        rows: As `with_tests` gives them; their intervals and ranks by the validation split are known.
        results: The results folder, whose run folders hold the bootstrap draws.
        judge: By which split they are ranked.
    """
    judged = [_with_interval(result, results / "runs") for result in rows]
    if judge == "val":
        return tuple(result for result, _ in judged)
    samples = [sample for _, sample in judged]
    places = ranks(samples)
    return tuple(
        replace(result, rank=place, unranked=_unranked(result))
        for (result, _), place in zip(judged, places, strict=True)
    )


def _unranked(result: RowResult) -> str:
    return (result.test.why or result.test.unpaired) if result.test else ""


def _with_interval(result: RowResult, runs: Path) -> tuple[RowResult, Sample | None]:
    if result.test is None or not result.test.found:
        return result, None
    tested = result.test.found
    if why := next(filter(None, map(_lacks, tested.values())), ""):
        return _unpaired(result, why), None
    values = [one.score("mAP50") for one in tested.values()]
    draws = [read_draws(RunFolder(runs / name).test_bootstrap_file) for name in tested]
    whole = [drawn for drawn in draws if drawn is not None]
    if None in values or len(whole) < len(draws):
        return _unpaired(result, "no object to find" if None in values else _BOOTSTRAP), None
    count = next(iter(tested.values())).images.count
    sample = Sample(np.array(values, np.float64), np.mean(whole, axis=0), count)
    if not usable(sample):
        return _unpaired(result, "the test split is too small for an interval"), None
    return replace(result, test=replace(result.test, interval=interval(sample))), sample


def _lacks(tested: Tested) -> str:
    return (tested.missing or {}).get("bootstrap", "")


def _unpaired(result: RowResult, why: str) -> RowResult:
    assert result.test is not None
    return replace(result, test=replace(result.test, unpaired=why))
