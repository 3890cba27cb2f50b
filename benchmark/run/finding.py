"""What a look at a machine has found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of a report.

    Attributes:
        what: What was looked at.
        found: What is there.
        remedy: What to do about it; empty where all is well.
        problem: Whether runs would fail, or not be tracked as they could be.
    """

    what: str
    found: str
    remedy: str = ""
    problem: bool = False
