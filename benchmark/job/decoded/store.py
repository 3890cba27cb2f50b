"""What keeps images for whoever asks, the lines that it says, and how long it rests where it has met a lack."""

from __future__ import annotations

import mmap
import struct
import time
from typing import Protocol

from benchmark.job.decoded.entry import Picture
from benchmark.run.journal import now

_REST_S = 60.0
_UNTIL = struct.Struct("d")


class Store(Protocol):
    """Keeps images; whatever becomes of it, an image that it does not have is loaded as ever."""

    def get(self, key: bytes) -> Picture | None:
        """The image that is known by a key, in an array of the caller's own; None where it is not there."""

    def put(self, key: bytes, picture: Picture) -> None:
        """Keeps an image, where there is room."""

    def close(self) -> None:
        """Lets go of it."""


class Once:
    """Says once why an image is not kept, in this process and all that are forked from it afterwards."""

    def __init__(self) -> None:
        self._said = mmap.mmap(-1, 1)

    def say(self, why: str) -> None:
        """Says it, unless something was said here before."""
        if not self._said[0]:
            self._said[0] = 1
            print(f"{now()} cache: {why}; what finds no place is loaded from its file", flush=True)


class Rest:
    """A minute in which a store takes nothing: to look for room again, or to write in vain, costs more than decoding.

    It is that of this process and all that are forked from it afterwards. Never is it for good: what others take of a
    disk or of memory, they give back.
    """

    def __init__(self) -> None:
        self._until = mmap.mmap(-1, _UNTIL.size)

    def __bool__(self) -> bool:
        until: float = _UNTIL.unpack_from(self._until)[0]
        return time.monotonic() < until

    def begin(self) -> None:
        """Takes a rest from now on."""
        _UNTIL.pack_into(self._until, 0, time.monotonic() + _REST_S)


def larger(size: int, limit: int) -> str:
    """What is said of an image of more bytes than all may have."""
    return f"an image of {size / 2**30:.2g} GiB is larger than the limit of {limit / 2**30:.2g} GiB"
