"""GitHub-flavoured Markdown: text that shows as it is, headings, lists and tables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from benchmark.writing.words import cut_short

_PLAIN = re.compile(r"[A-Za-z0-9.,:;%()/–—+-]*( [A-Za-z0-9.,:;%()/–—+-]+)*")

_TARGET = re.compile(r"https?://[A-Za-z0-9_.+%~/?=&:,;@#-]+|[A-Za-z0-9_.+%~-][A-Za-z0-9_.+%~/-]*")


def escape(text: str) -> str:
    """Makes text that Markdown shows as it is, in a table's cell too: one line, no HTML."""
    if _PLAIN.fullmatch(text):  # as most cells are
        return text
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    line = re.sub(r"[\\`*~|\[\]]", r"\\\g<0>", line)
    # Inside a word (mstrain_3x) an underscore is only an underscore.
    line = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)
    # GitHub sets what stands between dollar signs as a formula.
    return line.replace("&", "&amp;").replace("<", "&lt;").replace("$", "&#36;")


def link(text: str, target: str | None) -> str:
    """A link; the text alone where the target is neither an address nor a plain path below this file."""
    shown = escape(text)
    plain = target is not None and ".." not in target.split("/") and _TARGET.fullmatch(target)
    return f"[{shown}]({target})" if plain else shown


def piped_table(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """A pipe table; the first line is its heading, ``right`` says which columns stand to the right."""
    widths = [max(3, *map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = [
        "-" * (width - 1) + ":" if to_right else "-" * width
        for width, to_right in zip(widths, right, strict=True)
    ]
    return "".join(_line(cells, widths, right) for cells in (lines[0], rule, *lines[1:]))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    ]
    return f"| {' | '.join(padded)} |\n"


def heading(text: str, level: int = 2) -> str:
    """A heading; level 1 is the title."""
    return f"{'#' * level} {escape(text)}\n"


def paragraph(text: str, strong: bool = False) -> str:
    """A paragraph, in bold if it is ``strong``; it must begin with a letter, or Markdown may see a list in it."""
    return f"**{escape(text)}**\n" if strong else f"{escape(text)}\n"


def bullets(items: Iterable[str]) -> str:
    """A list; each item must begin with a letter."""
    return "".join(f"- {escape(item)}\n" for item in items)


def grid(head: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> str:
    """A table of plain texts; ``right`` are the positions of the columns that stand to the right."""
    lines = [tuple(escape(cut_short(cell)) for cell in cells) for cells in (head, *rows)]
    return piped_table(lines, [position in right for position in range(len(head))])
