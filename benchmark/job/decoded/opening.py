"""From what a job is told to the store that its transforms ask."""

from __future__ import annotations

from benchmark.errors import why
from benchmark.job.decoded.arena import MOST, Arena, make_arena, open_arena
from benchmark.job.decoded.folder import Folder, folder_of_images
from benchmark.job.decoded.store import Store
from benchmark.run.devices import memory_room
from benchmark.run.journal import now
from benchmark.run.options import Caching


def memory_for(gib: float | None, processes: int = 1) -> Arena:
    """Memory for images; without a limit of its own it takes up to half of what is free now.

    Args:
        gib: How much it takes at most.
        processes: How many share that, each with an arena of its own.

    Raises:
        OSError: There is none.
    """
    whole = gib * 2**30 if gib is not None else memory_room().free_mib * 2**20 / 2
    return make_arena(int(min(whole / processes, MOST)))


class _Open:
    """What is in use."""

    store: Store | None = None


def use(caching: Caching, processes: int) -> None:
    """Has this process, and the loader workers that it forks, keep decoded images from now on, or not.

    Where that cannot be done, images are loaded from their files, and the log says so.

    Args:
        caching: What the job is told.
        processes: How many train together, see `_store`.
    """
    before, _Open.store = _Open.store, None
    if before is not None:
        before.close()
    if caching.kind != "off":
        try:
            _Open.store = _store(caching, processes)
        except OSError as error:
            print(f"{now()} cache: {why(error)}; images are loaded from their files", flush=True)
    if before is not None or _Open.store is not None:
        from benchmark.job.decoded.transforms import ask

        ask(_Open.store)


def _store(caching: Caching, processes: int) -> Store:
    """The store; where the driver's memory is on another machine, each process has some of its own."""
    if caching.kind == "disk":
        return Folder(folder_of_images(), caching.gib, caching.since)
    shared = open_arena(caching.memory, caching.token) if caching.memory else None
    return shared or memory_for(caching.gib, processes)
