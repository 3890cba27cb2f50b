"""A short document of headings, lines, tables and pictures, as Markdown for GitHub.

Every string in it is plain text, which is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.writing.markdown import escape


@dataclass(frozen=True)
class Heading:
    """A heading; ``level`` 1 is the title."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph, in bold if it is ``strong``; it must begin with a letter, or Markdown may see a list in it."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list; each item must begin with a letter."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        head: Headings of the columns.
        rows: Cells, as many a row as there are headings.
        numeric: Positions of the columns that stand to the right.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Picture:
    """An image file beside the Markdown file."""

    file: str
    words: str


Block = Heading | Text | Bullets | Grid | Picture


def to_markdown(blocks: Sequence[Block]) -> str:
    """The document as GitHub-flavoured Markdown."""
    return "\n".join(map(_markdown, blocks))


def _markdown(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {escape(block.text)}\n"
        case Text():
            text = escape(block.text)
            return f"**{text}**\n" if block.strong else f"{text}\n"
        case Bullets():
            return "".join(f"- {escape(item)}\n" for item in block.items)
        case Grid():
            return _pipes(block)
        case Picture():
            return f"![{escape(block.words)}]({block.file})\n"


def _pipes(grid: Grid) -> str:
    lines = [tuple(map(escape, cells)) for cells in (grid.head, *grid.rows)]
    widths = [max(3, *map(len, cells)) for cells in zip(*lines, strict=True)]
    numeric = [position in grid.numeric for position in range(len(widths))]
    columns = list(zip(widths, numeric, strict=True))
    rule = tuple("-" * (w - 1) + ":" if right else "-" * w for w, right in columns)
    padded = (
        [c.rjust(w) if right else c.ljust(w) for c, (w, right) in zip(cells, columns, strict=True)]
        for cells in (lines[0], rule, *lines[1:])
    )
    return "".join(f"| {' | '.join(cells)} |\n" for cells in padded)
