"""What the end of a sweep needs is imported while the first jobs start: nothing trains by then, and nobody waits."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread

from benchmark.experiment.experiment import Tracking
from benchmark.tracking import tracker_class

DRAWING = ("matplotlib.figure", "matplotlib.backends.backend_agg", "adjustText", "scipy.special")
"""What the leaderboard's plots and intervals import."""


def import_ahead(tracking: Tracking, modules: Sequence[str] = DRAWING) -> Thread:
    """Begins to import, beside what this process does meanwhile.

    What cannot be imported is no error here: whoever needs it says so.

    Args:
        tracking: Where the leaderboard is to be tracked.
        modules: Names of what else is imported.

    Returns:
        The thread that does it; to be waited for before any of it is used, since two threads that import the same see
        modules half made.
    """

    def work() -> None:
        for name in modules:
            with suppress(ImportError):
                importlib.import_module(name)
        if tracking.mode != "off":
            with suppress(ImportError):
                tracker_class(tracking.name).load()

    thread = Thread(target=work, name="imports ahead", daemon=True)
    thread.start()
    return thread
