"""What keeps images for whoever asks, and the line that it says where it keeps no more."""

from __future__ import annotations

import mmap
from typing import Protocol

from benchmark.job.decoded.entry import Picture
from benchmark.run.journal import now


class Store(Protocol):
    """Keeps images; whatever becomes of it, an image that it does not have is loaded as ever."""

    def get(self, key: bytes) -> Picture | None:
        """The image that is known by a key, in an array of the caller's own; None where it is not there."""

    def put(self, key: bytes, picture: Picture) -> None:
        """Keeps an image, where there is room."""

    def close(self) -> None:
        """Lets go of it."""


class Given:
    """Whether a store has given up taking more: known to this process and all that are forked from it afterwards."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def __bool__(self) -> bool:
        return self._memory[0] != 0

    def up(self, why: str) -> None:
        """Gives up, and says why, once."""
        if not self:
            self._memory[0] = 1
            print(f"{now()} cache: {why}; further images are loaded from their files", flush=True)
