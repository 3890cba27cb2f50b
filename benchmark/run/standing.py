"""Where a living job stands: in a queue, or at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.run.folder import RunFolder


@dataclass(frozen=True)
class Standing:
    """Where a living job stands.

    Attributes:
        queued: It waits in a scheduler's queue.
        words: What its scheduler says of it, ``Slurm job 12: Resources``; empty where nothing is to be said.
    """

    queued: bool = False
    words: str = ""


StandingOf = Callable[[RunFolder], Standing | None]
"""Says where the job of a folder stands; None where none lives."""
