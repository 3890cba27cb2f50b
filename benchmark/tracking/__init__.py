"""Who watches runs, studies and leaderboards. A new tracker is one module and one line in `TRACKERS`."""

from __future__ import annotations

import importlib

from benchmark.errors import UserError, allowed
from benchmark.tracking.base import Tracker

__all__ = ["TRACKERS", "Tracker", "tracker_class"]

TRACKERS = {
    "wandb": "benchmark.tracking.wandb.tracker:WandbTracker",
}


def tracker_class(name: str) -> type[Tracker]:
    """The tracker called ``name``; its module is imported only now, and what that imports in `Tracker.load`.

    Raises:
        UserError: No tracker has that name.
    """
    if name not in TRACKERS:
        raise UserError(f"tracking: no tracker is called {name!r}; {allowed(name, TRACKERS)}")
    module, _, attribute = TRACKERS[name].partition(":")
    found: type[Tracker] = getattr(importlib.import_module(module), attribute)
    return found
