"""Rows that are made from other rows: whether those are there, and whether none is made from itself in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.errors import allowed


def source_problems(sources: Mapping[str, Sequence[str]]) -> list[str]:
    """A message for each source row that is not there, and for each circle of rows that are made from each other.

    Args:
        sources: Names of the rows that each row of an experiment is made from, by its own.
    """
    return [
        *(
            f"row '{name}': made from '{source}', which is no row of this experiment; "
            f"{allowed(source, [other for other in sources if other != name])}"
            for name, made_from in sources.items()
            for source in made_from
            if source not in sources
        ),
        *(
            f"row '{circle[0]}': made from itself in the end: {' from '.join([*circle, circle[0]])}"
            for circle in _circles(sources)
        ),
    ]


def with_sources(name: str, sources: Mapping[str, Sequence[str]]) -> list[str]:
    """A row, and all rows that it is made from in the end, each once; ``sources`` are as in `source_problems`."""
    found = [name]
    for row in found:  # it grows meanwhile
        found += [source for source in dict.fromkeys(sources[row]) if source not in found]
    return found


def _circles(sources: Mapping[str, Sequence[str]]) -> list[Sequence[str]]:
    """The circles, each once, from its row that stands first."""
    found: dict[frozenset[str], Sequence[str]] = {}
    done: set[str] = set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = way[way.index(name) :]
            found.setdefault(frozenset(circle), circle)
        elif name in sources and name not in done:
            for source in sources[name]:
                follow(source, (*way, name))
            done.add(name)

    for name in sources:
        follow(name, ())
    return list(found.values())
