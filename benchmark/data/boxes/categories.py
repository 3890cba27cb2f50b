"""Which classes the numbers or names in a file of boxes mean: decided once for the whole file, by what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmark.data.annotations import Category
from benchmark.data.boxes.base import Columns, Hints, Numbering, Target, Value, whole
from benchmark.data.boxes.evidence import clearly_best, overlapped
from benchmark.errors import allowed, few, printable, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FROM_0: Numbering = "from 0"
_FROM_1: Numbering = "from 1"
_IDS: Numbering = "ids"
_WORDS: Mapping[Numbering, str] = {
    _IDS: "are ids of the annotations",
    _FROM_0: "count from 0 in the order of the classes",
    _FROM_1: "count from 1 in the order of the classes",
}

_CLEARLY_MORE = (
    3  # times as many boxes of the right class, from which on it is not the detector that errs
)


@dataclass(frozen=True)
class Classed:
    """The classes of a file's boxes.

    Attributes:
        ids: Category id by what stands in the file, for each that is known.
        values: What stands in the file for each box.
        problem: What stands in the way; empty if nothing does.
        note: How they were mapped, where they are not the annotations' own ids; empty if they are.
        numbering: What their numbers are; None of names.
        is_open: Whether the problem is that they can be read in several ways, and the boxes do not tell.
    """

    ids: Mapping[Value, int]
    values: Sequence[Value]
    problem: str = ""
    note: str = ""
    numbering: Numbering | None = None
    is_open: bool = False


def classed(columns: Columns, target: Target, hints: Hints, image: NDArray[np.int64]) -> Classed:
    """The classes of a file's boxes.

    Args:
        columns: The boxes.
        target: What they are of.
        hints: What is known of the file beside its content.
        image: Row of the image of each box, shape (N,); below 0 of one whose image is not known.
    """
    if columns.classes:
        return _by_name(columns.classes, target)
    values = [whole(value) for value in columns.categories]
    if any(isinstance(value, str) for value in values):
        return _by_name([str(value) for value in values], target)
    ways = _ways(target.categories)
    said = hints.categories or columns.numbering
    fits = [way for way, ids in ways.items() if ids.keys() >= set(values)]
    if said is not None:
        found = _said(said, fits, columns, values, target)
        counts = _agreeing([said, *fits], columns, values, target, image) if said in fits else {}
        return _weighed(found, _contradiction(said, counts), by_row=hints.categories is not None)
    if not fits:
        return Classed({}, values, _unknown(values, columns, target, _IDS, ""))
    distinct = _distinct(fits, values, target)
    if len(distinct) == 1:
        return Classed(ways[fits[0]], values, note=_note(fits[0], ways, values), numbering=fits[0])
    found = _by_objects(distinct, columns, values, target, image)
    usual = hints.usual() if found.problem else None
    if usual not in fits:
        return found
    note = f"category numbers {_WORDS[usual]}, as in the file of val"
    return Classed(ways[usual], values, note=note, numbering=usual)


def _by_objects(
    fits: Sequence[Numbering],
    columns: Columns,
    values: Sequence[Value],
    target: Target,
    image: NDArray[np.int64],
) -> Classed:
    """The way by which boxes have the class of the object that they overlap, where that is clear."""
    ways = _ways(target.categories)
    counts = _agreeing(fits, columns, values, target, image)
    best = clearly_best(counts)
    if best is None:
        return Classed({}, values, _ambiguous(fits, values, target), is_open=True)
    other = max(count for way, count in counts.items() if way != best)
    note = (
        f"category numbers {_WORDS[best]}: so {counts[best]:,} boxes have the class of the object that they overlap, "
        f"else {other:,} at most"
    )
    return Classed(ways[best], values, note=note, numbering=best)


def _agreeing(
    fits: Sequence[Numbering],
    columns: Columns,
    values: Sequence[Value],
    target: Target,
    image: NDArray[np.int64],
) -> dict[Numbering, int]:
    """How many boxes have the class of the object that they overlap, by those ways to read numbers that differ."""
    fits = _distinct(fits, values, target)
    if target.objects is None:
        return dict.fromkeys(fits, 0)
    ways = _ways(target.categories)
    found = overlapped(image, columns.xywh, columns.scores, target.objects)
    true = target.objects.category_ids[found[1]].tolist()
    own = [values[number] for number in found[0].tolist()]
    return {
        way: sum(ways[way][value] == key for value, key in zip(own, true, strict=True))
        for way in fits
    }


def _distinct(
    fits: Sequence[Numbering], values: Sequence[Value], target: Target
) -> list[Numbering]:
    """The first of those ways that mean the same classes."""
    ways = _ways(target.categories)
    found: dict[tuple[int, ...], Numbering] = {}
    for way in fits:
        found.setdefault(tuple(ways[way][value] for value in set(values)), way)
    return list(found.values())


def _weighed(found: Classed, against: str, *, by_row: bool) -> Classed:
    """What a row says is done and noted; what the format alone says may not be what the file's writer did."""
    if not against:
        return found
    if by_row:
        return replace(found, note=against.partition("; ")[0])
    return replace(found, problem=against)


def _contradiction(said: Numbering, counts: Mapping[Numbering, int]) -> str:
    """Says that clearly more boxes have the right class where numbers are read otherwise than is said; else empty."""
    best = clearly_best(counts) if len(counts) > 1 else None
    if best is None or counts[best] < _CLEARLY_MORE * max(counts[said], 1):
        return ""
    return (
        f"category numbers {_WORDS[said]}: so {counts[said]:,} boxes have the class of the object that they overlap, "
        f"and {counts[best]:,} if they {_WORDS[best]}; say which in the row: 'categories: {best}' or "
        f"'categories: {said}'"
    )


def _ways(categories: Sequence[Category]) -> dict[Numbering, Mapping[Value, int]]:
    """Category ids by the numbers that may stand for them."""
    ids = [category.id for category in categories]
    return {
        _IDS: {key: key for key in ids},
        _FROM_1: dict(enumerate(ids, start=1)),
        _FROM_0: dict(enumerate(ids)),
    }


def _said(
    said: Numbering,
    fits: Sequence[Numbering],
    columns: Columns,
    values: Sequence[Value],
    target: Target,
) -> Classed:
    ways = _ways(target.categories)
    if said in fits:
        own = said == columns.numbering
        note = "" if own else _note(said, ways, values)
        return Classed(ways[said], values, note=note, numbering=said)
    others = [f"'categories: {way}'" for way in fits]
    hint = f"; they would be with {' or '.join(others)} in the row" if others else ""
    return Classed(ways[said], values, _unknown(values, columns, target, said, hint))


def _note(
    way: Numbering, ways: Mapping[Numbering, Mapping[Value, int]], values: Sequence[Value]
) -> str:
    if all(ways[way][value] == value for value in set(values)):
        return ""
    return f"category numbers {_WORDS[way]}: mapped by that order"


def _unknown(
    values: Sequence[Value], columns: Columns, target: Target, way: Numbering, hint: str
) -> str:
    known = _ways(target.categories)[way]
    first: dict[Value, int] = {}
    for number, value in enumerate(values):
        if value not in known and value not in first:
            first[value] = number
    told = few(f"{shown(value)} ({columns.place(number)})" for value, number in first.items())
    have = few(f"{key} = {name}" for key, name in _numbered(target, way))
    among = f"{target.path} has {have}" if way == _IDS else f"the classes are {have}"
    return printable(f"categories that are not there ({len(first):,}): {told}; {among}{hint}")


def _numbered(target: Target, way: Numbering) -> list[tuple[object, str]]:
    name = {category.id: category.name for category in target.categories}
    return [(number, name[key]) for number, key in _ways(target.categories)[way].items()]


def _ambiguous(fits: Sequence[Numbering], values: Sequence[Value], target: Target) -> str:
    ways = _ways(target.categories)
    name = {category.id: category.name for category in target.categories}
    numbers = sorted({value for value in values if isinstance(value, int)})
    telling = next(n for n in numbers if len({ways[way][n] for way in fits}) > 1)
    each = few(f"{name[ways[way][telling]]} if they {_WORDS[way]}" for way in fits)
    choices = " or ".join(f"'categories: {way}'" for way in fits)
    return printable(
        f"its category numbers ({few(map(str, numbers))}) can be read in {len(fits)} ways, and too few boxes lie on an "
        f"object to tell: {telling} is {each}; "
        f"say which in the row: {choices}"
    )


def _by_name(names: Sequence[str], target: Target) -> Classed:
    ids: dict[Value, int] = {category.name: category.id for category in target.categories}
    absent = list(dict.fromkeys(name for name in names if name not in ids))
    if not absent:
        return Classed(ids, names, note="categories go by their names")
    told = few(f"'{name}'" for name in absent)
    problem = printable(
        f"classes that are not there ({len(absent):,}): {told}; {allowed(absent[0], map(str, ids))}"
    )
    return Classed(ids, names, problem)
