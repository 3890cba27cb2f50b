"""What sums runs up, as a tracker shows it: tables, plots and a summary, under a fixed id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.experiment.experiment import Tracking
from benchmark.tracking.base import Subject, Table, Tracker, Value
from benchmark.tracking.guarded import Guarded


@dataclass(frozen=True)
class Summary:
    """A study or a leaderboard.

    Attributes:
        kind: What it is: its tag, the first word of its name, and the prefix of what is logged.
        id: Written anew, it is the same one.
        group: The group of the runs that it sums up.
        folder: The tracker's files go into it.
        config: What was asked for, in values that JSON has.
        tables: Makes the tables by name; called only where something is tracked.
        plots: PNG files, each logged under its stem.
        summary: What came out, in values that JSON has.
    """

    kind: Literal["study", "leaderboard"]
    id: str
    group: str
    folder: Path
    config: Mapping[str, object]
    tables: Callable[[], Mapping[str, Table]]
    plots: Sequence[Path]
    summary: Mapping[str, object]


def track_summary(made: Summary, tracking: Tracking) -> None:
    """Shows it in the tracker; never raises or prompts, and waits 20 s at most for uploads."""

    def log(tracker: Tracker) -> None:
        values: dict[str, Value] = {**made.tables(), **{path.stem: path for path in made.plots}}
        tracker.log({f"{made.kind}/{name}": value for name, value in values.items()}, {})

    subject = Subject(
        kind=made.kind,
        id=made.id,
        name=f"{made.kind} {made.group}",
        group=made.group,
        tags=(made.kind,),
        config=made.config,
        folder=made.folder,
    )
    guarded = Guarded(subject, tracking)
    guarded.do(log)
    guarded.finish(lambda: made.summary)
