"""What a sweep has for decoded images: memory that its jobs share, or a folder that outlives it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from benchmark.errors import why
from benchmark.experiment.cache import ImageCache
from benchmark.job.decoded.arena import Arena
from benchmark.job.decoded.folder import Folder, folder_of_images
from benchmark.job.decoded.opening import memory_for, use
from benchmark.launchers import Launcher
from benchmark.run.options import Caching
from benchmark.writing.words import size

_GIB = 2**30


@contextmanager
def caching(asked: ImageCache, launcher: Launcher) -> Iterator[Caching]:
    """What the jobs of a sweep are told of decoded images, while it lasts; says how many are kept, and where.

    Jobs of this machine share the memory, which is gone with the last of them. A job of a cluster has some of its own,
    and a folder on its node.
    """
    told = Caching(asked.kind, asked.gib, time.time()) if asked.kind != "off" else Caching()
    if asked.kind == "off" or launcher.outlives_driver:
        yield told
        return
    try:
        store = memory_for(asked.gib) if asked.kind == "ram" else _folder(told)
    except OSError as error:
        print(
            f"warning: cache: {asked}: {why(error)}; images are loaded from their files",
            file=sys.stderr,
        )
        yield Caching()
        return
    with closing(store):
        try:
            yield _shared(told, store)
        finally:
            use(Caching(), 1)  # of jobs that ran in this process
            if isinstance(store, Arena):
                images, taken = store.holds
                print(f"{images} decoded images were kept in {size(taken)} of memory")


def _folder(told: Caching) -> Folder:
    return Folder(folder_of_images(), told.gib, told.since)


def _shared(told: Caching, store: Arena | Folder) -> Caching:
    if isinstance(store, Folder):
        room = f"up to {store.limit / _GIB:.1f} GiB; {size(store.holds)} are there"
        print(f"decoded images are kept in {folder_of_images()}: {room}")
        return told
    print(f"decoded images are kept in memory: up to {store.limit / _GIB:.1f} GiB")
    return replace(told, memory=store.path, token=store.token)
