"""A launcher whose jobs do not see this machine's disk: their run folders go there and come back through a store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from benchmark.experiment.cluster import Cluster
from benchmark.launchers.base import Job, Launcher, Pool
from benchmark.launchers.mirror.listing import newest_listing, run_key, source_key
from benchmark.launchers.mirror.needed import sources_of
from benchmark.launchers.mirror.sending import Sender
from benchmark.launchers.mirror.sent import Sent, read_sent
from benchmark.launchers.mirror.store import Store, StoreTrouble, open_store, problem_with
from benchmark.launchers.mirror.stored_job import Home, StoredJob
from benchmark.launchers.mirror.turn import Taken, Turn, is_held, take
from benchmark.locks import patience_s
from benchmark.run.address import JobAddress
from benchmark.run.finding import Finding
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions

_RETRY_S = 2.0
_MOST_TAKES = 5
_DRIVER = "a sweep that sends it"


opened = lru_cache(maxsize=8)(open_store)
"""The store at a path or URL, opened once in this process: a plan may ask for a thousand runs."""


class Stored:
    """Any launcher, with a store between its jobs and the results folder.

    Args:
        launcher: Starts the jobs, with `JobOptions.store`.
        cluster: What is asked of the cluster; it names the store.
    """

    heeds_cluster = True
    mirrors = True

    def __init__(self, launcher: Launcher, cluster: Cluster) -> None:
        self._launcher = launcher
        self._cluster = cluster

    @property
    def name(self) -> str:
        """See `benchmark.launchers.base.Launcher`."""
        return self._launcher.name

    @property
    def shares_terminal(self) -> bool:
        """See `benchmark.launchers.base.Launcher`."""
        return self._launcher.shares_terminal

    @property
    def outlives_driver(self) -> bool:
        """See `benchmark.launchers.base.Launcher`."""
        return self._launcher.outlives_driver

    @property
    def prunes(self) -> bool:
        """See `benchmark.launchers.base.Launcher`."""
        return self._launcher.prunes

    @property
    def pool(self) -> Pool:
        """See `benchmark.launchers.base.Launcher`."""
        return self._launcher.pool

    def about(self) -> Iterator[Finding]:
        """See `benchmark.launchers.base.Launcher`: the store's, too."""
        yield from self._launcher.about()
        problem = problem_with(self._url)
        yield Finding("store", self._url, problem, bool(problem))

    def obstacles(self, gpus: Mapping[str, int]) -> list[str]:
        """See `benchmark.launchers.base.Launcher`: the store's, too."""
        problem = problem_with(self._url)
        return [*self._launcher.obstacles(gpus), *([problem] if problem else [])]

    def submit(self, folder: Path, options: JobOptions) -> Job:
        """Puts the run into the store, and starts its job; one of somebody else's that is at work is watched.

        Raises:
            StoreTrouble: The store does not answer.
        """
        run, path = run_key(folder.name, options), RunFolder(folder)
        end = time.monotonic() + patience_s()
        while True:
            try:
                home = self._send(path, run)
                break
            except StoreTrouble as trouble:
                if trouble.lasts or time.monotonic() > end:
                    raise
            time.sleep(_RETRY_S)
        inner = None
        if home.sent.number:
            inner = self._launcher.submit(folder, replace(options, store=self._url))
        return StoredJob(inner, home)

    def _send(self, folder: RunFolder, run: str) -> Home:
        """Puts a run into the store; or nothing, where a job of another results folder works on it there."""
        store, before = opened(self._url), read_sent(folder)
        if (before is None or not before.number) and is_held(store, run):
            sent = Sent(self._url, run, 0)
            sent.note(folder)
            return Home(store, folder, sent)
        if before is not None and not before.home:
            Home(opened(before.store), folder, before).bring(everything=True)
        turn = _taken(store, run)
        store.remove(f"{run}/stop")
        there = newest_listing(store, run)
        try:
            listing = Sender(store, run, turn.number, folder.path, there).push()
        except Taken as taken:  # by another driver: its job is watched when this is tried again
            raise StoreTrouble(f"{store.url}/{run}", str(taken)) from taken
        self._send_sources(folder)
        turn.release()
        sent = Sent(self._url, run, turn.number, tuple(listing.files))
        sent.note(folder)
        return Home(store, folder, sent, listing)

    def _send_sources(self, folder: RunFolder) -> None:
        store = opened(self._url)
        for name in sources_of(folder):
            run = source_key(name)
            path = folder.path.with_name(name)
            Sender(store, run, 1, path, newest_listing(store, run)).push()

    def flush(self) -> None:
        """See `benchmark.launchers.base.Launcher`."""
        self._launcher.flush()

    def script(self, folder: Path, options: JobOptions) -> str:
        """See `benchmark.launchers.base.Launcher`."""
        script = self._launcher.script(folder, replace(options, store=self._url))
        return f"{script}; its run folder goes through {self._url}" if script else ""

    def attach(self, folder: Path, address: JobAddress) -> Job | None:
        """See `benchmark.launchers.base.Launcher`: else by whose turn it is in the store."""
        path = RunFolder(folder)
        inner, sent = self._launcher.attach(folder, address), read_sent(path)
        if sent is None or sent.home:
            return inner
        return StoredJob(inner, Home(opened(sent.store), path, sent))

    def close(self) -> None:
        """See `benchmark.launchers.base.Launcher`."""
        self._launcher.close()

    @property
    def _url(self) -> str:
        return self._cluster.store or ""


def of_folder(launcher: Launcher, folder: RunFolder) -> Launcher:
    """The launcher that finds a folder's job: through the store that the folder was sent to, if it was."""
    sent = None if isinstance(launcher, Stored) else read_sent(folder)
    return launcher if sent is None else Stored(launcher, Cluster(store=sent.store))


def _taken(store: Store, run: str) -> Turn:
    """A run, for this driver: whoever held it is known to have ended, or finds that it has been replaced.

    Raises:
        StoreTrouble: Others take it all the time.
    """
    for _ in range(_MOST_TAKES):
        turn = take(store, run, _DRIVER)
        if turn is not None:
            return turn
    raise StoreTrouble(f"{store.url}/{run}", "others take it at the same moment")
