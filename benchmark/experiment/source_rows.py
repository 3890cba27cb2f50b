"""Rows that are made from other rows: whether those are there, and whether none is made from itself in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.errors import allowed
from benchmark.experiment.rows.base import Recipe


def source_problems(recipes: Mapping[str, Recipe]) -> list[str]:
    """A message for each source row that is not there, and for each circle of rows that are made from each other.

    Args:
        recipes: Those of an experiment's rows, by the rows' names.
    """
    return [
        *(
            f"row '{name}': made from '{source}', which is no row of this experiment; "
            f"{allowed(source, [other for other in recipes if other != name])}"
            for name, recipe in recipes.items()
            for source in recipe.source_rows
            if source not in recipes
        ),
        *(
            f"row '{circle[0]}': made from itself in the end: {' from '.join([*circle, circle[0]])}"
            for circle in _circles(recipes)
        ),
    ]


def _circles(recipes: Mapping[str, Recipe]) -> list[Sequence[str]]:
    """The circles, each once, from its row that stands first."""
    found: dict[frozenset[str], Sequence[str]] = {}
    done: set[str] = set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = way[way.index(name) :]
            found.setdefault(frozenset(circle), circle)
        elif name in recipes and name not in done:
            for source in recipes[name].source_rows:
                follow(source, (*way, name))
            done.add(name)

    for name in recipes:
        follow(name, ())
    return list(found.values())
