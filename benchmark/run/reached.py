"""How far an unfinished run is, in words."""

from __future__ import annotations

import math

from benchmark.run.journal import Journal
from benchmark.run.record import State
from benchmark.run.state import Planned


def reached(run: Planned) -> str:
    """``epoch 4 of 12``, the one that was trained; ``iteration 300 of 90000`` where the schedule counts these.

    Empty for a run that was not interrupted, or not before it began to train.
    """
    if run.state is not State.INTERRUPTED:
        return ""
    points = Journal(run.folder.metrics_file).points()
    train = run.config.get("train_cfg")
    epochs = train.get("max_epochs") if isinstance(train, dict) else None
    name, key, least = ("epoch", "epoch", 1) if epochs else ("iteration", "iter", 0)
    totals = [epochs or point.get("max_iters") for point in points if point["kind"] == "start"]
    done = [point[key] for point in points if isinstance(point.get(key), int | float)]
    return f"{name} {max(least, math.ceil(max(done, default=0)))} of {totals[-1]}" if totals else ""


def status_of(run: Planned) -> str:
    """The state of a run in words: ``complete``, ``interrupted, epoch 4 of 12``."""
    return ", ".join(filter(None, (run.state.value, run.standing, reached(run))))
