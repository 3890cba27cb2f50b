"""How far a sweep is, as the journals of its runs tell."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from benchmark.errors import printable
from benchmark.run.journal import Point, Tail
from benchmark.run.record import State
from benchmark.run.state import Planned
from benchmark.writing.words import cut_short, params_text


@dataclass
class RunProgress:
    """How far a run is, as its journal tells.

    Attributes:
        params: A trial's parameters in words; empty of any other run.
        standing: What the scheduler of its job says; empty where it says nothing.
        iteration: Training iterations done.
        max_iters: Training iterations in all; 0 until the job has said so.
        mAP50: Newest validation, a fraction in 0..1; None before the first.
        eta_s: Seconds of training left at the pace of this attempt; None before it has a pace.
    """

    tail: Tail
    params: str = ""
    state: State = State.RUNNING
    cause: str = ""
    standing: str = ""
    iteration: int = 0
    max_iters: int = 0
    mAP50: float | None = None  # noqa: N815 - the field's own term
    eta_s: float | None = None
    _start: tuple[int, float] = (0, 0.0)
    _told: int = -1

    @classmethod
    def of(cls, run: Planned) -> RunProgress:
        """Of a run that has just been started."""
        params = printable(cut_short(params_text(_short_names(run.spec.params))))
        return cls(Tail(run.folder.metrics_file), params, run.state, standing=run.standing)

    def update(self) -> list[Point]:
        """Takes in what is new in the journal; returns the validations that were not there before."""
        points = self.tail.new_points()
        for point in points:
            self._take(point)
        news = [point for point in points if point["kind"] == "val" and point["iter"] > self._told]
        self._told = max([self._told, *(point["iter"] for point in news)])
        return news

    def _take(self, point: Point) -> None:
        self.iteration = point["iter"]
        if point["kind"] == "start":
            self.max_iters = point["max_iters"]
            self._start = (point["iter"], point.get("elapsed_s", 0.0))
        elif point["kind"] == "val":
            self.mAP50 = point.get("mAP50")
        done = self.iteration - self._start[0]
        seconds = point.get("elapsed_s", 0.0) - self._start[1]
        self.eta_s = (self.max_iters - self.iteration) * seconds / done if done > 0 else None


@dataclass
class SweepProgress:
    """What is known of every run of a sweep.

    Attributes:
        total: Number of runs in all.
        runs: What is known of each that was started, by its name.
        began: When the sweep began, by the monotonic clock.
    """

    total: int
    runs: dict[str, RunProgress] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def counts(self) -> str:
        """``3 of 9 done, 1 running, 1 failed``."""
        states = [run.state for run in self.runs.values()]
        open_ = (State.RUNNING, State.QUEUED, State.WAITING)
        parts = [f"{sum(state not in open_ for state in states)} of {self.total} ended"]
        for state in (*open_, State.FAILED, State.INTERRUPTED, State.LOST):
            if state in states:
                parts.append(f"{states.count(state)} {state.value}")
        return ", ".join(parts)


def name_of(run: Planned) -> str:
    """What a run is called: its id, with the number of the trial that it is."""
    trial = run.spec.trial
    return run.spec.run_id if trial is None else f"trial {trial} {run.spec.run_id}"


def _short_names(params: Mapping[str, object]) -> dict[str, object]:
    """Parameters by the last key of their paths, where no other ends in the same: ``iou``, ``weights.0``."""
    ends = [re.sub(r"^.*\.(?=[^.]*\D)", "", name) for name in params]
    return {
        end if ends.count(end) == 1 else name: value
        for end, (name, value) in zip(ends, params.items(), strict=True)
    }


def show_eta(seconds: float | None) -> str:
    """Seconds as ``0:01:30``; a dash for None, and for more than thirty years."""
    known = seconds is not None and seconds < 1e9
    return str(timedelta(seconds=round(seconds or 0))) if known else "—"


def show_value(value: float | None) -> str:
    """A fraction with four digits; a dash for None."""
    return "—" if value is None else f"{value:.4f}"
