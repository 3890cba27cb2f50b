"""Runs a job in the calling process: for debuggers. One run at a time, on all devices that are visible."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import TextIO, cast

from benchmark.errors import told
from benchmark.experiment.cluster import Cluster
from benchmark.job.failures import of_machine
from benchmark.job.job import run_job
from benchmark.launchers.base import Job
from benchmark.launchers.machine import MachineJob, MachineLauncher, MachinePool, make_pool
from benchmark.launchers.processes import lock_holder, process_id
from benchmark.run.address import JobAddress, write_address
from benchmark.run.finding import Finding
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions
from benchmark.writing.plain_stream import bare, plain_log


class _Done(MachineJob):
    def __init__(self, fault: str = "") -> None:
        self._fault = fault

    def ended(self) -> bool:
        return True

    def exit_text(self) -> str:
        return self._fault or "ended in this process"

    def met_fault(self) -> bool:
        return bool(self._fault)

    def cpu_seconds(self) -> None:
        """It has none any more."""

    def kill(self) -> None:
        """Nothing to end: the run is over when `InProcessLauncher.submit` returns."""


class InProcessLauncher(MachineLauncher):
    """Runs jobs one after the other in the calling process.

    Args:
        slots: As `benchmark.launchers.local.LocalLauncher` has them; only one is ever taken.
    """

    name = "inprocess"
    shares_terminal = True  # a debugger could not be used under a live table
    prunes = False

    def __init__(self, slots: int | None = None, _cluster: Cluster | None = None) -> None:
        self._slots = slots

    @cached_property
    def pool(self) -> MachinePool:
        """See `benchmark.launchers.base.Launcher`."""
        return make_pool(self._slots)

    def about(self) -> Iterator[Finding]:
        """See `benchmark.launchers.base.Launcher`."""
        yield Finding(self.name, f"this process, a run at a time: {self.pool.words()}")

    def obstacles(self, gpus: Mapping[str, int]) -> list[str]:
        """See `benchmark.launchers.base.Launcher`."""
        return [
            f"row {row}: --launcher {self.name} runs one process: use local for a row with gpus > 1"
            for row, number in gpus.items()
            if number > 1
        ]

    def submit(self, folder: Path, options: JobOptions) -> _Done:
        """Runs the job at ``folder`` to its end."""
        write_address(RunFolder(folder), self.name, process_id(os.getpid()))
        try:
            with _also_into(RunFolder(folder).log_file):
                run_job(folder, options)
        except Exception as error:
            fault = of_machine(error, RunFolder(folder))
            if fault is None:
                raise
            return _Done(told(fault))
        return _Done()

    def attach(self, folder: Path, address: JobAddress) -> Job | None:
        """See `benchmark.launchers.base.Launcher`: while the driver is in the run, it holds the run's lock."""
        return lock_holder(RunFolder(folder)) or _Done() if address.from_here else None

    def close(self) -> None:
        """Nothing is held."""


class _Tee:
    def __init__(self, *streams: TextIO) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._open():
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self._open():
            stream.flush()

    def _open(self) -> Iterator[TextIO]:
        # A logger that the job set up keeps it beyond its end, when its log is closed.
        return (stream for stream in self._streams if not stream.closed)

    def isatty(self) -> bool:
        return False


def _plain(stream: TextIO, log: TextIO) -> TextIO:
    return plain_log(cast("TextIO", _Tee(bare(stream), log)))


@contextmanager
def _also_into(path: Path) -> Iterator[None]:
    """Writes what the job prints to ``path`` as well as to the terminal."""
    with ExitStack() as stack:
        log = stack.enter_context(path.open("a", encoding="utf-8", buffering=1))
        stack.enter_context(redirect_stdout(_plain(sys.stdout, log)))
        stack.enter_context(redirect_stderr(_plain(sys.stderr, log)))
        yield
