"""``metrics.jsonl``: every start, logged training step and validation of a run, one JSON object a line."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from benchmark.files import (
    JsonObject,
    append_jsonl,
    json_line,
    lines_of,
    parsed,
    read_jsonl,
    write_text,
)

Point = JsonObject
"""A line of the journal."""


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class Journal:
    """Writes a run's points, and carries its clock over from one attempt to the next.

    Every line has ``kind`` (``start``, ``train`` or ``val``), ``iter`` (training iterations done) and
    ``elapsed_s`` (seconds of training and validation up to there, over all attempts).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._base_s = 0.0
        self._since = time.monotonic()
        self._listeners: list[Callable[[Point], None]] = []

    def listen(self, listener: Callable[[Point], None]) -> None:
        """Has ``listener`` called with every point that is written from now on."""
        self._listeners.append(listener)

    def start(self, iteration: int, max_iters: int) -> None:
        """Begins an attempt at ``iteration``.

        Points beyond it were trained by an attempt that was killed, and will be trained again: they are dropped,
        so that no iteration stands there twice.
        """
        kept = [point for point in read_jsonl(self.path) if point.get("iter", 0) <= iteration]
        if self.path.exists():
            write_text(self.path, "".join(map(json_line, kept)))
        self._base_s = max((point.get("elapsed_s", 0.0) for point in kept), default=0.0)
        self._since = time.monotonic()
        self.write({"kind": "start", "iter": iteration, "max_iters": max_iters, "time": now()})

    def write(self, point: Point) -> None:
        """Appends a point; NaN and infinity become null, which JSON has."""
        finite = {key: _finite(value) for key, value in point.items()}
        line = {**finite, "elapsed_s": round(self.elapsed_s, 3)}
        append_jsonl(self.path, line)
        for listener in self._listeners:
            listener(line)

    @property
    def elapsed_s(self) -> float:
        """Seconds of training and validation so far, over all attempts."""
        return self._base_s + time.monotonic() - self._since

    def started_at(self) -> str:
        """When the first attempt started."""
        starts = [point["time"] for point in read_jsonl(self.path) if point["kind"] == "start"]
        return str(starts[0]) if starts else now()

    def validations(self) -> list[Point]:
        """The validation points, oldest first."""
        return [point for point in read_jsonl(self.path) if point["kind"] == "val"]

    def last_validation(self) -> Point | None:
        """The newest validation point."""
        validations = self.validations()
        return validations[-1] if validations else None


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
        return parsed(lines_of(whole))
