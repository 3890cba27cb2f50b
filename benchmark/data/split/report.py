"""What is said of a division: tables for a terminal, and a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchmark.data.split.divide import Division
from benchmark.data.split.groups import Groups
from benchmark.data.split.makeup import SIZES, Counted, Makeup
from benchmark.errors import few, printable
from benchmark.writing.markdown import bullets, grid, heading, paragraph
from benchmark.writing.words import DASH, counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_OF_PARTS = ("images", "groups", "empty", "objects", *SIZES)


def page(division: Division, groups: Groups, held: Makeup) -> str:
    """The Markdown page: how the images were divided, and what each part holds; same division in, same bytes out."""
    parts = [_part_cells(held, number) for number in range(len(held.parts))]
    part = _part(division)
    classes = [
        [c.name, *map(str, (c.total, c.groups, *c.counts.tolist())), deviation(held, c)]
        for c in held.classes
    ]
    titles = ["class", "objects", "groups", *(f"{part} {name}".strip() for name in held.parts)]
    return "\n".join(
        [
            heading(f"{division.file}: {_what(division)}", 1),
            bullets(
                [f"SHA-256 of {division.file}: {division.sha256}", *told(division, groups, held)]
            ),
            grid([part or "part", *_OF_PARTS], parts, range(1, 8)),
            paragraph(
                "Objects are those that an evaluation has to find; sizes are COCO's, by area: small below 32 x 32 "
                "pixels, large from 96 x 96. 'empty' are images without an object."
            ),
            heading("Classes"),
            grid([*titles, "largest deviation"], classes, range(1, len(titles))),
        ]
    )


def tables(division: Division, held: Makeup, console: Console) -> Iterator[Table]:
    """What each part holds, and each class's most and fewest objects in a part, in 80 columns."""
    cells = [_part_cells(held, number) for number in range(len(held.parts))]
    yield _table("", [_part(division) or "part", *_OF_PARTS], cells, console)
    classes = [
        [
            printable(c.name),
            *map(str, (c.total, c.groups, c.counts.min(), c.counts.max())),
            deviation(held, c),
        ]
        for c in held.classes
    ]
    titles = ["class", "objects", "groups", "fewest", "most", "largest deviation"]
    yield _table("", titles, classes, console)


def told(division: Division, groups: Groups, held: Makeup) -> list[str]:
    """How the images were divided, and what is odd about it, a sentence each."""
    wanted = division.wanted
    images = f"{counted(held.images.total, 'image')} in {counted(groups.count, 'group')}"
    sentences = [f"{images}, seed {wanted.seed}: {_what(division)}"]
    if wanted.group is not None:
        sentences.append(f"Groups by {wanted.group}: {groups.keyed:,}")
    if groups.duplicates is not None:
        sentences.append(
            f"Near-duplicates: {counted(groups.duplicates, 'image')} that look like another one, kept together"
        )
    else:
        sentences.append("Near-duplicates: not looked for")
    largest = max((len(group) for group in division.groups), default=1)
    if largest > 1:
        share = largest / held.images.total
        sentences.append(
            f"Largest group: {counted(largest, 'image')}, {share:.1%} of all".replace("%", " %")
        )
    if groups.unread:
        sentences.append(
            f"Images that could not be read, in which no near-duplicate was looked for: {few(groups.unread)}"
        )
    return [*sentences, f"Largest deviation: {_worst(division, held)}", *_rare(held)]


def deviation(held: Makeup, one: Counted) -> str:
    """By how much the part that deviates most does, and which part that is: ``-25 % (fold 3)``."""
    if not one.total:
        return DASH
    return f"{one.deviation:+.0%} ({held.parts[one.worst]})".replace("%", " %")


def _worst(division: Division, held: Makeup) -> str:
    worst = held.worst
    meant = worst.total * worst.shares[worst.worst]
    place = f"{_part(division)} {held.parts[worst.worst]}".strip()
    return (
        f"{printable(worst.name)}, {place}: {worst.counts[worst.worst]} of {worst.total}, where {meant:.1f} would be "
        f"its share ({deviation(held, worst).split(' (')[0]})"
    )


def _rare(held: Makeup) -> list[str]:
    none = [printable(one.name) for one in held.classes if not one.total]
    rare = [
        f"{printable(one.name)} ({counted(one.total, 'object')} in {counted(one.groups, 'group')})"
        for one in held.rare
    ]
    sentences = []
    if rare:
        sentences.append(
            f"Classes in fewer groups than there are parts, some of which lack them: {few(rare, len(rare))}"
        )
    if none:
        sentences.append(f"Classes without an object: {few(none, len(none))}")
    return sentences


def _what(division: Division) -> str:
    if division.wanted.held:
        return _held_out(division)
    return f"{len(division.parts)} folds"


def _held_out(division: Division) -> str:
    """How many images were held out, and how many it should be where groups do not let it."""
    wanted = division.wanted
    held, every = len(division.parts[0]), len(division.ids)
    share, meant = (
        f"{one:.0%}".replace("%", " %") for one in (held / every, wanted.held / wanted.count)
    )
    part = (
        f", where {wanted.held} of {wanted.count} even parts would be {meant}"
        if share != meant
        else ""
    )
    return f"{held:,} of {every:,} images held out, {share}{part}"


def _part(division: Division) -> str:
    return "" if division.wanted.held else "fold"


def _part_cells(held: Makeup, number: int) -> list[str]:
    counts = (held.images, held.empty, held.objects, *held.sizes)
    images, *others = (f"{one.counts[number]:,}" for one in counts)
    return [held.parts[number], images, f"{held.groups[number]:,}", *others]


def _table(
    title: str, titles: Sequence[str], rows: Sequence[Sequence[str]], console: Console
) -> Table:
    from rich.text import Text

    from benchmark.writing.terminal import Shown, table_of

    columns = [
        Shown(name, name, [Text(row[at]) for row in rows], right=at > 0, elastic=at == 0)
        for at, name in enumerate(titles)
    ]
    return table_of(title, columns, console)
