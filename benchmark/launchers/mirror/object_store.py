"""A store that is object storage, or whatever else fsspec knows: S3 by s3fs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import UserError, why
from benchmark.launchers.mirror.store import StoreTrouble, troubles_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_S3 = ("s3", "s3a")
_CONNECT_S = 10
# Else a store that is away keeps the driver for minutes with every call.
_CONFIG: Mapping[str, object] = {
    "connect_timeout": _CONNECT_S,
    "read_timeout": 60,
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
                return bytes(self._files.cat_file(self._at(key)))
            except FileNotFoundError:
                return None

    def write(self, key: str, content: bytes) -> None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with self._putting(key):
            self._files.pipe_file(self._at(key), content)

    def create(self, key: str, content: bytes) -> bool:
        """See `benchmark.launchers.mirror.store.Store`.

        A put whose answer was lost is sent again by the library, and is refused then: what is there tells whose it is.
        """
        with self._putting(key):
            try:
                self._files.pipe_file(self._at(key), content, mode="create")
            except FileExistsError:
                return self.read(key) == content
        return True

    def send(self, path: Path, key: str) -> None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with self._putting(key):
            self._files.put_file(str(path), self._at(key))

    def fetch(self, key: str, path: Path) -> bool:
        """See `benchmark.launchers.mirror.store.Store`."""
        with troubles_of(self._named(key)):
            try:
                self._files.get_file(self._at(key), str(path))
            except FileNotFoundError:
                return False
        return True

    def keys(self, folder: str) -> list[str]:
        """See `benchmark.launchers.mirror.store.Store`."""
        with troubles_of(self._named(folder)):
            try:
                found = self._files.ls(self._at(folder), detail=False)
            except FileNotFoundError:
                return []
        return sorted(f"{folder}/{name.rstrip('/').rpartition('/')[2]}" for name in found)

    def written_s(self, key: str) -> float | None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with troubles_of(self._named(key)):
            try:
                return float(self._files.modified(self._at(key)).timestamp())
            except (FileNotFoundError, NotImplementedError):
                return None

    def remove(self, key: str) -> None:
        """See `benchmark.launchers.mirror.store.Store`."""
        with troubles_of(self._named(key)), suppress(FileNotFoundError):
            self._files.rm_file(self._at(key))

    @contextmanager
    def _putting(self, key: str) -> Iterator[None]:
        """Where something is put, that a file is not found means its bucket."""
        with troubles_of(self._named(key)):
            try:
                yield
            except FileNotFoundError as error:
                raise StoreTrouble(self._named(key), why(error)) from error

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
        return fsspec.filesystem(kind, **settings)
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
