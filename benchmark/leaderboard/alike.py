"""Rows whose labels are the same: in what they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from benchmark.errors import few, shown
from benchmark.experiment.experiment import Row

_MOST = 8  # differences that a cell names


def alike(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows that a table of their labels does not tell apart, together."""
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(sorted(row.cells.items()))].append(row)
    return [group for group in groups.values() if len(group) > 1]


def differences(rows: Iterable[Row]) -> dict[str, str]:
    """By name of each row that its labels do not tell apart: what it has that not all such rows have.

    Returns:
        ``optim_wrapper.optimizer.lr=0.005, head=pisa``; empty for a row that has nothing of its own.
    """
    return {name: text for group in alike(rows) for name, text in _within(group).items()}


def _within(group: Sequence[Row]) -> dict[str, str]:
    said = {row.name: _said(row) for row in group}
    common = set.intersection(*(set(parts.items()) for parts in said.values()))
    return {
        name: few(
            [f"{key}={text}" for key, text in parts.items() if (key, text) not in common], _MOST
        )
        for name, parts in said.items()
    }


def _said(row: Row) -> dict[str, str]:
    """What a row says of how it is made, by key; as text, since values may be lists and mappings."""
    own = {key.removeprefix("+").removesuffix("!"): shown(v) for key, v in row.overrides.items()}
    more = {"gpus": str(row.gpus), "study": row.study or ""}
    return {**own, **row.recipe.names, **{key: text for key, text in more.items() if text}}
