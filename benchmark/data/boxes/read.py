"""Reads a file of boxes from elsewhere against the images and classes that they are of; all problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.data.boxes.base import Columns, Format, Hints, Numbering, Others, Target
from benchmark.data.boxes.categories import Classed, classed
from benchmark.data.boxes.coco_results import CocoResults
from benchmark.data.boxes.images import placed
from benchmark.data.boxes.misfits import misfit
from benchmark.data.boxes.prediction_strings import PredictionStrings
from benchmark.data.boxes.soundness import Found, notes_of, other_unit, problems_of
from benchmark.data.faults import in_place_of_text
from benchmark.errors import UserError, fault_of, not_read, printable
from benchmark.files import read_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.statistics.evaluation import Detections

FORMATS: Mapping[str, Format] = {"coco": CocoResults(), "csv": PredictionStrings()}
"""The formats of files with boxes, by what ``--format`` calls them."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


NO_HINTS = Hints()


@dataclass(frozen=True)
class Read:
    """The boxes of a file.

    Attributes:
        detections: In the order of the file.
        notes: How its images and categories were mapped, and what is odd about the boxes, a sentence each.
        numbering: What its category numbers are; None of names.
    """

    detections: Detections
    notes: tuple[str, ...]
    numbering: Numbering | None = None


def read_boxes(path: Path, target: Target, others: Others = tuple, hints: Hints = NO_HINTS) -> Read:
    """Reads a file of boxes.

    Args:
        path: The file, of one of the `FORMATS`, which is known by its content.
        target: The images and classes that the boxes are of.
        others: The other splits of the data, see there.
        hints: What is known of it beside its content.

    Raises:
        UserError: With everything that is wrong: it cannot be read, holds no boxes, or some that are not of the
            images and classes.
    """
    try:
        columns = _columns(path)
        return _looked_up(columns, target, others, hints)
    except UserError as error:
        raise UserError([f"{path}: {problem}" for problem in error.problems]) from None


def _columns(path: Path) -> Columns:
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        raise UserError("no such file of boxes") from None
    except OSError as error:
        raise not_read("it", error) from fault_of(error)
    content = data.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not content:
        raise UserError("the file is empty")
    if what := in_place_of_text(content):
        raise UserError(f"no file of boxes: {what}")
    found = next((format_ for format_ in FORMATS.values() if format_.is_of(content)), None)
    if found is None:
        begin = printable(content[:40].decode("utf-8", errors="replace"))
        titles = " nor ".join(format_.title for format_ in FORMATS.values())
        raise UserError(f"neither {titles}: it begins with {begin!r}")
    columns = found.columns(content)
    if not len(columns):
        raise UserError("it holds no box, so there is nothing to judge")
    return columns


def _looked_up(columns: Columns, target: Target, others: Others, hints: Hints) -> Read:
    import numpy as np

    images = placed(columns, target, others, hints.images)
    row = np.array([images.rows.get(value, -1) for value in images.values], np.int64)
    classes = classed(columns, target, hints, row)
    found = _known(columns, target, row, classes)
    apart, odd = misfit(columns, row, target, others if images.by_id else None)
    # Where boxes are of another split or form, what is wrong with their places follows from that, and that none of
    # them tells by what it lies on which numbers the classes have.
    misplaced = bool(images.problem or apart or other_unit(found))
    of_classes = "" if misplaced and classes.is_open else classes.problem
    told = [images.problem, of_classes, apart]
    problems = [*filter(None, told), *([] if apart else problems_of(found))]
    if problems:
        raise UserError(problems)
    notes = (images.note, classes.note, odd, *notes_of(found), _without(found, target))
    return Read(_detections(found, target), tuple(filter(None, notes)), classes.numbering)


def _known(columns: Columns, target: Target, row: NDArray[np.int64], classes: Classed) -> Found:
    """The boxes whose image is known: of those of another class than there are all else can be looked at."""
    import numpy as np

    absent = np.iinfo(np.int64).min
    category = np.array([classes.ids.get(value, absent) for value in classes.values], np.int64)
    known = row >= 0
    numbers, rows = np.flatnonzero(known), row[known]

    def told(number: int) -> str:
        place = int(numbers[number])
        return f"{columns.place(place)} in '{target.files[int(row[place])]}'"

    boxes = (category[known], columns.xywh[known], columns.scores[known])
    return Found(rows, *boxes, target.size[rows], told)


def _detections(found: Found, target: Target) -> Detections:
    from benchmark.statistics.evaluation import Detections

    return Detections(target.ids[found.image], found.xywh, found.scores, found.category_ids)


def _without(found: Found, target: Target) -> str:
    import numpy as np

    held = len(np.unique(found.image))
    return "" if held == len(target.ids) else f"boxes in {held:,} of {len(target.ids):,} images"
