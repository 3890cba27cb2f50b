"""Images that must stay on one side of a division: those of a video or a patient, and near-duplicates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations
from benchmark.data.split.alike import alike
from benchmark.errors import UserError, few, shown
from benchmark.files import read_json


@dataclass(frozen=True)
class Groups:
    """Which images stay together.

    Attributes:
        of: Number of the group of each image, in the order of the file, shape (N,).
        keyed: How many groups the key or the pattern makes; 0 without one.
        duplicates: How many images have a near-duplicate; None where none were looked for.
        unread: Image files that could not be read, in which no near-duplicate was looked for.
    """

    of: NDArray[np.intp]
    keyed: int = 0
    duplicates: int | None = None
    unread: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many there are, those of one image included."""
        return len(np.unique(self.of))

    def of_several(self, ids: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
        """The image ids of each group of more than one image, sorted."""
        together: dict[int, list[int]] = {}
        for group, image in zip(self.of.tolist(), ids.tolist(), strict=True):
            together.setdefault(group, []).append(image)
        return tuple(sorted(tuple(sorted(g)) for g in together.values() if len(g) > 1))


def groups_of(annotations: Annotations, key: str | None, images: Path | None) -> Groups:
    """The groups of a split's images.

    Args:
        annotations: The split, of which every entry is sound.
        key: A key of the entries of ``images``, or a regular expression over ``file_name`` of which the first group
            counts; None for neither.
        images: Folder of the images, in which near-duplicates are looked for; None looks for none. One file that is
            listed twice is together in any case.

    Raises:
        UserError: The key is neither, or not of every image.
    """
    files = annotations.images.files
    names = group_names(annotations, key) if key is not None else []
    edges = [_same(files), *([_same(names)] if names else [])]
    if images is None:
        return Groups(_joined(len(files), edges), len(set(names)))
    near, lost = alike([images / name for name in files])
    unread = tuple(str(path.relative_to(images)) for path in lost)
    return Groups(
        _joined(len(files), [*edges, near]), len(set(names)), len(np.unique(near)), unread
    )


def group_names(annotations: Annotations, key: str) -> list[str]:
    """What a key of the entries of ``images``, or a pattern over ``file_name``, says of each image.

    Raises:
        UserError: The key is neither, or not of every image.
    """
    entries: list[Mapping[str, object]] = read_json(annotations.path)["images"]
    if any(key in entry for entry in entries):
        return _values(annotations.path, entries, key)
    return _matches(annotations, key, sorted({name for entry in entries for name in entry}))


def _values(path: Path, entries: Sequence[Mapping[str, object]], key: str) -> list[str]:
    wrong = [
        f"id {entry['id']}"
        + (f": {shown(entry[key])}" if entry.get(key) is not None else f" has no '{key}'")
        for entry in entries
        if isinstance(entry.get(key), bool) or not isinstance(entry.get(key), str | int | float)
    ]
    if wrong:
        raise UserError(
            f"{path}: --group {key}: the key has to be a text or a number in every entry of 'images'; it is not in "
            f"{len(wrong)} of {len(entries)}: {few(wrong)}"
        )
    return [_plain(entry[key]) for entry in entries]


def _plain(value: object) -> str:
    """A value as text: 7, 7.0 and '7', as tools write one and the same, are one group."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _matches(annotations: Annotations, pattern: str, keys: Sequence[str]) -> list[str]:
    neither = (
        f"--group {pattern}: no entry of 'images' in {annotations.path} has this key ({few(keys)})"
    )
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"{neither}, and it is no regular expression over 'file_name': {error}"
        ) from None
    if not compiled.groups:
        raise UserError(
            f"{neither}, and as a regular expression over 'file_name' it has no group in brackets, as in '^(.+)_'"
        )
    files = annotations.images.files
    found = [compiled.search(name) for name in files]
    lost = [name for name, match in zip(files, found, strict=True) if not match or match[1] is None]
    if lost:
        raise UserError(
            f"{neither}, and as a regular expression it does not find a group in {len(lost)} of {len(files)} file "
            f"names: {few(lost)}"
        )
    return [match[1] for match in found if match]


def _same(names: Sequence[str]) -> NDArray[np.intp]:
    """Pairs of positions that connect equal names, shape (P, 2)."""
    times, pairs = Counter(names), []
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if times[name] > 1 and first.setdefault(name, place) != place:
            pairs.append((first[name], place))
    return np.array(pairs, np.intp).reshape(-1, 2)


def _joined(count: int, edges: Sequence[NDArray[np.intp]]) -> NDArray[np.intp]:
    """Number of the connected part that each of ``count`` things is in, by pairs that are together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.concatenate([np.empty((0, 2), np.intp), *edges])
    graph = coo_array((np.ones(len(pairs), np.bool_), pairs.T), shape=(count, count))
    labels: NDArray[np.intp] = connected_components(graph, directed=False)[1].astype(np.intp)
    return labels
