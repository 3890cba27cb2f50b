"""Jobs on this machine: forked from a server that has torch and mmdet loaded; torchrun for several GPUs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmark.experiment.cluster import Cluster
from benchmark.job.several import GONE, NO_MEMORY
from benchmark.launchers.base import Job
from benchmark.launchers.child import Surroundings, run_forked, to_json
from benchmark.launchers.layout import Part
from benchmark.launchers.machine import MachineJob, MachineLauncher, MachinePool, make_pool
from benchmark.launchers.processes import (
    KILL_S,
    ProcessOfDriver,
    cpu_seconds,
    kill_group,
    process_id,
)
from benchmark.process import signals_held
from benchmark.run.address import JobAddress, write_address
from benchmark.run.finding import Finding
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions
from benchmark.start import is_installed
from benchmark.temporary import OF_DRIVER

START = Path(__file__).parents[2] / "detboard_start.py"
"""The first module of a job's process: see there."""
_LOADED = [START.stem, "benchmark.launchers.tied", "benchmark.launchers.preload"]


class LocalLauncher(MachineLauncher):
    """Starts each job in a process, and a session, of its own.

    Args:
        slots: Runs side by side; None for one a GPU, or one without GPUs; `AUTO` of
            `benchmark.launchers.base` for as many as find memory.
    """

    name = "local"
    shares_terminal = False
    prunes = True
    finds_slots = True

    def __init__(self, slots: int | None = None, _cluster: Cluster | None = None) -> None:
        self._slots = slots

    @cached_property
    def pool(self) -> MachinePool:
        """See `benchmark.launchers.base.Launcher`."""
        return make_pool(self._slots)

    def about(self) -> Iterator[Finding]:
        """See `benchmark.launchers.base.Launcher`."""
        yield Finding(self.name, f"this machine: {self.pool.words()}")

    def obstacles(self, gpus: Mapping[str, int]) -> list[str]:
        """See `benchmark.launchers.base.Launcher`; without any GPU, a row's processes train on the CPU."""
        present = len(self.pool.gpus)
        return [
            f"row {row}: asks for {number} GPUs; this machine has {present}"
            for row, number in gpus.items()
            if present and number > present
        ]

    def submit(self, folder: Path, options: JobOptions) -> Job:
        """Starts the run at ``folder`` and returns at once."""
        self.pool.begin(options.resources, RunFolder(folder))
        job = self.start(folder, options, Surroundings())
        try:
            write_address(RunFolder(folder), self.name, process_id(job.pid))
        except OSError:
            job.kill()
            raise
        return job

    def start(self, folder: Path, options: JobOptions, around: Surroundings) -> LocalJob:
        """Starts the run at ``folder``, and leaves no address there: for a launcher that has left its own."""
        if options.resources.processes > 1:
            return Torchrun(folder, options, around)
        return self._forked(folder, options, around)

    def _forked(self, folder: Path, options: JobOptions, around: Surroundings) -> _Forked:
        place, free = self._context.Pipe(duplex=False)
        told = (str(folder), options, around, free)
        process = self._context.Process(target=run_forked, args=told, name=folder.name)
        if options.tracking.mode != "off":
            self._context.set_forkserver_preload([*_LOADED, "benchmark.launchers.preload_trackers"])
        with _apart():
            resource_tracker.ensure_running()  # it takes signals as it likes, and would undo the next line
            # In the server: Ctrl-C in the terminal is not its affair; it ends with this process.
            with signals_held(), _environment(OF_DRIVER, util.get_temp_dir()):
                forkserver.ensure_running()
        process.start()
        free.close()
        return _Forked(process, place)

    @cached_property
    def _context(self) -> ForkServerContext:
        if "OMP_WAIT_POLICY" not in os.environ:
            # OpenMP's threads wait for each other by spinning, which starves whatever else the machine does. Two
            # trainings with 2 threads each on 2 CPUs: 5 iterations/s in all, 15 with this limit; alone 14.6 and 13.5.
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_LOADED)
        return context

    def attach(self, folder: Path, address: JobAddress) -> Job | None:
        """See `benchmark.launchers.base.Launcher`: jobs of this machine can be asked."""
        return ProcessOfDriver(address.job, RunFolder(folder)) if address.from_here else None

    def close(self) -> None:
        """The forkserver ends with this process."""


class LocalJob(MachineJob, ABC):
    """A job that was started here.

    Attributes:
        pid: Of its process.
    """

    pid: int

    @abstractmethod
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it lives."""

    @abstractmethod
    def kill(self) -> None:
        """See `benchmark.launchers.base.Job`."""

    def ended(self) -> bool:
        """See `benchmark.launchers.base.Job`."""
        return self.status() is not None

    def exit_text(self) -> str:
        """See `benchmark.launchers.base.Job`."""
        return exit_text(self.status())

    def met_fault(self) -> bool:
        """See `benchmark.launchers.base.Job`."""
        return self.status() == os.EX_IOERR

    def cpu_seconds(self) -> float | None:
        """See `benchmark.launchers.base.Job`."""
        return cpu_seconds(self.pid)


class _Forked(LocalJob):
    """A job that was forked; it says to ``place`` that it leaves its place."""

    def __init__(self, process: BaseProcess, place: Connection) -> None:
        self._process = process
        self._place: Connection | None = place
        self._has_left = False
        self.pid = process.pid or 0

    def has_left_place(self) -> bool:
        """See `benchmark.launchers.base.HandsOver`."""
        if self._place is not None and self._place.poll():
            with suppress(EOFError):  # it has ended in its place
                self._has_left = bool(self._place.recv_bytes())
            self._place.close()
            self._place = None
        return self._has_left

    def signs(self) -> list[Connection | int]:
        """See `benchmark.launchers.base.HandsOver`."""
        return [self._process.sentinel, *([] if self._place is None else [self._place])]

    def status(self) -> int | None:
        return None if self._process.is_alive() else self._process.exitcode

    def kill(self) -> None:
        kill_group(self.pid)
        self._process.join(KILL_S)  # what waits for a mount that is gone may not end at all


class Torchrun(LocalJob):
    """Several processes that train together; the pipe to its standard input tells them that the driver is gone.

    Args:
        folder: The run.
        options: What they are told.
        around: Where the driver stands.
        part: Which of several nodes this is; None where it is the only one.
    """

    def __init__(
        self, folder: Path, options: JobOptions, around: Surroundings, part: Part | None = None
    ) -> None:
        # By their file: with -m, Python would look in the current folder first.
        torchrun = [sys.executable, str(START), "torchrun"]
        job = [str(START), "job", str(folder), to_json(options)]
        # It finds a free port: two such jobs on one machine do not clash.
        alone = ["--standalone", "--nproc-per-node", str(options.resources.processes)]
        name = RunFolder(folder).log_file if part is None else folder / part.log
        with name.open("ab") as log:
            self._process = subprocess.Popen(
                [*torchrun, *(alone if part is None else part.flags), *job],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=around.there,
                env={**os.environ, **around.variables, **options.resources.environment()},
            )
        self.pid = self._process.pid

    def status(self) -> int | None:
        """See `LocalJob`."""
        return self._process.poll()

    def kill(self) -> None:
        """See `benchmark.launchers.base.Job`."""
        # torchrun puts its workers in groups of their own: the closed pipe is what ends them.
        if self._process.stdin is not None:
            self._process.stdin.close()
        kill_group(self.pid)
        self._process.wait()


@contextmanager
def _apart() -> Iterator[None]:
    """What Python starts meanwhile finds our first module, and none in the folder that the user stands in."""
    before, asked = os.open(".", getattr(os, "O_PATH", os.O_RDONLY)), os.environ.get("PYTHONPATH")
    if not is_installed(START.parent):  # but a checkout
        asked = os.pathsep.join(filter(None, [asked, str(START.parent)]))
    os.chdir("/")
    try:
        with _environment("PYTHONPATH", asked):
            yield
    finally:
        os.fchdir(before)
        os.close(before)


@contextmanager
def _environment(variable: str, value: str | None) -> Iterator[None]:
    """What Python starts meanwhile has a variable; none of that name, if the value is None."""
    before = os.environ.pop(variable, None)
    if value is not None:
        os.environ[variable] = value
    try:
        yield
    finally:
        os.environ.pop(variable, None)
        if before is not None:
            os.environ[variable] = before


def exit_text(code: int | None) -> str:
    """An exit code in words, as `Job.exit_text` gives it."""
    if code is not None and code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    if code == os.EX_IOERR:
        return "a file system failed: the log says which"
    if code == NO_MEMORY:
        return "out of memory: the log says more"
    if code == GONE:
        return "a process of it is gone, or another job has its folder: the log says which"
    return f"exit status {code}"
