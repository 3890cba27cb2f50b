"""The training curves of a leaderboard's runs, small enough for a page and for a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import NotRequired, TypedDict

from benchmark.files import read_lines
from benchmark.leaderboard.document import Leaderboard, Line
from benchmark.leaderboard.run_of_row import Run
from benchmark.run.folder import RunFolder
from benchmark.run.journal import points_of
from benchmark.statistics.scores import SCORES
from benchmark.writing.words import short

MOST_RUNS = 300
MOST_TRAIN_POINTS = 100
_TRAIN = '{"kind": "train"'  # how `benchmark.run.journal.Journal` begins such a line


Columns = dict[str, list[float | None]]


class RunCurve(TypedDict):
    """The curve of a run.

    Attributes:
        row: Name of the row.
        seed: The run's seed.
        fold: The run's fold; not there where the data is not divided.
        val: Every validation: ``epoch``, and the scores that are an axis, fractions, None where there was none.
        train: At most 100 training steps: ``epoch`` and ``loss``.
    """

    row: str
    seed: int
    fold: NotRequired[int]
    val: Columns
    train: Columns


def curves(
    leaderboard: Leaderboard, results: Path, limit: int = MOST_RUNS
) -> tuple[dict[str, RunCurve], int]:
    """Reads the journals of the runs, those of the best rows first.

    Args:
        leaderboard: The table.
        results: The results folder, which the run folders lie in.
        limit: The number of runs whose journal is read at most.

    Returns:
        The curves by run id, at six significant digits, those of runs without a journal left out; and how many runs
        the limit left out.
    """
    started = _started(leaderboard)
    found = {str(run.run_id): _curve(line, run, results) for line, run in started[:limit]}
    shown = {name: curve for name, curve in found.items() if curve is not None}
    return shown, max(0, len(started) - limit)


def curve_files(leaderboard: Leaderboard, results: Path, limit: int = MOST_RUNS) -> list[Path]:
    """The journals that `curves` reads, whether they are there or not."""
    return [_journal(run, results) for _, run in _started(leaderboard)[:limit]]


def _started(leaderboard: Leaderboard) -> list[tuple[Line, Run]]:
    return [(line, run) for line in leaderboard.ranked for run in line.runs if run.folder]


def _journal(run: Run, results: Path) -> Path:
    return RunFolder(results / str(run.folder)).metrics_file


def _curve(line: Line, run: Run, results: Path) -> RunCurve | None:
    points = _points(_journal(run, results))
    val = _by_iteration(point for point in points if point.get("kind") == "val")
    train = _by_iteration(point for point in points if "loss" in point)
    if not val and not train:
        return None
    curve: RunCurve = {
        "row": line.row,
        "seed": run.seed,
        "val": _columns(val, ("epoch", *(key for key, score in SCORES.items() if score.axis))),
        "train": _columns(train, ("epoch", "loss")),
    }
    return curve if run.fold is None else {**curve, "fold": run.fold}


def _points(path: Path) -> list[dict[str, Any]]:
    """The points of a journal, of the training steps at most as many as are shown.

    A long training logs thousands of steps: parsing them all takes several times longer than finding their lines.
    """
    try:
        lines = read_lines(path)
    except OSError:
        return []
    steps = [position for position, line in enumerate(lines) if line.startswith(_TRAIN)]
    left_out = set(steps).difference(_thinned(steps, MOST_TRAIN_POINTS))
    return points_of(line for position, line in enumerate(lines) if position not in left_out)


def _by_iteration(points: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The points in order, of each iteration the one that was written last."""
    last = {point.get("iter") or 0: point for point in points}
    return [last[iteration] for iteration in sorted(last)]


def _thinned(values: Sequence[int], most: int) -> list[int]:
    """At most ``most`` values, evenly spread, with the first and the last."""
    if len(values) <= most:
        return list(values)
    step = (len(values) - 1) / (most - 1)
    return [values[round(position * step)] for position in range(most)]


def _columns(points: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> Columns:
    return {key: [_value(point.get(key)) for point in points] for key in keys}


def _value(value: object) -> float | None:
    """A number as it is shown, None for what is none, and for NaN and infinity, which JSON does not have."""
    return short(value) if isinstance(value, int | float) and math.isfinite(value) else None
