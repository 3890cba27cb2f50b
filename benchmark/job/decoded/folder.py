"""Images in files, one each, that stay for later sweeps: ``$XDG_CACHE_HOME/detboard/decoded``.

A file is written beside its place and then takes it, so that nobody sees a part of one, on network file systems either;
it is not synced, which would take longer than decoding: its checksum tells what a power cut has left of it. It is known
by its key, which stands in it, too. A folder that others may write to is not used, nor is a file of theirs read: they
would choose what this user trains on.

How much there is, a file says by its length: who keeps an image appends a byte for each 64 KiB. When it is too much,
images go that were not looked at since this sweep began, the longest unused first, and none where that would not be
enough. Those that it uses itself stay, and what finds no room is loaded as ever: with images that are looked at in
turn, putting each new one in the place of the oldest would keep none until it is asked for again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmark.files import TEMPORARY
from benchmark.home import caches, is_private
from benchmark.job.decoded.entry import Picture, read, written
from benchmark.job.decoded.store import Once, Rest, larger

_UNIT = 64 << 10  # bytes of images that a byte of the count stands for
_SHARE = 4  # of the free disk a quarter is taken, where no limit is given
_LEFT_FREE = 20  # and never the last twentieth of the whole,
_LEFT_AT_MOST = 4 << 30  # or, of a large one, the last 4 GiB
_FILLED_TO = 0.9  # when images have to go, so many at once that it is not done for each new one
_OLD_S = 3600.0
# A link in the place of any of them would lead to another file of this user's.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_KEPT = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
_COUNT = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_PART, _NAME = re.compile("[0-9a-f]{2}"), re.compile("[0-9a-f]{62}")


@dataclass(frozen=True)
class _File:
    path: str
    size: int
    used: float


class Folder:
    """See above.

    Args:
        path: Where it is; it is made if it is not there.
        gib: How much it holds at most; None for a quarter of what is free.
        since: When the sweep began, in seconds of the epoch.

    Raises:
        OSError: It cannot be made or written, or others may write to it.
    """

    def __init__(self, path: Path, gib: float | None, since: float) -> None:
        self._path = path
        self._since = since
        self._count = _count_of(path)
        self._rest, self._large, self._full, self._refused = Rest(), Once(), Once(), Once()
        free, self._left_free = self._free()
        self.limit = int(gib * 2**30) if gib else (self.holds + free) // _SHARE

    @property
    def holds(self) -> int:
        """Bytes of images that there are, about."""
        return os.fstat(self._count).st_size * _UNIT

    def get(self, key: bytes) -> Picture | None:
        """See `Store`."""
        try:
            descriptor = os.open(self._place(key), _KEPT)
        except OSError:
            return None
        try:
            found = os.fstat(descriptor)
            if not is_private(found):
                return None
            picture = read(descriptor, 0, found.st_size, key, checked=True)
            if picture is not None and found.st_mtime < self._since:
                with suppress(OSError):  # it is read-only
                    os.utime(descriptor)
        except OSError:  # the server has forgotten it meanwhile, say
            return None
        finally:
            os.close(descriptor)
        return picture

    def put(self, key: bytes, picture: Picture) -> None:
        """See `Store`; of two that put the same one, either stays."""
        if self._rest or not picture.fits:
            return
        if picture.size > self.limit:
            self._large.say(larger(picture.size, self.limit))
            return
        try:
            self._be_there()
            if self._has_room(picture.size) or self._made_room(picture.size):
                self._write(self._place(key), key, picture)
            else:
                self._rest.begin()
                self._full.say(self._lack(picture.size))
        except OSError as error:
            self._rest.begin()
            self._refused.say(f"{self._path} cannot be written ({error.strerror})")

    def close(self) -> None:
        """See `Store`."""
        os.close(self._count)

    def _be_there(self) -> None:
        """Makes the folder again where somebody has removed it meanwhile, with its count."""
        with suppress(OSError):
            if os.path.samestat(os.stat(self._path / "count"), os.fstat(self._count)):  # noqa: PTH116
                return
        gone, self._count = self._count, _count_of(self._path)
        os.close(gone)

    def _lack(self, size: int) -> str:
        if self._has_free(size):
            return f"full, with {self.holds / 2**30:.2f} GiB in {self._path}"
        return f"{self._free()[0] / 2**30:.1f} GiB are free on the disk of {self._path}, too little"

    def _place(self, key: bytes) -> str:
        name = key.hex()
        return f"{self._path}/{name[:2]}/{name[2:]}"

    def _write(self, place: str, key: bytes, picture: Picture) -> None:
        beside = f"{place}.{os.uname().nodename}.{os.getpid()}{TEMPORARY}"
        Path(place).parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(beside, _NEW, 0o600)
        try:
            if os.writev(descriptor, written(key, picture)) != picture.size:
                raise OSError(None, "cut short")
            os.replace(beside, place)  # noqa: PTH105 - texts, for their speed
        except BaseException:
            with suppress(OSError):
                os.unlink(beside)  # noqa: PTH108
            raise
        finally:
            os.close(descriptor)
        os.write(self._count, bytes(-(-picture.size // _UNIT)))

    def _free(self) -> tuple[int, int]:
        """Bytes that are free, and how many of them are left to others."""
        found = os.statvfs(self._path)
        whole = found.f_blocks * found.f_frsize
        return found.f_bavail * found.f_frsize, min(whole // _LEFT_FREE, _LEFT_AT_MOST)

    def _has_room(self, size: int) -> bool:
        return self.holds + size <= self.limit and self._has_free(size)

    def _made_room(self, size: int) -> bool:
        """Removes images that this sweep has not looked at, where that makes room; whether there is room then."""
        try:
            fcntl.lockf(self._count, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True  # another is at it
        except OSError:
            pass  # no locks here: two that remove at once remove more than they have to
        found = sorted(self._files(), key=lambda file: file.used)
        total = sum(map(_counted, found))
        old = [file for file in found if file.used < self._since]
        in_use = total - sum(map(_counted, old))
        enough = in_use + size <= self.limit and self._has_free(size - sum(f.size for f in old))
        for file in old if enough else ():
            if total + size <= self.limit * _FILLED_TO and self._has_free(size):
                break
            with suppress(OSError):
                os.unlink(file.path)  # noqa: PTH108
                total -= _counted(file)
        os.ftruncate(self._count, total // _UNIT)
        with suppress(OSError):
            fcntl.lockf(self._count, fcntl.LOCK_UN)
        return self._has_room(size)

    def _has_free(self, size: int) -> bool:
        return self._free()[0] - size >= self._left_free

    def _files(self) -> Iterator[_File]:
        """The images; what writers have left that were killed is removed, and whatever else is there left alone."""
        for entry in self._entries():
            name, _, more = entry.name.partition(".")
            with suppress(OSError):  # removed by another meanwhile
                found = entry.stat(follow_symlinks=False)
                if not _NAME.fullmatch(name):
                    continue
                if not more:
                    yield _File(entry.path, found.st_size, found.st_mtime)
                elif more.endswith(TEMPORARY) and found.st_mtime < time.time() - _OLD_S:
                    os.unlink(entry.path)  # noqa: PTH108

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        for part in os.scandir(self._path):
            if _PART.fullmatch(part.name) and part.is_dir(follow_symlinks=False):
                with suppress(OSError):  # as below
                    yield from os.scandir(part)


def _count_of(path: Path) -> int:
    """A descriptor of the count of a folder, which is made if it is not there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if not is_private(found):
        others = (
            "others may write to it" if found.st_uid == os.geteuid() else "it is another user's"
        )
        raise PermissionError(errno.EPERM, f"{path}: {others}, who could put images there")
    return os.open(path / "count", _COUNT, 0o600)


def _counted(file: _File) -> int:
    return -(-file.size // _UNIT) * _UNIT


def folder_of_images() -> Path:
    """Where images are kept on disk: they are the same for every results folder."""
    return caches() / "detboard" / "decoded"
