"""A run's folder out of its store: whole files alone, and the record after all that it speaks of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmark.files import replacing, sha256_file
from benchmark.launchers.mirror.listing import (
    GROWING,
    PART,
    Listing,
    Mirrored,
    newest_listing,
    object_key,
    sha256,
)
from benchmark.launchers.mirror.sending import CHECKPOINTS, LAST, is_left_out
from benchmark.launchers.mirror.store import Store, StoreTrouble

_MOST_LOOKS = 5


class _Gone(Exception):
    """An object is not there any more: a newer listing does without it."""


class _Damaged(StoreTrouble):
    """An object does not hold what it is called by."""


class Fetcher:
    """Brings a run's files into a folder, each when it has changed.

    Args:
        store: Where they lie.
        run: The run's key there.
        folder: The run's folder.
        own: Files that are left as they are here.

    Attributes:
        damaged: Checkpoints that were passed over, of a run that has not ended: there may be another before.
    """

    def __init__(self, store: Store, run: str, folder: Path, own: tuple[str, ...] = ()) -> None:
        self._store = store
        self._run = run
        self._folder = folder
        self._own = own
        self._have: dict[str, Mirrored] = {}
        self.damaged: list[str] = []

    def knows(self, listing: Listing) -> None:
        """Notes that the folder holds what was just put."""
        self._have = dict(listing.files)

    def bring(self, everything: bool) -> Listing | None:
        """Brings what is new.

        Args:
            everything: The job has ended: its checkpoints, too, and last of all what says that the run has ended.

        Returns:
            What lies in the store, None if nothing does.

        Raises:
            StoreTrouble: The store does not answer, or holds something else than its listing says.
        """
        for _ in range(_MOST_LOOKS):
            listing = newest_listing(self._store, self._run)
            try:
                self._bring_all(listing.files if listing else {}, everything)
            except _Gone:
                continue
            return listing
        raise StoreTrouble(f"{self._store.url}/{self._run}", "files are missing that it lists")

    def _bring_all(self, files: Mapping[str, Mirrored], everything: bool) -> None:
        for name, file in _in_order(files, everything):
            if name in self._own or is_left_out(name):
                continue
            try:
                self._bring(name, file)
            except _Damaged:
                if "record.json" in files or not name.startswith(f"{CHECKPOINTS}/"):
                    raise
                self.damaged.append(name)

    def _bring(self, name: str, file: Mirrored) -> None:
        path = self._folder / name
        if self._have.get(name) == file and path.exists():
            return
        if name in GROWING:
            self._bring_grown(path, file)
        elif not _holds(path, file):
            self._bring_whole(path, file)
        self._have[name] = file

    def _bring_grown(self, path: Path, file: Mirrored) -> None:
        """Gets the parts that are new; what is there is added to where it is the beginning of what is to be there."""
        old = path.read_bytes() if path.exists() else b""
        content = b"".join(self._parts(old, file))
        if old and content.startswith(old):
            with path.open("ab") as log:
                log.write(content[len(old) :])
            return
        with replacing(path) as temporary:
            temporary.write_bytes(content)

    def _parts(self, old: bytes, file: Mirrored) -> Iterator[bytes]:
        for start, part in zip(range(0, file.size, PART), file.parts, strict=True):
            mine = old[start : start + PART]
            yield mine if sha256(mine) == part else self._object(part)

    def _object(self, part: str) -> bytes:
        content = self._store.read(object_key(self._run, part))
        if content is None:
            raise _Gone
        self._check(part, sha256(content))
        return content

    def _bring_whole(self, path: Path, file: Mirrored) -> None:
        with replacing(path) as temporary:
            if not file.parts:
                return
            (part,) = file.parts
            if not self._store.fetch(object_key(self._run, part), temporary):
                raise _Gone
            self._check(part, sha256_file(temporary))

    def _check(self, part: str, found: str) -> None:
        if found != part:
            key = f"{self._store.url}/{object_key(self._run, part)}"
            raise _Damaged(key, f"is damaged: SHA-256 {found} was found")


def _in_order(files: Mapping[str, Mirrored], everything: bool) -> Iterator[tuple[str, Mirrored]]:
    """Checkpoints before the journal, and what says that the run has ended behind all else."""
    first = [name for name in files if name.startswith(f"{CHECKPOINTS}/")] if everything else []
    last = [name for name in LAST if name in files] if everything else []
    rest = [name for name in files if not name.startswith(f"{CHECKPOINTS}/") and name not in LAST]
    return ((name, files[name]) for name in (*first, *rest, *last))


def _holds(path: Path, file: Mirrored) -> bool:
    """Whether a file holds that already."""
    try:
        return path.stat().st_size == file.size and (sha256_file(path),) == file.parts
    except OSError:
        return False
