"""Titles of labels that look like misspelt ones: every title is a column of the table of its own."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from benchmark.experiment.experiment import Row

_ALIKE = 0.75  # of four letters, two that have changed places


def title_warnings(rows: Sequence[Row]) -> list[str]:
    """Says which titles of labels look like another one, case and spaces ignored.

    Two titles that stand side by side in the labels of one row are meant.

    Returns:
        A sentence for each, with the first row that has it and the title that it looks like: the one that more
        rows have.
    """
    asked = Counter(title for row in rows for title in row.labels)
    usual = Counter(title for row in rows for title in row.recipe.labels)
    # Titles that a recipe gives are spelt right; of the others, those of most rows.
    trusted = sorted(asked | usual, key=lambda title: (-usual[title], -asked[title]))
    found = ((title, _like(title, trusted[:place], rows)) for place, title in enumerate(trusted))
    return [
        f"row '{_first(rows, title)}': the label '{title}' makes a column beside '{other}', which looks "
        f"like the same title; give both the same one unless that is meant"
        for title, other in found
        if other is not None and title not in usual
    ]


def _like(title: str, others: Iterable[str], rows: Sequence[Row]) -> str | None:
    """The title that looks most like another one, None if none does."""
    letters = {_letters(other): other for other in others if not _side_by_side(title, other, rows)}
    near = difflib.get_close_matches(_letters(title), letters, n=1, cutoff=_ALIKE)
    return letters[near[0]] if near else None


def _letters(title: str) -> str:
    return re.sub(r"\s", "", title).casefold()


def _side_by_side(title: str, other: str, rows: Iterable[Row]) -> bool:
    return any(title in row.labels and other in row.labels for row in rows)


def _first(rows: Iterable[Row], title: str) -> str:
    return next(row.name for row in rows if title in row.labels)
