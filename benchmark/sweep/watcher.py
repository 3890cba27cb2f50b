"""Who sees a sweep as it goes."""

from __future__ import annotations

from typing import Protocol

from benchmark.run.state import Planned


class Watcher(Protocol):
    """Sees a sweep as it goes; `benchmark.sweep.progress` shows it to a person."""

    def started(self, run: Planned) -> None:
        """A job was started."""

    def ended(self, run: Planned, cause: str) -> None:
        """A job ended; ``run`` has its new state, ``cause`` says why if that is not ``complete``."""

    def tick(self) -> None:
        """A moment has passed."""
