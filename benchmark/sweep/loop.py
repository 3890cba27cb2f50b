"""Runs what is missing: jobs side by side on slots, each watched until it has a record or is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmark.files import write_json
from benchmark.launchers import Job, Launcher
from benchmark.launchers.pool import Pool
from benchmark.locks import patience_s
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.prepare import prepare, set_aside
from benchmark.run.record import State
from benchmark.run.state import Planned, look_again
from benchmark.sweep.source import Source
from benchmark.sweep.watcher import Watcher

POLL_S = 0.1


@dataclass(frozen=True)
class _Active:
    run: Planned
    job: Job
    resources: Resources


class Sweep:
    """Runs what a source gives, as many side by side as there are slots.

    Args:
        launcher: Starts the jobs.
        pool: Says how many run side by side, and on what.
        options: A job's options on given resources.
        watcher: Is told what happens.
    """

    def __init__(
        self,
        launcher: Launcher,
        pool: Pool,
        options: Callable[[Resources], JobOptions],
        watcher: Watcher,
    ) -> None:
        self.launcher = launcher
        self.pool = pool
        self.options = options
        self.watcher = watcher
        self._active: list[_Active] = []
        self._patience_s = patience_s()
        self._ended: list[Planned] = []

    def run(self, source: Source) -> list[Planned]:
        """Runs until the source is done; a run that fails does not stop the others.

        Ctrl-C asks the running jobs to end and waits for them; a second one kills them.

        Returns:
            The runs as they ended.
        """
        try:
            while self._active or not source.done():
                self._start_some(source)
                self._collect()
                self.watcher.tick()
                time.sleep(POLL_S)
        except BaseException:
            self._stop()
            raise
        finally:
            self.launcher.close()
        return self._ended

    def _start_some(self, source: Source) -> None:
        while (gpus := source.gpus()) is not None:
            resources = self.pool.acquire(gpus)
            if resources is None:
                return
            run = source.take()
            if run is None:
                self.pool.release(resources)
            else:
                self._start(run, resources)

    def _start(self, run: Planned, resources: Resources) -> None:
        if run.record is not None:
            set_aside(run)
        prepare(run)
        self.watcher.started(replace(run, state=State.RUNNING, record=None))
        job = self.launcher.submit(run.folder.path, self.options(resources))
        self._active.append(_Active(run, job, resources))

    def _collect(self) -> None:
        for active in [active for active in self._active if active.job.ended()]:
            self._active.remove(active)
            self.pool.release(active.resources)
            self._judge(active)

    def _judge(self, active: _Active) -> None:
        run = look_again(active.run)
        if run.record is None:
            run = replace(run, state=State.LOST)
        self._ended.append(run)
        self.watcher.ended(run, cause(run, active.job.exit_text()))

    def _stop(self) -> None:
        for active in self._active:
            ask_to_stop(active.run.folder, "interrupted")
        end = time.monotonic() + self._patience_s
        try:
            while any(not active.job.ended() for active in self._active) and time.monotonic() < end:
                time.sleep(POLL_S)
        finally:
            for active in self._active:
                active.job.kill()


def ask_to_stop(folder: RunFolder, state: str) -> None:
    """Asks the job to end at its next iteration: as ``pruned``, or ``interrupted`` to be continued later."""
    write_json(folder.stop_file, {"state": state}, indent=None)


def cause(run: Planned, exit_text: str) -> str:
    """Why a run is not complete, in one line; empty for one that is."""
    if run.record is None:
        return f"{exit_text} without a record; the next sweep continues it"
    if run.record.failure is None:
        return ""
    return f"{run.record.failure.kind.value}: {run.record.cause}"
