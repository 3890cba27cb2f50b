"""``metrics.jsonl``: every start, logged training step and validation of a run, one JSON object a line."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

from pydantic import AllowInfNan, Field
from pydantic import Strict as Exact
from typing_extensions import NotRequired, TypedDict

from benchmark.errors import few
from benchmark.files import (
    JsonObject,
    append_jsonl,
    json_line,
    lines_of,
    parse_json,
    read_bytes,
    write_text,
)
from benchmark.run.fields import Checked, Flag, Number, Positive
from benchmark.run.record import Metrics
from benchmark.statistics.scores import SCORES

Point = JsonObject
"""A line of the journal, as `points_of` takes it."""

_Iterations = Annotated[int, Exact(), Field(ge=0, lt=2**31)]


class _Line(TypedDict):
    """What every line has; what else it has may be of a later version."""

    kind: str
    iter: _Iterations
    elapsed_s: NotRequired[Annotated[float, Exact(), AllowInfNan(False), Field(ge=0, le=1e9)]]


class _Point(_Line):
    epoch: NotRequired[Positive]


class _Start(_Point):
    max_iters: _Iterations
    time: str


class _Train(_Point):
    loss: NotRequired[Number | None]


class _Validation(_Line):
    epoch: Positive
    no_predictions: NotRequired[Flag]


_POINT, _START, _TRAIN = Checked(_Point), Checked(_Start), Checked(_Train)
_VALIDATION, _METRICS = Checked(_Validation), Checked(Metrics)


def points_of(lines: Iterable[str], bad: dict[int, str] | None = None) -> list[Point]:
    """The points that lines of a journal hold.

    Args:
        lines: The lines.
        bad: Takes the number of each line that holds none, from 1, with the reason.
    """
    points = []
    for number, line in enumerate(lines, 1):
        try:
            points.append(_point(line))
        except ValueError as error:
            if bad is not None:
                bad[number] = str(error)
    return points


def _point(line: str) -> Point:
    # What was not yet written when the power went stands there as null characters.
    text = line.strip("\0")
    if not text:
        raise ValueError("null characters")
    value = parse_json(text.encode())
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == "start":
        _START(value)
    elif kind == "train":
        _TRAIN(value)
    elif kind == "val":
        _check_validation(value)
    else:
        _POINT(value)
    point: Point = value
    return point


def _check_validation(point: Point) -> None:
    _VALIDATION(point)
    scores = {key: point[key] for key in SCORES if key in point}
    _METRICS({"scores": scores, "per_class": point.get("per_class", {})})


def damages(path: Path) -> str:
    """Which lines of a journal count for nothing, in a sentence; empty if all are points.

    A last line without an end is none: a kill has cut it, or it is being written.
    """
    bad: dict[int, str] = {}
    points_of(_whole_lines(path), bad)
    if not bad:
        return ""
    told = few((f"line {number} ({why})" for number, why in bad.items()), 3, len(bad))
    return f"{path}: damaged, and left out: {told}"


def _whole_lines(path: Path) -> list[str]:
    try:
        content = read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return lines_of(content[: content.rfind(b"\n") + 1])


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class Journal:
    """Writes a run's points, and carries its clock over from one attempt to the next.

    Every line has ``kind`` (``start``, ``train``, ``val`` or ``stop``), ``iter`` (training iterations done) and
    ``elapsed_s`` (seconds of training and validation up to there, over all attempts).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._base_s = 0.0
        self._since: float | None = None
        self._listeners: list[Callable[[Point], None]] = []

    def listen(self, listener: Callable[[Point], None]) -> None:
        """Has ``listener`` called with every point that is written from now on."""
        self._listeners.append(listener)

    def start(self, iteration: int, max_iters: int) -> None:
        """Begins an attempt at ``iteration``.

        Points beyond it were trained by an attempt that was killed, and will be trained again: they are dropped,
        so that no iteration stands there twice.
        """
        if told := damages(self.path):
            print(f"{now()} {told}", flush=True)
        kept = [point for point in self.points() if point["iter"] <= iteration]
        if self.path.exists():
            write_text(self.path, "".join(map(json_line, kept)))
        self._base_s = _last_s(kept)
        self._since = time.monotonic()
        self.write({"kind": "start", "iter": iteration, "max_iters": max_iters, "time": now()})

    def write(self, point: Point, elapsed_s: float | None = None) -> None:
        """Appends a point; NaN and infinity become null, which JSON has.

        Args:
            point: All of it but the clock.
            elapsed_s: What the clock said then; None for now.
        """
        finite = {key: _finite(value) for key, value in point.items()}
        clock = self.elapsed_s if elapsed_s is None else elapsed_s
        line = {**finite, "elapsed_s": round(clock, 3)}
        append_jsonl(self.path, line)
        for listener in self._listeners:
            listener(line)

    @property
    def elapsed_s(self) -> float:
        """Seconds of training and validation so far, over all attempts; until one begins here, those of the file."""
        if self._since is None:
            return _last_s(self.points())
        return self._base_s + time.monotonic() - self._since

    def points(self) -> list[Point]:
        """All points, oldest first; lines that are damaged are left out."""
        return points_of(_whole_lines(self.path))

    def started_at(self) -> str:
        """When the first attempt started."""
        starts = [point["time"] for point in self.points() if point["kind"] == "start"]
        return str(starts[0]) if starts else now()

    def validations(self) -> list[Point]:
        """The validation points, oldest first."""
        return [point for point in self.points() if point["kind"] == "val"]

    def last_validation(self) -> Point | None:
        """The newest validation point."""
        validations = self.validations()
        return validations[-1] if validations else None


def _last_s(points: Iterable[Point]) -> float:
    return max((point.get("elapsed_s", 0.0) for point in points), default=0.0)


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Tail:
    """Reads what was appended to a journal since the last look, without reading it all again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._inode = 0

    def new_points(self) -> list[Point]:
        """The whole lines that are new; after a resume has rewritten the file, all lines."""
        try:
            with self.path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:  # rewritten by `Journal.start`
                    self._inode, self._offset = inode, 0
                file.seek(self._offset)
                whole, newline, _rest = file.read().rpartition(b"\n")
        except OSError:
            return []
        self._offset += len(whole) + len(newline)
        return points_of(lines_of(whole))
