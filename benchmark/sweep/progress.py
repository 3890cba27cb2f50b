"""Shows a sweep to a person: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from benchmark.run.journal import Tail
from benchmark.run.record import State
from benchmark.run.state import Planned

STYLES = {
    State.COMPLETE: "green",
    State.RUNNING: "cyan",
    State.FAILED: "bold red",
    State.LOST: "yellow",
    State.PRUNED: "magenta",
    State.WAITING: "dim",
}
_REFRESH_S = 0.5


@dataclass
class RunProgress:
    """How far a run is, as its journal tells.

    Attributes:
        iteration: Training iterations done.
        max_iters: Training iterations in all; 0 until the job has said so.
        mAP50: Newest validation, a fraction in 0..1; None before the first.
        eta_s: Seconds of training left at the pace of this attempt; None before it has a pace.
    """

    tail: Tail
    state: State = State.RUNNING
    cause: str = ""
    iteration: int = 0
    max_iters: int = 0
    mAP50: float | None = None  # noqa: N815 - the field's own term
    eta_s: float | None = None
    _start: tuple[int, float] = (0, 0.0)
    _told: int = -1

    def update(self) -> list[dict[str, Any]]:
        """Takes in what is new in the journal; returns the validations that were not there before."""
        points = self.tail.new_points()
        for point in points:
            self._take(point)
        news = [point for point in points if point["kind"] == "val" and point["iter"] > self._told]
        self._told = max([self._told, *(point["iter"] for point in news)])
        return news

    def _take(self, point: dict[str, Any]) -> None:
        self.iteration = point["iter"]
        if point["kind"] == "start":
            self.max_iters = point["max_iters"]
            self._start = (point["iter"], point["elapsed_s"])
        elif point["kind"] == "val":
            self.mAP50 = point["mAP50"]
        done, seconds = self.iteration - self._start[0], point["elapsed_s"] - self._start[1]
        self.eta_s = (self.max_iters - self.iteration) * seconds / done if done > 0 else None


@dataclass
class SweepProgress:
    """What is known of every run of a sweep."""

    total: int
    progress: dict[str, RunProgress] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def counts(self) -> str:
        """``3 of 9 done, 1 running, 1 failed``."""
        states = [progress.state for progress in self.progress.values()]
        ended = [state for state in states if state is not State.RUNNING]
        parts = [f"{len(ended)} of {self.total} ended"]
        for state in (State.RUNNING, State.FAILED, State.LOST):
            if state in states:
                parts.append(f"{states.count(state)} {state.value}")
        return ", ".join(parts)


def name_of(run: Planned) -> str:
    """What a run is called on the board: its id, with the number of the trial that it is."""
    trial = run.spec.trial
    return run.spec.run_id if trial is None else f"trial {trial} {run.spec.run_id}"


def show_eta(seconds: float | None) -> str:
    """Seconds as ``0:01:30``; a dash for None."""
    return "—" if seconds is None else str(timedelta(seconds=round(seconds)))


def show_value(value: float | None) -> str:
    """A fraction with four digits; a dash for None."""
    return "—" if value is None else f"{value:.4f}"


class LiveWatcher:
    """A table that is redrawn in place.

    Args:
        console: Where it is shown.
        board: What is known.
        waiting: Names of the runs to come, where they are known.
    """

    def __init__(self, console: Console, board: SweepProgress, waiting: Sequence[str] = ()) -> None:
        self.board = board
        self._waiting = list(waiting)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._next = 0.0

    def __enter__(self) -> LiveWatcher:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def started(self, run: Planned) -> None:
        """Adds the run to the board."""
        name = name_of(run)
        self._waiting = [other for other in self._waiting if other != name]
        self.board.progress[name] = RunProgress(Tail(run.folder.metrics_file))

    def ended(self, run: Planned, cause: str) -> None:
        """Takes in the run's end."""
        progress = self.board.progress[name_of(run)]
        progress.update()
        progress.state, progress.cause, progress.eta_s = run.state, cause, None

    def tick(self) -> None:
        """Shows what is new."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _REFRESH_S
        for progress in self.board.progress.values():
            if progress.state is State.RUNNING:
                progress.update()
        self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        table = Table(title=self.board.counts(), title_justify="left", box=None, pad_edge=False)
        table.add_column("run", overflow="fold")
        for name in ("state", "iteration", "ETA", "mAP50"):
            table.add_column(name, justify="right", no_wrap=True)
        room = max(5, self._live.console.height - 6)
        rows = list(self.board.progress.items())
        for name, progress in rows[-room:]:
            table.add_row(escape(name), *_cells(progress))
        for name in self._waiting[: max(0, room - len(rows))]:
            table.add_row(escape(name), "waiting", "—", "—", "—", style="dim")
        return table


def _cells(progress: RunProgress) -> list[str]:
    style = STYLES[progress.state]
    iterations = f"{progress.iteration}/{progress.max_iters or '?'}"
    return [
        f"[{style}]{progress.state.value}[/]",
        iterations,
        show_eta(progress.eta_s),
        show_value(progress.mAP50),
    ]


class LineWatcher:
    """A line for every start, validation and end: for logs and for terminals that cannot redraw.

    Args:
        console: Where it is shown.
        board: What is known.
    """

    def __init__(self, console: Console, board: SweepProgress) -> None:
        self.board = board
        self._console = console

    def __enter__(self) -> LineWatcher:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def started(self, run: Planned) -> None:
        """Adds the run to the board."""
        progress = RunProgress(Tail(run.folder.metrics_file))
        progress.update()  # what an earlier attempt measured is no news
        self.board.progress[name_of(run)] = progress
        self._say(f"{name_of(run)}: started")

    def ended(self, run: Planned, cause: str) -> None:
        """Takes in the run's end."""
        name = name_of(run)
        progress = self.board.progress[name]
        self._show(name, progress)
        progress.state = run.state
        tail = f" ({cause})" if cause else f", mAP50 {show_value(progress.mAP50)}"
        self._say(f"{name}: {run.state.value}{tail}; {self.board.counts()}")

    def tick(self) -> None:
        """Shows what is new."""
        for name, progress in self.board.progress.items():
            if progress.state is State.RUNNING:
                self._show(name, progress)

    def _show(self, name: str, progress: RunProgress) -> None:
        for point in progress.update():
            where = f"iteration {point['iter']}/{progress.max_iters or '?'}"
            left = f", {show_eta(progress.eta_s)} left" if progress.eta_s else ""
            self._say(f"{name}: {where}, mAP50 {show_value(point['mAP50'])}{left}")

    def _say(self, text: str) -> None:
        elapsed = timedelta(seconds=int(time.monotonic() - self.board.began))
        self._console.print(f"[{elapsed}] {text}", markup=False, highlight=False, soft_wrap=True)


def make_watcher(
    console: Console, board: SweepProgress, waiting: Sequence[str], shared: bool
) -> LiveWatcher | LineWatcher:
    """A live table where the console is a terminal of its own, lines elsewhere.

    Args:
        console: Where it is shown.
        board: What is known.
        waiting: Names of the runs to come, where they are known.
        shared: Whether the jobs print to the console, too: a debugger could not be used under a live table.
    """
    live = console.is_terminal and not shared
    return LiveWatcher(console, board, waiting) if live else LineWatcher(console, board)
