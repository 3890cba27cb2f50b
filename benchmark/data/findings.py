"""What a check of a data set found, and how it is worded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import few, printable


@dataclass(frozen=True)
class Findings:
    """What a check found, a message for each kind of problem.

    Attributes:
        errors: Training would fail, or its numbers would be wrong.
        warnings: Worth a look: training works, and leaves out or meets what the message says.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reporter:
    """Words a kind of problem: how many, what, the first few; says nothing about none.

    Attributes:
        path: The annotation file.
        limit: How many offenders a message names.
        findings: What the messages are added to.
    """

    path: Path
    limit: int
    findings: Findings

    def error(self, offenders: Sequence[str], what: str) -> None:
        """Adds an error, unless there is no offender."""
        self._add(self.findings.errors, offenders, what)

    def warning(self, offenders: Sequence[str], what: str) -> None:
        """Adds a warning, unless there is no offender."""
        self._add(self.findings.warnings, offenders, what)

    def _add(self, to: list[str], offenders: Sequence[str], what: str) -> None:
        if offenders:
            named = printable(few(offenders, self.limit))
            to.append(f"{self.path}: {what} ({len(offenders)}): {named}")


def repeated_ids(ids: NDArray[np.int64]) -> list[str]:
    """The ids that stand there more than once, each once, as texts."""
    values, counts = np.unique(ids, return_counts=True)
    return [str(value) for value in values[counts > 1]]
