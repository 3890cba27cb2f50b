"""Images in memory that several processes share and that has no name: it is gone with the last of them.

It is a file of the kernel's that lies nowhere (memfd_create(2)). A folder in ``/dev/shm`` would hold 64 MiB in a
container of Docker's, take it from the data loaders' batches, and stay when all processes are killed. The driver of a
sweep makes it, and its jobs find it through ``/proc``; loader workers inherit it from their job. It is read and written
as a file is; a large image is mapped by itself for as long as somebody looks at it. All of it, mapped, would count as
memory of each process.

Its first page says whose it is and how many images there are. A list of them follows, then the images one after the
other. Who adds one holds a lock and counts it last: of a process that is killed meanwhile nothing is seen. None is ever
removed: of images that are looked at in turn, epoch after epoch, those that are there are worth the same.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mmap import ALLOCATIONGRANULARITY

from benchmark.job.decoded.entry import Picture, mapped, read, written
from benchmark.job.decoded.store import Once, Rest, larger
from benchmark.run.devices import memory_room

_MAGIC = b"detboard images 1"
_HEAD = struct.Struct("<24s32sQ")
_COUNT = struct.Struct("<Q")
_COUNT_AT, _LIST_AT = 64, 1 << 16
_LISTED = struct.Struct("<32sQQ")
_MOST = 1 << 20
_IMAGES_AT = _LIST_AT + _MOST * _LISTED.size
_MAPPED = 1 << 20  # from this size on it is quicker, measured on a virtual machine

# What is left to everything else on the machine: a tenth of its memory, but no more than this.
_LEFT_FREE_MIB = 4096
_MIB = 2**20

MOST = 2**62
"""Bytes: a larger limit, of whoever gave bytes for GiB, is as good as this one, and fits into its place."""


class Arena:
    """See above.

    Args:
        descriptor: Of its memory, which it closes.

    Attributes:
        token: What no other has.
        limit: Bytes of images that it takes.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        _, token, self.limit = _HEAD.unpack(os.pread(descriptor, _HEAD.size, 0))
        self.token = token.decode()
        self._places: dict[bytes, tuple[int, int]] = {}
        self._seen = 0
        self._end = _IMAGES_AT
        self._rest, self._large, self._full, self._short = Rest(), Once(), Once(), Once()
        self._lock, self._owner = -1, 0

    @property
    def path(self) -> str:
        """Where other processes of this user find it, as long as this one lives."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @property
    def holds(self) -> tuple[int, int]:
        """How many images, and bytes of them, there are."""
        self._learn()
        return self._seen, self._end - _IMAGES_AT

    def get(self, key: bytes) -> Picture | None:
        """See `Store`."""
        if key not in self._places:
            self._learn()
        if key not in self._places:
            return None
        at, size = self._places[key]
        if size >= _MAPPED:
            with suppress(OSError):  # of files: it holds on to very many images
                return mapped(self._descriptor, at, size, key)
        return read(self._descriptor, at, size, key)

    def put(self, key: bytes, picture: Picture) -> None:
        """See `Store`; where another process has put it there meanwhile, nothing happens."""
        if self._rest or not picture.fits:
            return
        if picture.size > self.limit:
            self._large.say(larger(picture.size, self.limit))
            return
        try:
            with self._locked():
                self._look()
                if key not in self._places and self._has_room(picture.size):
                    self._add(key, picture)
        except OSError as error:
            self._rest.begin()
            self._short.say(f"memory takes no more ({error.strerror})")

    def close(self) -> None:
        """See `Store`."""
        os.close(self._descriptor)
        if self._lock >= 0:
            os.close(self._lock)

    def _has_room(self, size: int) -> bool:
        """Whether there is room; where it is the limit that lacks, a smaller image may find some."""
        used = self._end - _IMAGES_AT
        there = f"{self._seen} images in {used / 2**30:.2f} GiB"
        if used + size > self.limit or self._seen == _MOST:
            self._full.say(f"full, with {there} of memory")
            return False
        room = memory_room()
        if room.free_mib - size / _MIB < min(_LEFT_FREE_MIB, room.total_mib / 10):
            self._rest.begin()
            self._short.say(f"{there}, and no more memory is free")
            return False
        return True

    def _add(self, key: bytes, picture: Picture) -> None:
        if os.pwritev(self._descriptor, written(key, picture), self._end) != picture.size:
            raise OSError(None, "cut short")
        listed = _LISTED.pack(key, self._end, picture.size)
        os.pwrite(self._descriptor, listed, _LIST_AT + self._seen * _LISTED.size)
        os.pwrite(self._descriptor, _COUNT.pack(self._seen + 1), _COUNT_AT)
        self._look()

    def _learn(self) -> None:
        """Looks, as far as this process may open one file more."""
        with suppress(OSError), self._locked():
            self._look()

    def _look(self) -> None:
        """Learns of what has come since it last looked."""
        (count,) = _COUNT.unpack(os.pread(self._descriptor, _COUNT.size, _COUNT_AT))
        size = (count - self._seen) * _LISTED.size
        new = (
            os.pread(self._descriptor, size, _LIST_AT + self._seen * _LISTED.size) if size else b""
        )
        for key, at, length in _LISTED.iter_unpack(new):
            self._places[key] = at, length
            self._end = -(-(at + length) // ALLOCATIONGRANULARITY) * ALLOCATIONGRANULARITY
        self._seen = count

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._own_lock()
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)

    def _own_lock(self) -> int:
        """A descriptor that no other process has, as loader workers have those of their job.

        A lock of the process itself would go with any map of an image: each closes a descriptor of the same memory.
        """
        if self._owner != os.getpid():
            if self._lock >= 0:
                os.close(self._lock)
            self._lock = os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDWR | os.O_CLOEXEC)
            self._owner = os.getpid()
        return self._lock


def make_arena(limit: int) -> Arena:
    """An empty one that keeps up to ``limit`` bytes of images.

    Raises:
        OSError: The kernel gives none.
    """
    descriptor = os.memfd_create("detboard-images")
    head = _HEAD.pack(*_whose(secrets.token_hex(16)), limit)
    os.pwrite(descriptor, head.ljust(_LIST_AT, b"\0"), 0)
    return Arena(descriptor)


def open_arena(path: str, token: str) -> Arena | None:
    """The one that another process has made; None where it is not to be seen from here.

    Args:
        path: Where it is.
        token: What tells it from another that has come to this path since.
    """
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        with suppress(
            OSError, struct.error
        ):  # the process is another by now, and this a pipe of it
            if _HEAD.unpack(os.pread(descriptor, _HEAD.size, 0))[:2] == _whose(token):
                return Arena(descriptor)
        os.close(descriptor)
    return None


def _whose(token: str) -> tuple[bytes, bytes]:
    return _MAGIC.ljust(24), token.encode()
