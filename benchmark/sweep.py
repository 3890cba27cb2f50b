"""Runs what is missing: jobs side by side on slots, each watched until it has a record or is gone."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from benchmark import locks
from benchmark.data.check import Findings, check
from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.job import JobOptions
from benchmark.launchers import Job, Launcher
from benchmark.plan import Plan, Planned, look_again, prepare, set_aside, wait_for_orphans
from benchmark.processes import is_python, kill_group
from benchmark.resources import Pool, Resources
from benchmark.run import RunFolder, State

POLL_S = 0.1
STOP_PATIENCE_S = 60.0


class Watcher(Protocol):
    """Sees a sweep as it goes; `benchmark.progress` shows it to a person."""

    def started(self, run: Planned) -> None:
        """A job was started."""

    def ended(self, run: Planned, cause: str) -> None:
        """A job ended; ``run`` has its new state, ``cause`` says why if that is not ``complete``."""

    def tick(self) -> None:
        """A moment has passed."""


class Source(Protocol):
    """Where the runs come from: a list of them, or a study that thinks of the next one."""

    def gpus(self) -> int | None:
        """Number of GPUs that the next run trains on; None while there is none to start."""

    def take(self) -> Planned | None:
        """The next run; None if it turns out that there is nothing to run."""

    def done(self) -> bool:
        """Whether no run will come any more."""


class Listed:
    """The runs of a list, in order."""

    def __init__(self, runs: Sequence[Planned]) -> None:
        self._waiting = list(runs)

    def gpus(self) -> int | None:
        """See `Source`."""
        return self._waiting[0].spec.gpus if self._waiting else None

    def take(self) -> Planned:
        """See `Source`."""
        return self._waiting.pop(0)

    def done(self) -> bool:
        """See `Source`."""
        return not self._waiting


@dataclass(frozen=True)
class _Active:
    run: Planned
    job: Job
    resources: Resources


@contextmanager
def only_driver(results: Path) -> Iterator[None]:
    """Holds the results folder for one driver.

    Raises:
        UserError: Another driver holds it.
    """
    try:
        lock = locks.acquire(results / "runs" / ".driver.lock")
    except locks.Held as held:
        raise UserError(
            f"another sweep or study ({held.who}) works on {results}: wait for it, or use another --results"
        ) from None
    try:
        yield
    finally:
        lock.release()


def missing(plan: Plan, retry: Iterable[State] = ()) -> list[Planned]:
    """The runs that have no record, and those whose state is to be tried again."""
    again = set(retry)
    return [run for run in plan.runs if run.record is None or run.state in again]


def obstacles(plan: Plan, gpus: Sequence[str]) -> Findings:
    """What would make runs fail, found before any of them starts: the data, and GPUs that are not there."""
    found = check(plan.dataset)
    too_few = [
        f"row {row.name}: asks for {row.gpus} GPUs; this machine has {len(gpus)}"
        for row in plan.rows
        if gpus and row.gpus > len(gpus)
    ]
    return replace(found, errors=[*found.errors, *too_few])


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

    def run(self, source: Source) -> None:
        """Runs until the source is done; a run that fails does not stop the others.

        Ctrl-C asks the running jobs to end and waits for them; a second one kills them.
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
        self.watcher.ended(run, cause(run, active.job.exit_text()))

    def _stop(self) -> None:
        for active in self._active:
            ask_to_stop(active.run.folder, "interrupted")
        end = time.monotonic() + STOP_PATIENCE_S
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
    return f"{run.record.failure['kind']}: {run.record.cause}"


def end_orphans(runs: Sequence[Planned]) -> None:
    """Ends jobs that have outlived their driver.

    Raises:
        UserError: A job holds a folder on another machine.
    """
    for run in wait_for_orphans(runs):
        held = locks.Held(run.folder.lock_file)
        if held.pid is None or held.host != socket.gethostname():
            raise UserError(f"{run.folder.path}: its job ({held.who}) still runs: end it first")
        if is_python(held.pid):
            kill_group(held.pid)
        if wait_for_orphans([run]):
            raise UserError(f"{run.folder.path}: its job ({held.who}) cannot be ended")
