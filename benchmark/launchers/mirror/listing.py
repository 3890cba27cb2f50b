"""Which files of a run lie in its store, and in which objects: one object says it, and is put after all of these.

Objects are called by what they hold, and are never written again: whoever reads a listing finds what it names, or
finds that it is gone and reads the listing again. A file is never there in parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from benchmark.files import parse_json
from benchmark.launchers.mirror.store import Store, StoreTrouble
from benchmark.run.options import JobOptions

PART = 1 << 20
"""Bytes of each part of a file that grows; the parts before the last are put once."""

GROWING = ("metrics.jsonl", "log.txt", "starts.jsonl")


@dataclass(frozen=True)
class Mirrored:
    """A file as it lies in a store.

    Attributes:
        size: In bytes.
        parts: Hex SHA-256 of what each of its objects holds, in order.
    """

    size: int
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """The files of a run in a store.

    Attributes:
        number: Of the holder that has put it, see `benchmark.launchers.mirror.turn`.
        files: By their paths in the run's folder.
    """

    number: int
    files: Mapping[str, Mirrored] = field(default_factory=dict)

    @property
    def parts(self) -> set[str]:
        """Every object that it names."""
        return {part for file in self.files.values() for part in file.parts}


def run_key(name: str, options: JobOptions) -> str:
    """Where a run lies in a store; its try-out lies elsewhere, and so does a look at a node.

    Args:
        name: Its id.
        options: What its job is told.
    """
    return f"{'tryouts' if options.try_out or options.node_check else 'runs'}/{name}"


def source_key(name: str) -> str:
    """Where a run lies in a store that others are made from."""
    return f"sources/{name}"


def object_key(run: str, part: str) -> str:
    """The object that holds what has this SHA-256."""
    return f"{run}/objects/{part}"


def objects(store: Store, run: str) -> set[str]:
    """The SHA-256 of every object of a run, named by a listing or not."""
    return {key.rpartition("/")[2] for key in store.keys(f"{run}/objects")}


def sha256(content: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(content).hexdigest()


def put_listing(store: Store, run: str, listing: Listing) -> None:
    """Puts a listing, in the place of the holder's last.

    Raises:
        StoreTrouble: The store does not answer.
    """
    files = {name: asdict(file) for name, file in listing.files.items()}
    store.write(_key(run, listing.number), json.dumps({"files": files}).encode())


def newest_listing(store: Store, run: str) -> Listing | None:
    """What the newest holder has put that has put anything; None if none has.

    Raises:
        StoreTrouble: The store does not answer, or gives what is no listing.
    """
    for key in reversed([key for key in store.keys(f"{run}/listings") if key.endswith(".json")]):
        content = store.read(key)
        if content is not None:
            return _read(store, key, content)
    return None


def remove_before(store: Store, run: str, number: int) -> None:
    """Removes the listings of holders before this one."""
    for key in store.keys(f"{run}/listings"):
        if key < _key(run, number):
            store.remove(key)


def _read(store: Store, key: str, content: bytes) -> Listing:
    try:
        files = parse_json(content)["files"].items()
        number = int(key.rpartition("/")[2].partition(".")[0])
        return Listing(number, {name: _mirrored(name, value) for name, value in files})
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StoreTrouble(f"{store.url}/{key}", f"is no listing of a run ({error})") from None


def _mirrored(name: str, value: Mapping[str, object]) -> Mirrored:
    """A file, whose name leads nowhere else.

    Raises:
        ValueError: It does.
    """
    steps = name.split("/")
    if name.startswith("/") or ".." in steps or "\0" in name or not all(steps):
        raise ValueError(f"{name!r} is no file of a run")
    parts = value["parts"]
    if not isinstance(parts, list):
        raise TypeError("parts")
    return Mirrored(int(str(value["size"])), tuple(map(str, parts)))


def _key(run: str, number: int) -> str:
    return f"{run}/listings/{number:06}.json"
