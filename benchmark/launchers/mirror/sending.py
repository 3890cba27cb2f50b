"""A run's folder into its store: what has changed, whole files alone, and the record after all that it speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmark.files import TEMPORARY, sha256_file
from benchmark.launchers.mirror.listing import (
    GROWING,
    PART,
    Listing,
    Mirrored,
    object_key,
    objects,
    put_listing,
    remove_before,
    sha256,
)
from benchmark.launchers.mirror.store import Store
from benchmark.launchers.mirror.turn import require
from benchmark.run import checkpoints

LAST = ("test.json", "record.json")
"""What says that a run, or its evaluation on the test split, has ended: home last, in this order."""

CHECKPOINTS = "checkpoints"
_WANDB = "wandb"
# A machine's own, or a driver's; `mmengine` is removed at the end.
_LEFT_OUT = frozenset({"asked_by", "job.json", "mmengine", "stop", "store.json"})
_LEFT_OUT_STARTS = ("job.lock", "lease.json", "pseudo-train-")
_SMALL = 16 << 20  # bytes that are read at once

_Stamp = tuple[int, int, int]


class Sender:
    """Puts a folder's files into a store, each when it has changed.

    Args:
        store: Where.
        run: The run's key there.
        number: Which holder of the run this is.
        folder: The run's folder.
        before: What lies there already.
    """

    def __init__(
        self, store: Store, run: str, number: int, folder: Path, before: Listing | None = None
    ) -> None:
        self._store = store
        self._run = run
        self._number = number
        self._folder = folder
        self._listed: Listing | None = None
        self._sent: dict[str, tuple[_Stamp, Mirrored]] = {}
        self._there = before.parts if before else set()
        self._leaving: set[str] = set()

    def push(self, last: bool = False) -> Listing:
        """Puts what is new: first all but new checkpoints, then these, with what was written meanwhile.

        So the journal in the store is never behind a checkpoint there, and a checkpoint of gigabytes holds up nobody
        who reads the journal.

        Args:
            last: The job has ended: what it has written elsewhere, for W&B, is put, too.

        Raises:
            Taken: Another has taken the run over.
            StoreTrouble: The store does not answer.
        """
        if last:
            self._store.tidy(self._run)
        # Looked for before all else: what the record speaks of was written before it.
        ended = [name for name in LAST if (self._folder / name).is_file()]
        if not self._new_checkpoints():
            return self._put(last, ended)
        self._put(last, [])
        for name in self._new_checkpoints():
            self._send(name)
        return self._put(last, ended)

    def _put(self, last: bool, ended: list[str]) -> Listing:
        names = [name for name in _names(self._folder, last) if name not in LAST]
        files: dict[str, Mirrored] = {}
        for name in (*names, *ended):
            known = name.startswith(f"{CHECKPOINTS}/")
            file = self._known(name) if known else self._send(name)
            if file is not None:
                files[name] = file
        listing = Listing(self._number, files)
        if listing != self._listed:
            put_listing(self._store, self._run, listing)
            self._forget(listing)
        return listing

    def _forget(self, listing: Listing) -> None:
        """Removes objects that no listing names any more; those of the one before may still be asked for.

        Whoever has taken the run over began with what a listing of this holder named, and may name it still.
        """
        require(self._store, self._run, self._number)
        now = listing.parts
        if self._listed is None:
            self._store.tidy(self._run)
            remove_before(self._store, self._run, self._number)
            self._leaving = objects(self._store, self._run)
        for part in self._leaving - now:
            self._store.remove(object_key(self._run, part))
            self._there.discard(part)
        self._leaving = self._there - now
        self._listed = listing

    def _new_checkpoints(self) -> list[str]:
        """What is to be put: the newest of those that a resume goes on from, and what is kept for other reasons."""
        folder = self._folder / CHECKPOINTS
        found = sorted(folder.glob("*.pth"), key=lambda path: path.name)
        resumable = checkpoints.saved(folder)
        wanted = [path for path in found if path not in resumable[1:]]
        names = [f"{CHECKPOINTS}/{path.name}" for path in wanted]
        return [name for name in names if self._known(name) is None and _is_whole(self._path(name))]

    def _known(self, name: str) -> Mirrored | None:
        """What was put of a file, if that is what it still holds."""
        stamp, file = self._sent.get(name, (None, None))
        return file if stamp is not None and stamp == _stamp(self._path(name)) else None

    def _send(self, name: str) -> Mirrored | None:
        """Puts a file; None if it is gone, or has changed meanwhile: the next time finds it."""
        known = self._known(name)
        if known is not None:
            return known
        path = self._path(name)
        stamp = _stamp(path)
        if stamp is None:
            return None
        file = self._send_whole(path) if _is_large(name, stamp) else self._send_parts(path, name)
        if file is None or (name not in GROWING and _stamp(path) != stamp):
            return None
        self._sent[name] = stamp, file
        return file

    def _send_parts(self, path: Path, name: str) -> Mirrored | None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        step = PART if name in GROWING else max(1, len(content))
        pieces = [content[start : start + step] for start in range(0, len(content), step)]
        for piece in pieces:
            if (part := sha256(piece)) not in self._there:
                self._store.write(object_key(self._run, part), piece)
                self._there.add(part)
        return Mirrored(len(content), tuple(map(sha256, pieces)))

    def _send_whole(self, path: Path) -> Mirrored | None:
        try:
            stamp, part = _stamp(path), sha256_file(path)
        except FileNotFoundError:
            return None
        if part not in self._there:
            self._store.send(path, object_key(self._run, part))
            if stamp is None or _stamp(path) != stamp:  # it is not what it is called by
                self._store.remove(object_key(self._run, part))
                return None
            self._there.add(part)
        return Mirrored(stamp[0], (part,)) if stamp else None

    def _path(self, name: str) -> Path:
        return self._folder / name


def _is_large(name: str, stamp: _Stamp) -> bool:
    return name not in GROWING and stamp[0] > _SMALL


def _is_whole(path: Path) -> bool:
    with suppress(OSError):
        return checkpoints.is_whole(path)
    return False


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _names(folder: Path, last: bool) -> Iterator[str]:
    """The files of a run that are mirrored, by their paths in its folder, sorted."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not is_left_out(name, last) and path.is_file() and not path.is_symlink():
            yield name


def is_left_out(name: str, last: bool = True) -> bool:
    """Whether a file is a machine's or a driver's own, or not yet to be put, by its path in a run's folder."""
    top, _, rest = name.partition("/")
    if top == CHECKPOINTS:
        return "/" in rest or not rest.endswith(".pth")
    if top in _LEFT_OUT or top.startswith(_LEFT_OUT_STARTS) or name.endswith(TEMPORARY):
        return True
    return top == _WANDB and not last
