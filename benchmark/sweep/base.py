"""The contracts of a sweep: where its runs come from, and who sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from benchmark.run.record import State
from benchmark.run.state import Planned


class Source(Protocol):
    """Where the runs come from: a list of them, or a study that thinks of the next one.

    Attributes:
        takes_early: Whether a run may be taken while the one before it writes what it came to: a study learns from it.
    """

    takes_early: bool

    def gpus(self) -> int | None:
        """Number of GPUs that the next run trains on; None while there is none to start."""

    def row(self) -> str:
        """Name of the row that the next run is of, where there is one to start."""

    def take(self) -> Planned | None:
        """The next run; None if it turns out that there is nothing to run."""

    def take_living(self, lives: Callable[[Planned], bool]) -> Planned | None:
        """The next run of which the source knows that its job lives, as ``lives`` confirms; None if there is none."""

    def over(self, run: Planned) -> None:
        """Hears that one of its runs has ended, however it did."""

    def done(self) -> bool:
        """Whether no run will come any more."""


class Watcher(Protocol):
    """Sees a sweep as it goes; `benchmark.sweep.watchers` shows it to a person."""

    def started(self, run: Planned) -> None:
        """A job was submitted, or one of a driver before this one was found: ``run`` says where it stands."""

    def stands(self, run: Planned) -> None:
        """Where its job stands has changed: ``queued`` or ``running``, and what its scheduler says."""

    def ended(self, run: Planned, cause: str) -> None:
        """A job ended; ``run`` has its new state, ``cause`` says why if that is not ``complete``."""

    def put_back(self, run: Planned, cause: str) -> None:
        """A job met a fault of the machine, in a word the cause; the run is started again when that is over."""

    def say(self, text: str) -> None:
        """Something is to be said that is of no run alone."""

    def tick(self) -> None:
        """A moment has passed."""


class Listed:
    """The runs of a list, in order; one that is made from others comes once those of them in the list have ended."""

    takes_early = True

    def __init__(self, runs: Sequence[Planned]) -> None:
        self._waiting = list(runs)
        self._open = {run.spec.run_id for run in runs}

    def gpus(self) -> int | None:
        """See `Source`."""
        run = self._next()
        return run.spec.gpus if run else None

    def row(self) -> str:
        """See `Source`."""
        run = self._next()
        return run.spec.row if run else ""

    def take(self) -> Planned | None:
        """See `Source`."""
        run = self._next()
        if run is not None:
            self._waiting.remove(run)
        return run

    def take_living(self, lives: Callable[[Planned], bool]) -> Planned | None:
        """See `Source`."""
        known = [run for run in self._waiting if run.state in (State.QUEUED, State.RUNNING)]
        run = next(filter(lives, known), None)
        if run is not None:
            self._waiting.remove(run)
        return run

    def over(self, run: Planned) -> None:
        """See `Source`."""
        self._open.discard(run.spec.run_id)

    def done(self) -> bool:
        """See `Source`."""
        return not self._waiting

    def _next(self) -> Planned | None:
        free = (run for run in self._waiting if self._open.isdisjoint(run.spec.made_from))
        return next(free, None)
