"""The leaderboard's plots for papers and READMEs, as PNG and SVG: what they show, and the files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from benchmark.files import replacing
from benchmark.leaderboard.curves import RunCurve
from benchmark.leaderboard.document import Leaderboard, Line
from benchmark.leaderboard.panels import (
    Bar,
    Curve,
    Forest,
    Frame,
    Pareto,
    Point,
    Training,
    TrainingOfFolds,
)
from benchmark.leaderboard.pareto import front, priced, separated
from benchmark.writing.drawing import KINDS, digest_in, pictures
from benchmark.writing.words import fraction, short

MOST_ROWS = 40
MOST_CURVES = 12  # a panel each
_NOISE = "No line where neighbours on the front are not separated in mAP50."
NAMES = ("pareto", "pareto-latency", "intervals", "curves")
_VERSION = 1  # of the drawing: raised when the same numbers are drawn in another way
_NO_ROW = "no row is complete"


def plot_file(results: Path, board: str, name: str, kind: str) -> Path:
    """Where a plot lies: ``<results>/<board>-<name>.<kind>``.

    Args:
        results: The results folder.
        board: What the names of the board's files begin with.
        name: One of `NAMES`.
        kind: One of `KINDS`.
    """
    return results / f"{board}-{name}.{kind}"


@dataclass(frozen=True)
class Plot:
    """One plot.

    Attributes:
        board: What the names of the board's files begin with.
        name: Name of the plot, one of `NAMES`.
        words: What it shows.
        missing: Why it cannot be drawn, empty if it can.
        numbers: All that is drawn.
    """

    board: str
    name: str
    words: str
    missing: str
    numbers: Pareto | Forest | Training

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of everything that is drawn and of the version of the drawing code."""
        drawn = json.dumps([_VERSION, self.name, asdict(self.numbers)], sort_keys=True)
        return hashlib.sha256(drawn.encode()).hexdigest()

    def files(self, results: Path, drawn: Mapping[str, bytes] | None = None) -> list[PlotFile]:
        """Its files, a PNG and an SVG.

        Args:
            results: The results folder.
            drawn: What to write into each, by its kind; if it is not given, the plot is drawn when a file is written.
        """
        paths = (plot_file(results, self.board, self.name, kind) for kind in KINDS)
        return [PlotFile(path, self, drawn) for path in paths]

    def is_right(self, results: Path) -> bool:
        """Whether all of its files are."""
        return all(file.is_right() for file in self.files(results))

    @cached_property
    def pictures(self) -> dict[str, bytes]:
        """What its files are to hold, by their kinds."""
        return pictures(self.numbers.draw(), self.digest)


@dataclass(frozen=True)
class PlotFile:
    """A picture: right if it says that it shows the plot's numbers, whichever matplotlib drew it."""

    path: Path
    plot: Plot
    drawn: Mapping[str, bytes] | None = None

    def is_right(self) -> bool:
        """Whether it shows the plot's numbers, or is not there if that cannot be drawn."""
        if self.plot.missing:
            return not self.path.exists()
        return digest_in(self.path) == self.plot.digest

    def difference(self) -> str:
        """That it differs: two pictures have no lines to compare."""
        if not self.path.exists():
            return f"{self.path.name}: is missing"
        if digest_in(self.path) is None:
            return f"{self.path.name}: does not say which numbers it shows"
        return f"{self.path.name}: shows other numbers than the records"

    def write(self) -> None:
        """Writes it, or removes it if it cannot be drawn: it would show numbers that no longer hold."""
        if self.plot.missing:
            self.path.unlink(missing_ok=True)
            return
        kind = self.path.suffix.removeprefix(".")
        picture = (self.drawn or self.plot.pictures)[kind]
        with replacing(self.path) as temporary:
            temporary.write_bytes(picture)


def plots(leaderboard: Leaderboard, curves: Mapping[str, RunCurve]) -> list[Plot]:
    """The plots of a leaderboard; nothing is drawn, and matplotlib not imported, before one is written.

    Args:
        leaderboard: The table.
        curves: The validations of its runs by run id, as `benchmark.leaderboard.curves.curves` gives them.
    """
    pareto, latency, intervals, training = NAMES
    return [
        _pareto(leaderboard, pareto, _Cost("parameters", "params", "parameters (millions)", 1e-6)),
        _pareto(leaderboard, latency, _latency(leaderboard)),
        _intervals(leaderboard, intervals),
        _training(leaderboard, training, curves),
    ]


@dataclass(frozen=True)
class _Cost:
    """What a row costs: its name, its column, the words of its axis, and what the column's unit is multiplied with."""

    name: str
    key: str
    label: str
    scale: float = 1.0
    up_to: str = ""


def _pareto(leaderboard: Leaderboard, name: str, cost: _Cost) -> Plot:
    ranked = _ranked(leaderboard)
    found = priced(ranked, cost.key, leaderboard.judged_key)
    best = front(found)
    names = {row.line.row for row in best}
    joined = {b.line.row for a, b in pairwise(best) if separated(a.line, b.line)}
    points = tuple(
        Point(
            row.line.row,
            short(row.cost * cost.scale),
            *_estimate(leaderboard, row.line),
            front=row.line.row in names,
            joined=row.line.row in joined,
            up_to=_up_to(row.line, cost),
        )
        for row in found
    )
    missing = "" if points else f"no complete row has its {cost.name} measured"
    left_out = len(ranked) - len(points)
    notes = [f"{left_out} of {len(ranked)} rows are left out: {cost.name} not known."] * bool(
        left_out
    )
    notes += [_NOISE] * (len(joined) < len(best) - 1)
    words = f"mAP50 against {cost.name}"
    numbers = Pareto(_frame(leaderboard, words, " ".join(notes)), cost.label, points)
    return Plot(leaderboard.stem, name, words, missing, numbers)


def _up_to(line: Line, cost: _Cost) -> float | None:
    value = line.values.get(cost.up_to)
    return None if value is None else short(float(value) * cost.scale)


def _latency(leaderboard: Leaderboard) -> _Cost:
    measured = [line for line in leaderboard.rows if line.values.get("latency_ms") is not None]
    devices = {line.values.get("device") or "device not known" for line in measured}
    device = next(iter(devices)) if len(devices) == 1 else "several devices, which do not compare"
    label = f"latency (ms an image at batch 1, median to 95th percentile; {device})"
    return _Cost("latency", "latency_ms", label, up_to="latency_p95_ms")


def _intervals(leaderboard: Leaderboard, name: str) -> Plot:
    ranked = _ranked(leaderboard)
    bars = tuple(
        Bar(
            line.row,
            # As the table words it: 0.7286496 at six digits is 0.72865, and that at four 0.7287.
            float(fraction(line.values[leaderboard.judged_key])),
            *_estimate(leaderboard, line)[1:],
            published=_maybe_short(leaderboard.held_against(line)),
            rank=str(line.values.get("rank") or ""),
        )
        for line in ranked[:MOST_ROWS]
    )
    words = "mAP50 with its interval"
    frame = _frame(leaderboard, words, _best_only(len(ranked)))
    numbers = Forest(frame, leaderboard.method.level, bars)
    missing = "" if bars else _NO_ROW
    return Plot(leaderboard.stem, name, words, missing, numbers)


def _training(leaderboard: Leaderboard, name: str, curves: Mapping[str, RunCurve]) -> Plot:
    found = [_curve(line, curves) for line in _ranked(leaderboard)]
    known = [curve for curve in found if curve is not None]
    words = "mAP50 over the training"
    frame = _frame(leaderboard, words, _best_only(len(known), MOST_CURVES))
    training = TrainingOfFolds if leaderboard.dataset.folds else Training
    numbers = training(frame, tuple(known[:MOST_CURVES]))
    missing = "" if known else "no complete run has a curve"
    return Plot(leaderboard.stem, name, words, missing, numbers)


def _curve(line: Line, curves: Mapping[str, RunCurve]) -> Curve | None:
    """The mean of a row's complete seeds; None if they have no epoch in common."""
    complete = [run.run_id or "" for run in line.runs if run.state == "complete"]
    validations = [curves[name]["val"] for name in complete if name in curves]
    seeds = [
        {
            epoch: value
            for epoch, value in zip(val["epoch"], val["mAP50"], strict=True)
            if epoch is not None and value is not None
        }
        for val in validations
    ]
    epochs = sorted(set(seeds[0]).intersection(*seeds[1:])) if seeds else []
    if not epochs:
        return None
    at = [[seed[epoch] for seed in seeds] for epoch in epochs]
    return Curve(
        line.row,
        len(seeds),
        tuple(map(short, epochs)),
        tuple(short(sum(values) / len(values)) for values in at),
        tuple(short(min(values)) for values in at),
        tuple(short(max(values)) for values in at),
    )


def _frame(leaderboard: Leaderboard, words: str, note: str) -> Frame:
    quality = leaderboard.titles[leaderboard.judged_key]
    known = "; ".join(
        filter(None, (leaderboard.caveat, leaderboard.selection, leaderboard.judged_by))
    )
    return Frame(f"{leaderboard.title}: {words}", known, note, quality)


def _best_only(rows: int, most: int = MOST_ROWS) -> str:
    return f"The best {most} of {rows} rows." if rows > most else ""


def _ranked(leaderboard: Leaderboard) -> list[Line]:
    """The rows with mAP50 on the split that judges, best first."""
    key = leaderboard.judged_key
    return [line for line in leaderboard.ranked if line.values[key] is not None]


def _estimate(leaderboard: Leaderboard, line: Line) -> tuple[float, float | None, float | None]:
    low, high = (_fraction(line, key) for key in leaderboard.judged_bounds)
    return short(line.values[leaderboard.judged_key]), low, high


def _fraction(line: Line, key: str) -> float | None:
    return _maybe_short(line.values.get(key))


def _maybe_short(value: float | None) -> float | None:
    return None if value is None else short(value)
