"""Runs what is missing: jobs side by side on slots, each watched until it has a record or is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmark.files import write_json
from benchmark.launchers import Job, Launcher
from benchmark.launchers.living import living_job
from benchmark.locks import patience_s
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.prepare import prepare, set_aside
from benchmark.run.record import State
from benchmark.run.state import Planned, look_again
from benchmark.sweep.base import Source, Watcher

POLL_S = 0.1


@dataclass(frozen=True)
class _Active:
    run: Planned
    job: Job
    resources: Resources


class Sweep:
    """Runs what a source gives, as many side by side as the launcher has slots."""

    def __init__(
        self, launcher: Launcher, options: Callable[[Resources], JobOptions], watcher: Watcher
    ) -> None:
        self.launcher = launcher
        self.options = options
        self.watcher = watcher
        self._active: list[_Active] = []
        self._ended: list[Planned] = []
        self._patience_s = patience_s()

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
        pool = self.launcher.pool
        while (gpus := source.gpus()) is not None:
            resources = pool.acquire(gpus)
            if resources is None:
                return
            run = source.take()
            if run is None:
                pool.release(resources)
            else:
                self._start(run, resources)

    def _start(self, run: Planned, resources: Resources) -> None:
        self.watcher.started(replace(run, state=State.RUNNING, record=None))
        if run.record is None and run.folder.finished:
            # A job that has outlived its driver has ended since this was planned.
            self.launcher.pool.release(resources)
            self._judge(run, "")
        else:
            job = living_job(run.folder)  # of a driver before this one
            if job is None or not job.outlives_driver:
                job = self._submitted(run, resources)
            self._active.append(_Active(run, job, resources))

    def _submitted(self, run: Planned, resources: Resources) -> Job:
        if run.record is not None:
            set_aside(run)
        prepare(run)
        return self.launcher.submit(run.folder.path, self.options(resources))

    def _collect(self) -> None:
        for active in [active for active in self._active if active.job.ended()]:
            self._active.remove(active)
            self.launcher.pool.release(active.resources)
            self._judge(active.run, active.job.exit_text())

    def _judge(self, run: Planned, exit_text: str) -> None:
        found = look_again(run)
        if found.record is None:
            found = replace(found, state=State.LOST)
        self._ended.append(found)
        self.watcher.ended(found, cause(found, exit_text))

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
