"""Jobs on this machine: forked from a server that has torch and mmdet loaded; torchrun for several GPUs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmark.launchers.base import Job
from benchmark.launchers.child import run_forked, to_json
from benchmark.launchers.processes import kill_group
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions


class LocalLauncher:
    """Starts each job in a process, and a session, of its own."""

    def __init__(self) -> None:
        if "OMP_WAIT_POLICY" not in os.environ:
            # OpenMP's threads wait for each other by spinning, which starves whatever else the machine does. Two
            # trainings with 2 threads each on 2 CPUs: 5 iterations/s in all, 15 with this limit; alone 14.6 and 13.5.
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["benchmark.launchers.preload"])

    def submit(self, folder: Path, options: JobOptions) -> Job:
        """Starts the run at ``folder`` and returns at once."""
        if options.resources.processes > 1:
            return _Torchrun(folder, options)
        process = self._context.Process(
            target=run_forked, args=(str(folder), options), name=folder.name
        )
        process.start()
        return _Forked(process)

    def close(self) -> None:
        """The forkserver ends with this process."""


class _Forked:
    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    def ended(self) -> bool:
        return not self._process.is_alive()

    def exit_text(self) -> str:
        return exit_text(self._process.exitcode)

    def kill(self) -> None:
        if self._process.pid is not None:
            kill_group(self._process.pid)
        self._process.join()


class _Torchrun:
    """Several processes that train together.

    ``--standalone`` finds a free port: two such jobs on one machine do not clash. The pipe to its standard
    input is what tells the processes that the driver is gone.
    """

    def __init__(self, folder: Path, options: JobOptions) -> None:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        count = ["--nproc-per-node", str(options.resources.processes)]
        job = ["-m", "benchmark.launchers.child", str(folder), to_json(options)]
        with RunFolder(folder).log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*torchrun, *count, *job],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_environment(options),
            )

    def ended(self) -> bool:
        return self._process.poll() is not None

    def exit_text(self) -> str:
        return exit_text(self._process.poll())

    def kill(self) -> None:
        # torchrun puts its workers in groups of their own: the closed pipe is what ends them.
        if self._process.stdin is not None:
            self._process.stdin.close()
        kill_group(self._process.pid)
        self._process.wait()


def _environment(options: JobOptions) -> dict[str, str]:
    package_root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **options.resources.environment()}


def exit_text(code: int | None) -> str:
    """An exit code in words, as `Job.exit_text` gives it."""
    if code is not None and code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    return f"exit status {code}"
