"""Which images the numbers or names in a file of boxes mean: decided once for the whole file, by what is in it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import NamedTuple

from benchmark.data.boxes.base import Columns, ImageNaming, Others, Target, Value, whole
from benchmark.data.boxes.evidence import clearly_best, overlapped
from benchmark.errors import few, printable, shown


@dataclass(frozen=True)
class Placed:
    """The images of a file's boxes.

    Attributes:
        rows: Row of the target's images by what stands in the file, for each that is known.
        values: What stands in the file for each box.
        problem: What stands in the way; empty if nothing does.
        note: How they were found, where it is not by the annotations' own ids or file names; empty otherwise.
        by_id: Whether ids alone say which they are.
    """

    rows: Mapping[Value, int]
    values: Sequence[Value]
    problem: str = ""
    note: str = ""
    by_id: bool = False


class _Way(NamedTuple):
    """A way to find the image that a value means: None of one that it does not know."""

    naming: ImageNaming
    words: str
    find: Callable[[Value], int | None]


def placed(columns: Columns, target: Target, others: Others, naming: ImageNaming | None) -> Placed:
    """The images of a file's boxes.

    Args:
        columns: The boxes.
        target: The images that they are to be of.
        others: The other splits, see there.
        naming: What the row says of numbers for images; None if it says nothing.
    """
    if columns.names and naming is None:
        by_name = _placed(columns.names, (), columns, target, others, "names")
        if not by_name.problem:
            return by_name
        found = _placed(_plain(columns.images), (), columns, target, others, naming)
        return by_name if found.problem or _is_elsewhere(columns.names, others) else found
    columns = _trimmed(columns, target)
    values = _plain(columns.images)
    return _placed(values, _plain(columns.listed), columns, target, others, naming)


def _trimmed(columns: Columns, target: Target) -> Columns:
    """The images of a table without blanks around them, unless these belong to the name of a file."""
    if not columns.listed:
        return columns
    known = {*target.files}
    plain = {name: name if name in known else name.strip() for name in columns.listed}
    images = [plain[value] if isinstance(value, str) else value for value in columns.images]
    return replace(columns, images=images, listed=[plain[name] for name in columns.listed])


def _is_elsewhere(names: Sequence[str], others: Others) -> bool:
    """Whether the file names are those of another split."""
    return any(_found(_ways(other)[1:], set(names)) for other in others())


def _plain(values: Iterable[Value]) -> list[Value]:
    """Texts as they are, for names may be numbers; numbers whole where they are."""
    return [value if isinstance(value, str) else whole(value) for value in values]


def _placed(
    values: Sequence[Value],
    listed: Sequence[Value],
    columns: Columns,
    target: Target,
    others: Others,
    naming: ImageNaming | None,
) -> Placed:
    distinct = dict.fromkeys([*values, *listed])
    ways = [way for way in _ways(target) if naming in (None, way.naming)]
    fits = _found(ways, distinct)
    if not fits:
        best = max(ways, key=lambda way: sum(way.find(value) is not None for value in distinct))
        rows = {v: row for v in distinct if (row := best.find(v)) is not None}
        return Placed(rows, values, _unknown(rows, values, listed, columns, target, others))
    rows = {value: fits[0].find(value) or 0 for value in distinct}
    differing = [w for w in fits[1:] if any(w.find(v) != row for v, row in rows.items())]
    if differing and fits[0].words != _EXACT:
        return _by_objects((fits[0], differing[0]), columns, values, rows, target)
    note = "" if fits[0].words in (_EXACT, _BY_ID) else fits[0].words
    return Placed(rows, values, note=note, by_id=fits[0].words == _BY_ID)


def _by_objects(
    fits: tuple[_Way, _Way],
    columns: Columns,
    values: Sequence[Value],
    rows: Mapping[Value, int],
    target: Target,
) -> Placed:
    """The way by which boxes overlap an object, where that is clear."""
    import numpy as np

    tables = {way: {value: way.find(value) or 0 for value in rows} for way in fits}
    counts = dict.fromkeys(fits, 0)
    if target.objects is not None:
        for way, table in tables.items():
            image = np.array([table[value] for value in values], np.int64)
            hits = overlapped(image, columns.xywh, columns.scores, target.objects)
            counts[way] = len(hits[0])
    best = clearly_best(counts)
    if best is None:
        return Placed(rows, values, _ambiguous(fits, rows, target))
    other = fits[1] if best is fits[0] else fits[0]
    note = f"{best.words}: so {counts[best]:,} boxes overlap an object, else {counts[other]:,}"
    return Placed(tables[best], values, note=note, by_id=best.words == _BY_ID)


_EXACT = "images go by their file names"
_BY_ID = "images go by their ids"
_BY_PATH = "images go by the ends of their paths"
_BY_STEM = "images go by their file names without the ending"
_BY_NUMBER = "images go by the numbers that their file names are"


def _ways(target: Target) -> list[_Way]:
    """The ways in which a value may mean an image, the surest first."""
    ids = {key: row for row, key in enumerate(target.ids.tolist())}
    names = [_normal(name) for name in target.files]
    exact = _unique(names)
    base = _unique([PurePosixPath(name).name for name in names])
    stems = _unique([_without_ending(name) for name in names])
    base_stems = _unique([PurePosixPath(name).stem for name in names])
    numbers = {whole(stem): row for stem, row in base_stems.items()}

    def by_text(value: Value, *tables: Mapping[str, int]) -> int | None:
        if not isinstance(value, str):
            return None
        ends = _ends(_normal(value))
        return next((table[end] for end in ends for table in tables if end in table), None)

    def by_id(value: Value) -> int | None:
        # '0012' is the name of a file, '12' may be an id that somebody wrote as a text.
        number = whole(value)
        return ids.get(number) if str(number) == str(value) else None

    return [
        _Way("ids", _BY_ID, by_id),
        _Way("names", _EXACT, lambda v: exact.get(_normal(v)) if isinstance(v, str) else None),
        _Way("names", _BY_PATH, lambda v: by_text(v, exact, base)),
        _Way("names", _BY_STEM, lambda v: by_text(v, stems, base_stems)),
        _Way("names", _BY_NUMBER, lambda v: numbers.get(v) if isinstance(v, int) else None),
    ]


def _found(ways: Iterable[_Way], values: Iterable[Value]) -> list[_Way]:
    """The ways that know every value; that of whole file names is surer than any other."""
    kept = list(values)
    fits = [way for way in ways if all(way.find(value) is not None for value in kept)]
    return sorted(fits, key=lambda way: way.words != _EXACT)


def _normal(name: str) -> str:
    """A path as any system would write it: its separators, and its letters' Unicode form."""
    return unicodedata.normalize("NFC", name).replace("\\", "/").removeprefix("./")


def _without_ending(path: str) -> str:
    return path.removesuffix(PurePosixPath(path).suffix)


def _ends(path: str) -> list[str]:
    """A path, and all that it is the end of: ``a/b/c.jpg``, ``b/c.jpg``, ``c.jpg``."""
    parts = PurePosixPath(path).parts
    return ["/".join(parts[first:]) for first in range(len(parts))]


def _unique(names: Sequence[str]) -> dict[str, int]:
    """The place of each name that no other image has."""
    rows: dict[str, int] = {}
    twice = set()
    for row, name in enumerate(names):
        if rows.setdefault(name, row) != row:
            twice.add(name)
    return {name: row for name, row in rows.items() if name not in twice}


def _unknown(
    rows: Mapping[Value, int],
    values: Sequence[Value],
    listed: Sequence[Value],
    columns: Columns,
    target: Target,
    others: Others,
) -> str:
    absent = [value for value in dict.fromkeys([*values, *listed]) if value not in rows]
    first = {value: number for number, value in reversed(list(enumerate(values)))}
    told = few(
        f"{shown(value)} ({columns.place(first[value])})" if value in first else shown(value)
        for value in absent
    )
    have = few((*map(str, target.ids[:2].tolist()), *target.files[:2]), limit=4)
    what = f"images that {target.path} does not have ({len(absent):,}): {told}; it has {have}, ..."
    return printable(f"{what}{_elsewhere(absent, others)}")


def _elsewhere(absent: Sequence[Value], others: Others) -> str:
    """Says that the images are of another split, where most of them are."""
    for other in others():
        known = max(sum(way.find(v) is not None for v in absent) for way in _ways(other))
        if 2 * known > len(absent):
            some = "they" if known == len(absent) else f"{known:,} of them"
            return f"; {some} are of the {other.name} split, {other.path}"
    return ""


def _ambiguous(ways: Sequence[_Way], rows: Mapping[Value, int], target: Target) -> str:
    one, other = ways
    value = next(value for value, row in rows.items() if other.find(value) != row)
    first, second = (target.files[way.find(value) or 0] for way in ways)
    return printable(
        f"its images can be read in two ways, and too few boxes lie on an object to tell: "
        f"{shown(value)} is '{first}' if {one.words}, and '{second}' if "
        f"{other.words}; say which in the row: 'images: {one.naming}' or 'images: {other.naming}'"
    )
