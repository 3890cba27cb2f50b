"""A store that is object storage, or whatever else fsspec knows: S3 by s3fs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UserError, why
from benchmark.launchers.mirror.store import StoreTrouble, troubles_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_S3 = ("s3", "s3a")
_CONNECT_S = 10
_LIMIT_S = 60.0
"""Seconds within which a call has to be answered that carries little."""

_SLOWEST = 256 << 10  # bytes a second, of what is large
# Else a store that is away keeps the driver for minutes with every call.
_CONFIG: Mapping[str, object] = {
    "connect_timeout": _CONNECT_S,
    "read_timeout": 20,
    "retries": {"max_attempts": 2},
}
_PACKAGES = {
    **dict.fromkeys(_S3, "'detboard[s3]'"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
}
"""What each kind of storage takes that has a conditional put; fsspec's own looks first and puts then, which is none."""


class ObjectStore:
    """Objects of a bucket, below a prefix.

    Credentials, the region and the address of a server of one's own come from the environment: of S3
    ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_PROFILE``, ``AWS_ENDPOINT_URL`` and the like.

    Args:
        url: ``s3://bucket/prefix``.

    Raises:
        UserError: That kind of storage has no conditional put, or the package for it is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._files = _file_system(url)
        self._root = str(self._files._strip_protocol(self.url)).rstrip("/")

    def read(self, key: str) -> bytes | None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with troubles_of(self._named(key)):
            try:
                return bytes(self._ask("cat_file", self._at(key)))
            except FileNotFoundError:
                return None

    def write(self, key: str, content: bytes) -> None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with self._putting(key):
            self._ask("pipe_file", self._at(key), content)

    def create(self, key: str, content: bytes) -> bool:
        """See `benchmark.launchers.mirror.store.Store`.

        A put whose answer was lost is sent again by the library, and is refused then: what is there tells whose it is.
        """
        with self._putting(key):
            try:
                self._ask("pipe_file", self._at(key), content, mode="create")
            except FileExistsError:
                return self.read(key) == content
        return True

    def send(self, path: Path, key: str) -> None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with self._putting(key):
            self._ask("put_file", str(path), self._at(key), size=path.stat().st_size)

    def fetch(self, key: str, path: Path) -> bool:
        """See `benchmark.launchers.mirror.store.Store`."""
        with troubles_of(self._named(key)):
            try:
                self._ask("get_file", self._at(key), str(path), size=math.inf)
            except FileNotFoundError:
                return False
        return True

    def keys(self, folder: str) -> list[str]:
        """See `benchmark.launchers.mirror.store.Store`."""
        with troubles_of(self._named(folder)):
            try:
                found = self._ask("ls", self._at(folder), detail=False)
            except FileNotFoundError:
                return []
        return sorted(f"{folder}/{name.rstrip('/').rpartition('/')[2]}" for name in found)

    def written_s(self, key: str) -> float | None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with troubles_of(self._named(key)):
            try:
                return float(self._ask("modified", self._at(key)).timestamp())
            except (FileNotFoundError, NotImplementedError):
                return None

    def remove(self, key: str) -> None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with troubles_of(self._named(key)), suppress(FileNotFoundError):
            self._ask("rm_file", self._at(key))

    def tidy(self, folder: str) -> None:
        """See `benchmark.launchers.mirror.store.Store`: what a put has left is no object, and the bucket's to remove.

        Uploads in parts are listed and ended for a whole bucket at once, others' among them.
        """

    @contextmanager
    def _putting(self, key: str) -> Iterator[None]:
        """Where something is put, that a file is not found means its bucket."""
        with troubles_of(self._named(key)):
            try:
                yield
            except FileNotFoundError as error:
                raise StoreTrouble(self._named(key), why(error)) from error

    def _ask(self, call: str, *given: object, size: float = 0, **more: object) -> Any:
        """What the file system answers, within a time: aiobotocore waits for ever to be told that it may send.

        Args:
            call: Name of the method.
            given: Its arguments.
            size: Bytes that are to be carried; infinite where nobody knows, and the library itself gives up in time.
            more: Its further arguments.
        """
        from fsspec.asyn import sync
        from fsspec.exceptions import FSTimeoutError

        own = getattr(self._files, f"_{call}", None)
        if own is None or not self._files.async_impl:
            return getattr(self._files, call)(*given, **more)
        limit_s = None if math.isinf(size) else _LIMIT_S + size / _SLOWEST
        try:
            return sync(self._files.loop, own, *given, timeout=limit_s, **more)
        except FSTimeoutError:
            raise StoreTrouble(self.url, f"no answer within {limit_s:g} s") from None

    def _at(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _named(self, key: str) -> str:
        return f"{self.url}/{key}"


def _file_system(url: str) -> AbstractFileSystem:
    """Of this process, and of this store alone: what was listed before tells nothing of now."""
    import fsspec

    kind = url.partition("://")[0].lower()
    _check_known(kind, url)
    settings: dict[str, object] = {"skip_instance_cache": True, "use_listings_cache": False}
    if kind in _S3:
        settings["config_kwargs"] = dict(_CONFIG)
    try:
        files = fsspec.filesystem(kind, **settings)
        if kind in _S3:
            files.retries = 1  # of all that the line above says, five times over
        return files
    except Exception as error:  # whatever the library wants to be told
        raise UserError(f"cluster.store: {url}: {why(error)}") from error


def _check_known(kind: str, url: str) -> None:
    """Sees to it that a kind of URL can be used for what several machines write.

    Raises:
        UserError: It cannot.
    """
    import fsspec

    if kind not in _PACKAGES:
        raise UserError(
            f"cluster.store: {url}: {kind}:// is not known to put a file only where there is none, so that of two jobs "
            f"of one run both would go on; write a whole path, or one of {', '.join(sorted(_PACKAGES))}"
        )
    try:
        fsspec.get_filesystem_class(kind)
    except ImportError as error:
        raise UserError(
            f"cluster.store: {url}: {why(error)}: pip install {_PACKAGES[kind]}, here and on the nodes"
        ) from None
