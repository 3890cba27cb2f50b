"""Trackers of a test's own, and ``detboard`` with them: ``python toy_tracker.py sweep ...``.

A job's process runs this file again, as it does with any driver's main module: it knows them, too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.cli.app import main
from benchmark.experiment.experiment import Tracking
from benchmark.run.record import State
from benchmark.run.samples import ImageSample
from benchmark.tracking import TRACKERS
from benchmark.tracking.base import Subject, Table, Tracker, Value


class Toy(Tracker):
    """Appends each call to ``toy.jsonl`` in the subject's folder."""

    title = "Toy"

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.url = f"https://toy.example/{subject.id}"

    @classmethod
    def reach(cls) -> str:
        return "online: always"

    @classmethod
    def open(cls, subject: Subject, tracking: Tracking) -> Tracker | None:
        toy = cls(subject)
        toy.note("open", kind=subject.kind, id=subject.id, group=subject.group, mode=tracking.mode)
        return toy

    def log(self, values: Mapping[str, Value], steps: Mapping[str, float]) -> None:
        self.note("log", values={name: _plain(v) for name, v in values.items()}, steps=dict(steps))

    def images(self, name: str, samples: Sequence[ImageSample], steps: Mapping[str, float]) -> None:
        self.note("images", name=name, boxes=[len(s.truth) for s in samples], steps=dict(steps))

    def finish(self, summary: Mapping[str, object], state: State | None) -> None:
        self.note("finish", summary=dict(summary), state=state and state.value)

    def abandon(self) -> None:
        self.note("abandon")

    def note(self, call: str, **content: Any) -> None:
        with (self.subject.folder / "toy.jsonl").open("a") as file:
            file.write(json.dumps({"call": call, **content}) + "\n")


class Broken(Toy):
    """Opens, and then fails in everything."""

    title = "Broken"

    @classmethod
    def open(cls, subject: Subject, tracking: Tracking) -> Tracker | None:
        return cls(subject)

    def gone(self) -> bool:
        raise OSError("no server")

    def note(self, call: str, **content: Any) -> None:
        raise OSError(f"{call} is broken")


class Shut(Toy):
    """Does not even open, and gives up as some libraries do."""

    title = "Shut"

    @classmethod
    def open(cls, subject: Subject, tracking: Tracking) -> Tracker | None:
        sys.exit("it is shut")


def _plain(value: Value) -> Any:
    if isinstance(value, Table):
        return [dict(zip(value.columns, row, strict=True)) for row in value.rows]
    return value.name if isinstance(value, Path) else value


if __name__ in ("__main__", "__mp_main__"):
    TRACKERS["toy"] = "toy_tracker:Toy"
    TRACKERS["broken"] = "toy_tracker:Broken"

if __name__ == "__main__":
    main()
