"""A store that is a folder."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark.errors import why
from benchmark.files import TEMPORARY, is_file, now_ns, read_bytes, replacing
from benchmark.launchers.mirror.store import LEFT_S, StoreTrouble, troubles_of

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class PathStore:
    """Objects are files below a folder, renamed into place.

    Args:
        url: What the user calls it.
        root: The folder, which is to exist.
    """

    def __init__(self, url: str, root: Path) -> None:
        self.url = url
        self._root = root

    def read(self, key: str) -> bytes | None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with self._asked(key):
            try:
                return read_bytes(self._root / key)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, key: str, content: bytes) -> None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with self._putting(key), replacing(self._root / key) as temporary:
            temporary.write_bytes(content)

    def create(self, key: str, content: bytes) -> bool:
        """See `benchmark.launchers.mirror.store.Store`: a link is made whole, and only where there is nothing."""
        path = self._root / key
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
        with self._putting(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                beside.write_bytes(content)
                return _linked(beside, path, content)
            finally:
                beside.unlink(missing_ok=True)

    def send(self, path: Path, key: str) -> None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with self._putting(key), replacing(self._root / key) as temporary:
            shutil.copyfile(path, temporary)

    def fetch(self, key: str, path: Path) -> bool:
        """See `benchmark.launchers.mirror.store.Store`."""
        with self._asked(key):
            if not is_file(self._root / key):
                return False
            shutil.copyfile(self._root / key, path)
            return True

    def keys(self, folder: str) -> list[str]:
        """See `benchmark.launchers.mirror.store.Store`."""
        with self._asked(folder):
            try:
                names = sorted(entry.name for entry in os.scandir(self._root / folder))
            except (FileNotFoundError, NotADirectoryError):
                return []
            return [f"{folder}/{name}" for name in names if not name.startswith(".")]

    def written_s(self, key: str) -> float | None:
        """See `benchmark.launchers.mirror.store.Store`: opened, so that a network file system asks its server."""
        with troubles_of(self._named(key)):
            try:
                with (self._root / key).open("rb") as file:
                    return os.fstat(file.fileno()).st_mtime
            except (FileNotFoundError, NotADirectoryError):
                return None

    def remove(self, key: str) -> None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with troubles_of(self._named(key)):
            (self._root / key).unlink(missing_ok=True)

    def tidy(self, folder: str) -> None:
        """See `benchmark.launchers.mirror.store.Store`: by the file server's clock: locks may hold on one node."""
        with self._asked(folder):
            at = self._root / folder
            if not at.is_dir():
                return
            oldest_s = now_ns(at) / 1e9 - LEFT_S
            for path in at.rglob(f".*{TEMPORARY}"):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < oldest_s:
                        path.unlink()

    @contextmanager
    def _asked(self, key: str) -> Iterator[None]:
        """A folder that is not there is neither empty nor made: its mount may be missing."""
        with troubles_of(self._named(key)):
            if not self._root.is_dir():
                raise StoreTrouble(self._named(key), f"there is no folder {self._root}")
            yield

    @contextmanager
    def _putting(self, key: str) -> Iterator[None]:
        with self._asked(key):
            try:
                yield
            except FileNotFoundError as error:
                raise StoreTrouble(self._named(key), why(error)) from error

    def _named(self, key: str) -> str:
        return f"{self.url}/{key}"


def _linked(beside: Path, path: Path, content: bytes) -> bool:
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _created(path, content)
    return True


def _created(path: Path, content: bytes) -> bool:
    """Without links: whoever reads it at that very moment finds it cut."""
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True
