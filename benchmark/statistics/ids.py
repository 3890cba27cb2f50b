"""Ids of COCO files, which are whole numbers of 64 bits, and the small numbers that stand for them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class Ids:
    """Numbers from 1 that stand for ids, in the order of the ids.

    hotcoco takes detections as rows of floats, which hold every whole number up to 2**53 only: ids that are hashes or
    nanoseconds would become those of a neighbour. The order is kept, for it decides how a mean over classes rounds.

    Args:
        ids: int64, shape (N,); one that repeats has one number.
        name: What they are of, for messages.
    """

    def __init__(self, ids: NDArray[np.int64], name: str) -> None:
        self._sorted = np.unique(ids)
        self._name = name

    def __len__(self) -> int:
        return len(self._sorted)

    def numbers(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of each id, shape (M,).

        Raises:
            ValueError: Some of them are unknown.
        """
        found = places(ids, self._sorted)
        if np.any(found < 0):
            unknown = np.unique(ids[found < 0]).tolist()
            raise ValueError(f"{self._name} that the annotations do not have: {unknown[:5]}")
        return found + 1


def sorted_ids(ids: Iterable[int]) -> NDArray[np.int64]:
    """The ids in order, each once, shape (N,)."""
    return np.array(sorted({int(number) for number in ids}), np.int64)


def places(values: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each value in ``among``, shape (M,); -1 for one that is not there."""
    if not len(among):
        return np.full(len(values), -1, np.int64)
    order = np.argsort(among, kind="stable")
    found = np.searchsorted(among, values, sorter=order)
    place = order[np.minimum(found, len(among) - 1)]
    return np.where(among[place] == values, place, -1)
