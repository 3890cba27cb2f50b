"""A tracker that cannot harm: its failures end here, and it is waited for a limited time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from benchmark.experiment.experiment import Tracking
from benchmark.run.record import State, Tracked
from benchmark.tracking import tracker_class
from benchmark.tracking.base import Subject, Tracker, warn
from benchmark.writing.addresses import public

OPEN_PATIENCE_S = 16.0  # the probe of the server, a failed start, and a start offline
FINISH_PATIENCE_S = 20.0
CUT_OFF_PATIENCE_S = 3.0

_Result = TypeVar("_Result")


class Guarded:
    """A tracker of one subject, or nothing where tracking is off or the tracker cannot be used.

    Everything that the tracker does happens in a thread of its own, in the order of the calls; only `tracked`,
    `finish` and `abandon` wait for it, for a limited time. No method raises: the first failure is written to
    stderr, which is the job's log, and the run goes on.
    """

    def __init__(self, subject: Subject, tracking: Tracking) -> None:
        self._title = tracking.name
        self._tracker: Tracker | None = None
        self._tracked = Tracked(tracking.name, "off")
        self._complained = threading.Lock()  # held from the first failure on
        self._tasks: queue.SimpleQueue[Callable[[Tracker], None] | None] = queue.SimpleQueue()
        self._opened = threading.Event()
        self._thread: threading.Thread | None = None
        kind = None if tracking.mode == "off" else self._load(tracking.name)
        if kind is not None:
            self._thread = threading.Thread(
                target=self._work, args=(kind, subject, tracking), name="tracker", daemon=True
            )
            self._thread.start()

    @property
    def tracked(self) -> Tracked:
        """Where the subject is tracked, known once the tracker is open."""
        if self._thread is not None:
            self._opened.wait(OPEN_PATIENCE_S)
        return self._tracked

    def do(self, task: Callable[[Tracker], None]) -> None:
        """Has ``task`` called with the tracker; where nothing is tracked it is not called."""
        if self._thread is not None:
            self._tasks.put(task)

    def finish(
        self, summary: Callable[[], Mapping[str, object]], state: State | None = None
    ) -> None:
        """Ends it: ``summary`` makes what `Tracker.finish` takes."""
        self.do(lambda tracker: tracker.finish(summary(), state))
        gone = self._tracker is not None and self._quietly(self._tracker.gone)
        self._leave(CUT_OFF_PATIENCE_S if gone else FINISH_PATIENCE_S)

    def abandon(self) -> None:
        """Leaves an interrupted run, so that the next attempt goes on under the same id."""
        self.do(lambda tracker: tracker.abandon())
        self._leave(CUT_OFF_PATIENCE_S)

    def _load(self, name: str) -> type[Tracker] | None:
        # Not in the thread: a data loader forked meanwhile would inherit a half-done import's lock.
        try:
            kind = tracker_class(name)
            self._title = kind.title
            kind.load()
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            warn(self._title, f"cannot be imported, this run is not tracked: {problem}")
            return None
        return kind

    def _work(self, kind: type[Tracker], subject: Subject, tracking: Tracking) -> None:
        self._quietly(lambda: self._open(kind, subject, tracking))
        self._opened.set()
        while (task := self._tasks.get()) is not None:
            if self._tracker is not None:
                self._quietly(partial(task, self._tracker))

    def _open(self, kind: type[Tracker], subject: Subject, tracking: Tracking) -> None:
        self._tracker = tracker = kind.open(subject, tracking)
        if tracker is not None:
            self._tracked = Tracked(
                tracking.name, tracker.mode, public(tracker.url) if tracker.url else None
            )

    def _leave(self, patience_s: float) -> None:
        if self._thread is None:
            return
        self._tasks.put(None)
        self._thread.join(patience_s)
        if self._thread.is_alive():
            rest = self._quietly(self._tracker.rest) if self._tracker is not None else ""
            kept = f"; {rest}" if rest else ""
            warn(self._title, f"not done after {patience_s:g} s, going on without it{kept}")
        self._thread = None

    def _quietly(self, task: Callable[[], _Result]) -> _Result | None:
        """What ``task`` returns, or None if it fails; the first failure of all is said."""
        try:
            return task()
        except (Exception, SystemExit) as error:  # a library that gives up may call sys.exit()
            if self._complained.acquire(blocking=False):
                problem = f"{type(error).__name__}: {error}"
                warn(self._title, f"{problem} (the run goes on; further failures are silent)")
            return None
