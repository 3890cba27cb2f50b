"""What a check of a data set found, and how it is worded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations
from benchmark.errors import few, printable

_LONGEST_OFFENDER = 400


@dataclass(frozen=True)
class Findings:
    """What a check found, a message for each kind of problem.

    Attributes:
        errors: Training would fail, or its numbers would be wrong.
        warnings: Worth a look: training works, and leaves out or meets what the message says.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, more: Findings) -> None:
        """Takes over what was found elsewhere."""
        self.errors.extend(more.errors)
        self.warnings.extend(more.warnings)


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
        self._add(self.findings.errors, offenders, what, len(offenders))

    def warning(self, offenders: Sequence[str], what: str) -> None:
        """Adds a warning, unless there is no offender."""
        self._add(self.findings.warnings, offenders, what, len(offenders))

    def boxes(
        self, annotations: Annotations, rows: NDArray[np.intp], what: str, is_error: bool = False
    ) -> None:
        """Adds a warning, or an error, about rows of the boxes, unless there is none."""
        to = self.findings.errors if is_error else self.findings.warnings
        self._add(to, _boxed(annotations, rows[: self.limit]), what, len(rows))

    def _add(self, to: list[str], offenders: Sequence[str], what: str, count: int) -> None:
        if count:
            named = printable(few(map(_cut_inside, offenders[: self.limit]), self.limit, count))
            to.append(f"{self.path}: {what} ({count}): {named}")


def _cut_inside(offender: str) -> str:
    """An offender without the middle of a name that no file can have: what is wrong with it stands at its end."""
    if len(offender) <= _LONGEST_OFFENDER:
        return offender
    return f"{offender[: _LONGEST_OFFENDER // 2]}…{offender[-_LONGEST_OFFENDER // 2 :]}"


def _boxed(annotations: Annotations, rows: NDArray[np.intp]) -> list[str]:
    """Boxes by annotation id, with their numbers, and the image and its size where it is listed."""
    boxes = annotations.boxes
    columns = (boxes.ids[rows], boxes.xywh[rows], boxes.image_ids[rows])
    return [
        f"annotation {key} {[float(f'{number:.6g}') for number in box]}{_place(annotations, image)}"
        for key, box, image in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _place(annotations: Annotations, image_id: int) -> str:
    images = annotations.images
    return "".join(
        f" in {images.files[row]} of {images.width[row]}x{images.height[row]}"
        for row in np.flatnonzero(images.ids == image_id)[:1]
    )


def repeated_ids(ids: NDArray[np.int64]) -> list[str]:
    """The ids that stand there more than once, each once, as texts."""
    values, counts = np.unique(ids, return_counts=True)
    return [str(value) for value in values[counts > 1]]
