"""Two processes that train a run together, forked from a server that has loaded all, and has run nothing.

Forks of the process that tests would wait for ever for threads of torch that it has used before.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from command import Bench

from benchmark.experiment.experiment import Tracking
from benchmark.job.job import run_job
from benchmark.launchers.child import _ending_with_fault, _log_to
from benchmark.launchers.local import LocalLauncher, _apart
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.record import RunRecord

TWO = JobOptions(Tracking(mode="off"), Resources(gpus=(), threads=1, processes=2), leased=True)
SOON_S = 120.0


def nothing() -> None:
    """What happens in each process before it begins, unless a test says otherwise."""


def start_two(folder: RunFolder, meanwhile: Callable[[], object] = nothing) -> list[BaseProcess]:
    """Starts both; each has a log of its own, ``log-0.txt`` and ``log-1.txt``; ``meanwhile`` can be pickled."""
    context = LocalLauncher(1)._context
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made: list[BaseProcess] = [
        context.Process(target=_one, args=(folder, rank, port, meanwhile)) for rank in range(2)
    ]
    with _apart():
        for process in made:
            process.start()
    return made


def _one(folder: RunFolder, rank: int, port: int, meanwhile: Callable[[], object]) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    _log_to(folder.path / f"log-{rank}.txt")
    with _ending_with_fault(folder):
        meanwhile()
        run_job(folder.path, TWO)


def ends(processes: Sequence[BaseProcess]) -> list[int | None]:
    """How they end, by their exit codes."""
    for process in processes:
        process.join(SOON_S)
    return [process.exitcode for process in processes]


def made_here(bench: Bench, results: Path, settings: Mapping[str, Any]) -> RunRecord:
    """The record of the same run on this machine."""
    asked = Request(bench.experiment, results, data_root=bench.data, overrides=settings)
    (planned,) = make_plan(asked).runs
    prepare(planned)
    assert ends(start_two(planned.folder)) == [0, 0]
    return planned.folder.read_record()


def processes_of(folder: RunFolder) -> list[str]:
    """Command lines of processes of a run, on whatever node."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if folder.path.name.encode() in (told := process.read_bytes()):
                found.append(told.decode(errors="replace"))
    return found
