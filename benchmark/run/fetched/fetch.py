"""Fetches the weights that are not on this machine, one process at a time, before any job needs them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmark.errors import MachineError, UserError, fault_of, not_written, remedy
from benchmark.files import write_refused
from benchmark.locks import Held, acquire, patience_s
from benchmark.run.contents import Contents
from benchmark.run.fetched.download import Network, NotFetched
from benchmark.run.fetched.needs import Looked, Need, look, note_origin
from benchmark.run.fetched.places import hub, servers
from benchmark.run.fetched.stream import Told

_LOCK = ".detboard.lock"
_PART = ".part"
_SIZES_S = 2.0

Begun = Callable[[Need], Told]
"""Hears which file is fetched; returns what hears of its progress."""


def missing(needs: Sequence[Need], contents: Contents) -> list[Looked]:
    """The files that are not on this machine, or not sound; hashes are remembered in ``contents``."""
    return [found for need in needs if (found := look(need, contents)).path is None]


def measured_sizes(needs: Sequence[Need]) -> Mapping[Need, int]:
    """Bytes of files that are not here, as far as their servers say so within 2 s; offline it takes no longer."""
    network, known = Network(), dict[Need, int]()

    def ask(need: Need) -> None:
        count = network.size(servers(need.url), _SIZES_S)
        if count is not None:
            known[need] = count

    # Looking up a name cannot be ended: whoever still waits is left behind.
    asking = [threading.Thread(target=ask, args=(need,), daemon=True) for need in needs]
    for thread in asking:
        thread.start()
    end = time.monotonic() + _SIZES_S
    for thread in asking:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(known)


def fetch(
    needs: Sequence[Need], contents: Contents, begun: Begun, say: Callable[[str], None]
) -> dict[Need, str]:
    """Fetches what is not on this machine into torch's hub; each file is whole there, or absent.

    Args:
        needs: Files; those that are here are left alone.
        contents: Remembers hashes.
        begun: Hears of each file.
        say: Hears that another process fetches, for which this one waits.

    Returns:
        Why a file could not be fetched, for each of them.

    Raises:
        MachineError: The file system says no.
        UserError: Torch's hub is in a place that takes no files.
    """
    if not missing(needs, contents):
        return {}
    failed: dict[Need, str] = {}
    network = Network()
    with _alone(hub(), say):
        for found in missing(needs, contents):  # another process may have fetched some meanwhile
            try:
                _fetch_one(found.need, network, begun(found.need))
            except NotFetched as error:
                failed[found.need] = str(error)
            except OSError as error:
                raise _not_kept(hub() / found.need.name, error) from None
    return failed


def _not_kept(path: Path, error: OSError) -> UserError | MachineError:
    """What ends a fetch that cannot write; of a disk that is full, what has come stays, and is gone on from."""
    if fault_of(error) is None:
        return not_written(path, error)
    return MachineError(
        f"{path}: cannot be written",
        error,
        f"what has come of it is in {path.name}{_PART}: {remedy(error)}, and give the same command again",
    )


def _fetch_one(need: Need, network: Network, told: Told) -> None:
    path = hub() / need.name
    part = path.with_name(f"{path.name}{_PART}")
    network.bring(servers(need.url), part, need.name, told)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    note_origin(need, path)


@contextmanager
def _alone(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Holds the folder's lock; waits for another process that fetches, as long as its files grow."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        refused = write_refused(folder)
    except OSError as error:
        refused = error
    if refused is not None:
        raise MachineError(
            f"{folder}: weights cannot be put there",
            refused,
            f"{remedy(refused)}, or set TORCH_HOME to a folder that takes files",
        )
    lock, seen = None, -1.0
    while lock is None:
        try:
            lock = acquire(folder / _LOCK, timeout_s=0 if seen < 0 else patience_s())
        except Held as held:
            now = _changed(folder)
            if now == seen:
                raise MachineError(
                    f"{folder}: another process ({held.who}) fetches weights",
                    f"and none has come for {patience_s():.0f} s",
                    f"end it, and give the same command again{held.advice}",
                ) from None
            if seen < 0:
                say(f"another process ({held.who}) fetches weights into {folder}: waiting for it")
            seen = now
    try:
        yield
    finally:
        lock.release()


def _changed(folder: Path) -> float:
    """When the last piece of a file came."""
    times = []
    for path in folder.glob(f"*{_PART}"):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)
