"""Shows a sweep to a person: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from benchmark.errors import printable
from benchmark.run.record import State
from benchmark.run.state import Planned
from benchmark.statistics.scores import MAIN
from benchmark.sweep.progress import RunProgress, SweepProgress, name_of, show_eta, show_value
from benchmark.writing.terminal import Shown, fitting, lines_of, table_of

STYLES = {
    State.COMPLETE: "green",
    State.RUNNING: "cyan",
    State.QUEUED: "blue",
    State.FAILED: "bold red",
    State.INTERRUPTED: "yellow",
    State.LOST: "yellow",
    State.DAMAGED: "bold red",
    State.PRUNED: "magenta",
    State.WAITING: "dim",
}
_REFRESH_S = 0.5
_COLUMNS = ("run", "state", "iteration", "ETA", "mAP50", "job", "parameters")
_NUMBERS = ("state", "iteration", "ETA", "mAP50")
_SPARED = ("ETA", "job", "iteration", "parameters", "mAP50")  # what is left out where room is short
_FOLDS = "run"  # the column that folds where a terminal is too narrow for all
_WAITS = ("waiting", "—", "—", "—", "", "")
_WORKED_ON = (State.RUNNING, State.QUEUED)
_LONGEST = 30  # what a scheduler says, in characters


class LiveWatcher:
    """A table that is redrawn in place; ``waiting`` are the names of the runs to come, where they are known."""

    def __init__(
        self, console: Console, progress: SweepProgress, waiting: Sequence[str] = ()
    ) -> None:
        self.progress = progress
        self._waiting = list(waiting)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._next = 0.0

    def __enter__(self) -> LiveWatcher:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.quiet()

    def quiet(self) -> None:
        """Takes the table away, for good: somebody is asked something."""
        self._live.stop()

    def started(self, run: Planned) -> None:
        """Adds the run to what is known."""
        name = name_of(run)
        self._waiting = [other for other in self._waiting if other != name]
        self.progress.runs[name] = RunProgress.of(run)

    def stands(self, run: Planned) -> None:
        """Takes in where its job stands."""
        progress = self.progress.runs[name_of(run)]
        progress.state, progress.standing = run.state, run.standing

    def ended(self, run: Planned, cause: str) -> None:
        """Takes in the run's end."""
        progress = self.progress.runs[name_of(run)]
        progress.update()
        progress.state, progress.cause, progress.eta_s = run.state, cause, None
        progress.standing = ""

    def put_back(self, run: Planned, cause: str) -> None:
        """Shows the run as one that waits."""
        progress = self.progress.runs[name_of(run)]
        progress.update()
        progress.state, progress.cause, progress.eta_s = State.WAITING, cause, None
        progress.standing = ""

    def say(self, text: str) -> None:
        """Shows a line above the table."""
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def tick(self) -> None:
        """Shows what is new."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _REFRESH_S
        for progress in self.progress.runs.values():
            if progress.state in _WORKED_ON:
                progress.update()
        self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        room = max(5, self._live.console.height - 6)
        columns = self._columns(room)
        tall = lines_of(columns, self._live.console, _FOLDS)
        # Parameters that fold would push the trials at work, which are the last, over the edge of the terminal.
        first = next((n for n in range(len(tall)) if sum(tall[n:]) <= room), len(tall) - 1)
        if first > 0 and not self._waiting:
            columns = [replace(column, cells=column.cells[first:]) for column in columns]
        return table_of(self.progress.counts(), columns, self._live.console, folds=_FOLDS)

    def _columns(self, room: int) -> list[Shown]:
        """The last runs that were started, and of those to come as many as `room` lines are left for."""
        rows = list(self.progress.runs.items())
        lines = [_cells(name, progress) for name, progress in rows[-room:]]
        waiting = self._waiting[: max(0, room - len(rows))]
        lines += [[Text(text, "dim") for text in (name, *_WAITS)] for name in waiting]
        by_column = list(zip(*lines, strict=True)) or [()] * len(_COLUMNS)
        known = {
            "job": any(progress.standing for _, progress in rows),
            "parameters": any(progress.params for _, progress in rows),
        }
        columns = [
            Shown(key, key, cells, right=key in _NUMBERS, elastic=key == "parameters")
            for key, cells in zip(_COLUMNS, by_column, strict=True)
            if known.get(key, True)
        ]
        return fitting(columns, _SPARED, self._live.console.width)


def _cells(name: str, progress: RunProgress) -> list[Text]:
    """A line of the live table, by `_COLUMNS`."""
    state = Text(progress.state.value, STYLES[progress.state])
    iterations = f"{progress.iteration}/{progress.max_iters or '?'}"
    eta = show_eta(None if progress.state is State.QUEUED else progress.eta_s)
    job = printable(progress.standing)
    job = job if len(job) <= _LONGEST else f"{job[: _LONGEST - 1]}…"
    texts = (iterations, eta, show_value(progress.mAP50), job, progress.params)
    return [Text(name), state, *map(Text, texts)]


class LineWatcher:
    """A line for every start, validation and end: for logs and for terminals that cannot redraw."""

    def __init__(self, console: Console, progress: SweepProgress) -> None:
        self.progress = progress
        self._console = console

    def __enter__(self) -> LineWatcher:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def quiet(self) -> None:
        """Nothing is drawn."""

    def started(self, run: Planned) -> None:
        """Adds the run to what is known."""
        progress = RunProgress.of(run)
        progress.update()  # what an earlier attempt measured is no news
        self.progress.runs[name_of(run)] = progress
        about = f" with {progress.params}" if progress.params else ""
        self.say(f"{name_of(run)}: {_beginning(run)}{about}")

    def stands(self, run: Planned) -> None:
        """Says where its job stands, where it is another state: of why it waits a scheduler thinks time and again."""
        progress = self.progress.runs[name_of(run)]
        if progress.state is not run.state or not progress.standing:
            self.say(f"{name_of(run)}: {run.state.value}, {run.standing}".removesuffix(", "))
        progress.state, progress.standing = run.state, run.standing

    def ended(self, run: Planned, cause: str) -> None:
        """Takes in the run's end."""
        name = name_of(run)
        progress = self.progress.runs[name]
        self._show(name, progress)
        progress.state, progress.standing = run.state, ""
        # A run that does not train has no journal.
        value = run.record.score(MAIN) if run.record else progress.mAP50
        tail = f" ({cause})" if cause else f", mAP50 {show_value(value)}"
        self.say(f"{name}: {run.state.value}{tail}; {self.progress.counts()}")

    def put_back(self, run: Planned, cause: str) -> None:
        """Says that the run waits."""
        name = name_of(run)
        self._show(name, self.progress.runs[name])
        self.progress.runs[name].state = State.WAITING
        self.progress.runs[name].standing = ""
        self.say(f"{name}: waits ({cause})")

    def tick(self) -> None:
        """Shows what is new."""
        for name, progress in self.progress.runs.items():
            if progress.state in _WORKED_ON:
                self._show(name, progress)

    def _show(self, name: str, progress: RunProgress) -> None:
        for point in progress.update():
            where = f"iteration {point['iter']}/{progress.max_iters or '?'}"
            left = f", {show_eta(progress.eta_s)} left" if progress.eta_s else ""
            self.say(f"{name}: {where}, mAP50 {show_value(point.get('mAP50'))}{left}")

    def say(self, text: str) -> None:
        """Shows a line, with the time since the beginning."""
        elapsed = timedelta(seconds=int(time.monotonic() - self.progress.began))
        self._console.print(f"[{elapsed}] {text}", markup=False, highlight=False, soft_wrap=True)


def _beginning(run: Planned) -> str:
    """How a run begins under this driver, in words: its job was started, put into a queue, or found."""
    if run.standing:
        return f"found again: {run.state.value}, {run.standing}"
    return "submitted" if run.state is State.QUEUED else "started"


def make_watcher(
    console: Console, progress: SweepProgress, waiting: Sequence[str], shared: bool
) -> LiveWatcher | LineWatcher:
    """A live table where the console is a terminal of its own, lines where it is ``shared`` with the jobs."""
    live = console.is_terminal and not shared
    return LiveWatcher(console, progress, waiting) if live else LineWatcher(console, progress)
