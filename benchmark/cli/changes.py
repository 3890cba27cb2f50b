"""What was changed of whole configs to make them fit, and what was noted of their runs, for a terminal."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from benchmark.errors import few

_MOST_LINES = 40
_MOST_ROWS = 4  # that a heading names
_INDENT = "  "


def changes_by_rows(
    changes: Mapping[str, Sequence[str]], width: int, what: str = "Changed"
) -> list[str]:
    """Lines that tell each change once, below the rows that have it.

    Args:
        changes: By name of the row.
        width: Of the lines; what is longer goes on in the next one.
        what: What the lines tell, for the headings.

    Returns:
        As many lines as are read; of more, what is left out is said.
    """
    of_change: dict[str, list[str]] = defaultdict(list)
    for row, told in changes.items():
        for change in dict.fromkeys(told):
            of_change[change].append(row)
    together: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for change, rows in of_change.items():
        together[tuple(rows)].append(change)
    of_most_first = sorted(together.items(), key=lambda item: -len(item[0]))
    lines = [
        line
        for rows, told in of_most_first
        for line in _told(f"{what} in {few(rows, _MOST_ROWS)}:", told, width)
    ]
    return _shortened(lines)


def _told(heading: str, changes: Iterable[str], width: int) -> list[str]:
    return [*textwrap.wrap(heading, width), *(line for c in changes for line in _wrapped(c, width))]


def _wrapped(change: str, width: int) -> list[str]:
    after = f"{_INDENT}{_INDENT}"
    return textwrap.wrap(
        change, width, initial_indent=_INDENT, subsequent_indent=after, break_on_hyphens=False
    )


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= _MOST_LINES:
        return lines
    left = len(lines) - _MOST_LINES + 1
    return [
        *lines[: _MOST_LINES - 1],
        f"... and {left} more lines: detboard config EXPERIMENT --rows NAME --diff has all of a row",
    ]
