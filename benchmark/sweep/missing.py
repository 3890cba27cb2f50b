"""What a sweep has to do, and what stands in its way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from benchmark.config.readers import image_readers
from benchmark.data.annotations import read_annotations
from benchmark.data.check import check
from benchmark.data.findings import Findings
from benchmark.data.memory import Memory
from benchmark.data.pictures import Decoding, Told, undecoded
from benchmark.launchers import Launcher
from benchmark.run.plan import Plan
from benchmark.run.record import State
from benchmark.run.state import Planned
from benchmark.sweep.left import left_of


def missing(plan: Plan, retry: Iterable[State] = ()) -> list[Planned]:
    """The runs that have no record, those whose state is to be tried again, and those that ask for it themselves."""
    again = set(retry)
    return [
        run
        for run in plan.runs
        if run.record is None or run.state in again or run.record.asks_for_another_try
    ]


def obstacles(plan: Plan, launcher: Launcher, told: Told | None = None) -> Findings:
    """What would make runs fail, found before any of them starts: the data, and what the launcher cannot run.

    Args:
        plan: What is to be run.
        launcher: What is to run it.
        told: Hears how many images are decoded, and how many are to be; if None, only a few images are.
    """
    memory = Memory(plan.cache)
    decoding = replace(decoding_of(plan), every=bool(told), told=told)
    found = check(plan.dataset, decoding=decoding, memory=memory)
    found.add(left_of(plan, memory))
    found.errors.extend(launcher.obstacles({row.name: row.gpus for row in plan.rows}))
    return found


def undecoded_images(plan: Plan) -> int:
    """How many images of the data no check has decoded yet, as far as their names tell."""
    splits = {"train": plan.dataset.train, "val": plan.dataset.val}
    return sum(
        undecoded(split.images, name, read_annotations(split.annotations).images, decoding_of(plan))
        for name, split in splits.items()
    )


def decoding_of(plan: Plan) -> Decoding:
    """Decodes every image as the plan's runs do."""
    return Decoding(image_readers(run.config for run in plan.runs))
