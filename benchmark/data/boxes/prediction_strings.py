"""The CSV that challenges take: a line an image, all of its boxes in one string.

Columns ``PredictionString,image_id``; the string repeats ``label score x1 y1 x2 y2``: the label counts from 0 in the
order of the classes, corners are in pixels of the original image, ``image_id`` is the image's ``file_name``.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from benchmark.data.boxes.base import Columns, Format, Target
from benchmark.errors import UserError, few, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.statistics.evaluation import Detections

STRING, IMAGE = "PredictionString", "image_id"
_A_BOX = 6  # label score x1 y1 x2 y2
_WANTED = f"columns {STRING},{IMAGE}; the string repeats 'label score x1 y1 x2 y2'"


class PredictionStrings(Format):
    """``PredictionString,image_id``, then ``0 0.9 10.5 20.0 40.5 60.0 1 0.8 ...,a.jpg``, a line an image."""

    title: ClassVar[str] = f"CSV with {STRING} in its first line"

    def is_of(self, data: bytes) -> bool:
        """Whether the first line names the columns."""
        return STRING.encode() in data.partition(b"\n")[0]

    def columns(self, data: bytes) -> Columns:
        """See `Format.columns`."""
        import numpy as np

        lines, images, strings = _rows(data)
        tokens = [text.split() for text in strings]
        counts = np.array([len(words) // _A_BOX for words in tokens], np.int64)
        _check_strings(lines, images, tokens)
        numbers = _numbers(lines, tokens).reshape(-1, _A_BOX)
        corners = numbers[:, 2:]
        owner = np.repeat(np.arange(len(images)), counts).tolist()
        return Columns(
            images=[images[row] for row in owner],
            names=(),
            categories=numbers[:, 0].tolist(),
            classes=(),
            xywh=np.column_stack([corners[:, :2], corners[:, 2:] - corners[:, :2]]),
            scores=numbers[:, 1],
            listed=images,
            lines=np.repeat(np.array(lines, np.int64), counts),
            numbering="from 0",
        )

    def text(self, detections: Detections, target: Target) -> str:
        """Every image has a line, in the order of the annotations, also where nothing was found.

        Corners and scores have the digits that give the same float64 again. So boxes whose corners are float32, as
        detectors have them, come back bit for bit; of others a side may differ by the last bit of a corner.
        """
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow([STRING, IMAGE])
        strings = _strings(detections, target)
        writer.writerows(
            (strings.get(key, ""), file)
            for key, file in zip(target.ids.tolist(), target.files, strict=True)
        )
        return written.getvalue()


def _strings(detections: Detections, target: Target) -> dict[int, str]:
    """The string of each image that has boxes, by its id."""
    import numpy as np

    label = {category.id: number for number, category in enumerate(target.categories)}
    far = detections.boxes[:, :2] + detections.boxes[:, 2:]
    corners = np.column_stack([detections.scores, detections.boxes[:, :2], far]).tolist()
    parts: dict[int, list[str]] = {}
    ids = (detections.image_ids.tolist(), detections.category_ids.tolist())
    for image, category, numbers in zip(*ids, corners, strict=True):
        parts.setdefault(image, []).append(" ".join([str(label[category]), *map(repr, numbers)]))
    return {image: " ".join(boxes) for image, boxes in parts.items()}


def _rows(data: bytes) -> tuple[list[int], list[str], list[str]]:
    """Line, image and string of each row that is not empty."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8: {error}") from None
    with _long_cells():
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            header = [cell.strip() for cell in next(reader)]
            rows = [(reader.line_num, cells) for cells in reader if cells]
        except csv.Error as error:
            raise UserError(
                f"line {reader.line_num}: not CSV: {error}; was it cut short?"
            ) from None
    missing = [name for name in (STRING, IMAGE) if name not in header]
    if missing:
        have = few(map(shown, header))
        raise UserError(f"no column {' and no '.join(missing)}: it has {have}; wanted: {_WANTED}")
    string, image = header.index(STRING), header.index(IMAGE)
    short = [line for line, cells in rows if len(cells) != len(header)]
    if short:
        told = few(f"line {line}" for line in short)
        raise UserError(f"lines without {len(header)} cells ({len(short):,}): {told}")
    if unnamed := [line for line, cells in rows if not cells[image].strip()]:
        told = few(f"line {line}" for line in unnamed)
        raise UserError(f"lines without an {IMAGE} ({len(unnamed):,}): {told}")
    return (
        [line for line, _ in rows],
        [cells[image] for _, cells in rows],
        [cells[string] for _, cells in rows],
    )


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lets cells be long: 2,000 boxes of an image take more than the 131,072 letters that csv reads by default."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _check_strings(
    lines: Sequence[int], images: Sequence[str], tokens: Sequence[Sequence[str]]
) -> None:
    bad = [row for row, words in enumerate(tokens) if len(words) % _A_BOX]
    if bad:
        told = few(f"line {lines[row]} ({images[row]}) has {len(tokens[row])}" for row in bad)
        raise UserError(
            f"lines whose numbers are not six a box, label score x1 y1 x2 y2 ({len(bad):,}): {told}"
        )


def _numbers(lines: Sequence[int], tokens: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    import numpy as np

    words = (word for row in tokens for word in row)
    try:
        return np.fromiter(map(float, words), np.float64, sum(map(len, tokens)))
    except ValueError:
        bad = [
            (n, w) for n, row in zip(lines, tokens, strict=True) for w in row if not _is_float(w)
        ]
        told = few(f"line {line} has {shown(word)}" for line, word in bad)
        raise UserError(f"what is no number in {STRING} ({len(bad):,}): {told}") from None


def _is_float(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
