"""Where run folders are mirrored: a folder that driver and nodes see, or object storage, through fsspec."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from benchmark.errors import UserError, attempt, why
from benchmark.files import NotAFile

_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)", re.DOTALL)
_PROBE = "detboard-probe"
LEFT_S = 60.0
"""Seconds by the store's clock after which nobody goes on with a put that has not grown, nor looks at a probe."""


class StoreTrouble(OSError):
    """A store does not do what it is asked, whatever the reason; it may later, unless that lasts.

    Args:
        where: The store, or what of it was asked for.
        words: Why.
        lasts: It is of no use to ask again before somebody has mended that.
    """

    def __init__(self, where: str, words: str, lasts: bool = False) -> None:
        self.words = words
        self.lasts = lasts
        super().__init__(errno.EREMOTEIO, f"{words} ({os.strerror(errno.EREMOTEIO)})", where)


class Store(Protocol):
    """Objects by their keys, which are relative paths with slashes. Each is there whole, or not at all.

    Every call may raise `StoreTrouble`.
    """

    @property
    def url(self) -> str:
        """What the user calls it, and a job on another machine, too."""

    def read(self, key: str) -> bytes | None:
        """What an object holds; None if there is none."""

    def write(self, key: str, content: bytes) -> None:
        """Puts an object, in the place of one that is there."""

    def create(self, key: str, content: bytes) -> bool:
        """Puts an object where there is none, in one step; False if there is one: of several who try one succeeds."""

    def send(self, path: Path, key: str) -> None:
        """Puts a file, which may be large, as an object."""

    def fetch(self, key: str, path: Path) -> bool:
        """Gets an object, which may be large, into a file; False if there is none."""

    def keys(self, folder: str) -> list[str]:
        """The keys right under a folder of keys, sorted."""

    def written_s(self, key: str) -> float | None:
        """When an object was put, in seconds by the store's clock; None if there is none, or it does not say."""

    def remove(self, key: str) -> None:
        """Removes an object; nothing happens where there is none."""

    def tidy(self, folder: str) -> None:
        """Removes what puts that were killed have left below a folder of keys, once it is `LEFT_S` old."""


@contextmanager
def troubles_of(where: str) -> Iterator[None]:
    """Has whatever a library raises told as the trouble of a store; but for what says that an object is, or is not.

    Raises:
        StoreTrouble: Something was raised.
    """
    try:
        yield
    except (FileNotFoundError, FileExistsError, StoreTrouble):
        raise
    except Exception as error:  # each library has its own
        raise StoreTrouble(where, why(error), isinstance(error, NotAFile)) from error


def open_store(url: str) -> Store:
    """The store at a path or URL; nothing is asked of it yet.

    Raises:
        UserError: It is none that can be used, or what it takes is not installed.
    """
    if "::" in url:
        raise UserError(
            f"cluster.store: {url}: a chain of file systems; name the last of them alone"
        )
    found = _URL.fullmatch(url)
    if found is None or found[1].lower() == "file":
        from benchmark.launchers.mirror.path_store import PathStore

        return PathStore(url, _absolute(found[2] if found else url))
    _check_url(url, found[2])
    from benchmark.launchers.mirror.object_store import ObjectStore

    return ObjectStore(url)


def _absolute(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise UserError(
            f"cluster.store: {text}: write a whole path or a URL (/mnt/runs, s3://bucket/prefix): nodes and this "
            "machine stand in different folders"
        )
    return path


def _check_url(url: str, rest: str) -> None:
    authority = rest.partition("/")[0]
    if "@" in authority:
        name = f"{url.partition('://')[0]}://...@{authority.rpartition('@')[2]}"
        raise UserError(
            f"cluster.store: {name}: leave name and password out of it: it stands in commands and logs; credentials "
            "come from the environment of driver and node"
        )
    if not authority:
        raise UserError(f"cluster.store: {url}: names no bucket: write s3://bucket/prefix")


def problem_with(url: str) -> str:
    """What stands in the way of mirroring run folders in a store, tried there; empty if nothing does."""
    problems: list[str] = []
    store = attempt(problems, open_store, url)
    if store is None:
        return "; ".join(problems)
    try:
        return _tried(store)
    except StoreTrouble as trouble:
        return f"cluster.store: {url}: cannot be used: {trouble.words}; {_REMEDY}"


_REMEDY = (
    "see that it is there and takes files from here, and that credentials are in the environment"
)


def _tried(store: Store) -> str:
    """Puts, reads, and puts once more what may be put only once."""
    key = f"{_PROBE}/{secrets.token_hex(8)}"
    try:
        if not store.create(key, b"probe"):
            return _unsure(store, "says of a new object that it is there")
        if store.create(key, b"other"):
            return _unsure(store, "puts twice what is to be put only where there is nothing")
        if store.read(key) != b"probe":
            return _unsure(store, "does not give back what was put")
        _remove_probes(store, key)
        return ""
    finally:
        with suppress(StoreTrouble):
            store.remove(key)


def _remove_probes(store: Store, own: str) -> None:
    """Removes the probes of commands that were killed; another's that is at it stays."""
    store.tidy(_PROBE)
    now = store.written_s(own)
    for key in store.keys(_PROBE):
        written = store.written_s(key)
        if now is not None and written is not None and now - written > LEFT_S:
            store.remove(key)


def _unsure(store: Store, what: str) -> str:
    return (
        f"cluster.store: {store.url}: {what}: of two jobs of one run both would go on; use S3, or a folder on a file "
        "system of its own"
    )
