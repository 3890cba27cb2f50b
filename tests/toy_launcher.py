"""A launcher that stands for a cluster: its jobs outlive their driver, and its GPUs are not this machine's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.experiment.cluster import Cluster
from benchmark.launchers import Job
from benchmark.launchers.child import OUTLIVE, to_json
from benchmark.launchers.machine import MachineLauncher
from benchmark.launchers.places import Places
from benchmark.launchers.processes import ProcessOfDriver, process_id
from benchmark.run.address import JobAddress, write_address
from benchmark.run.finding import Finding
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions

GPUS = 8


class ToyJob(ProcessOfDriver):
    outlives_driver = True


class ToyLauncher(MachineLauncher):
    name = "toy"
    shares_terminal = False
    prunes = True
    outlives_driver = True

    def __init__(self, slots: int | None = None, _cluster: Cluster | None = None) -> None:
        self.pool = Places(slots or 1, threads=1, has_gpus=True)

    def about(self) -> Iterator[Finding]:
        yield Finding("toy", "a cluster of this machine")

    def obstacles(self, gpus: Mapping[str, int]) -> list[str]:
        return [f"row {row}: the cluster has {GPUS} GPUs" for row, n in gpus.items() if n > GPUS]

    def submit(self, folder: Path, options: JobOptions) -> Job:
        told = to_json(replace(options, leased=True))
        command = ["-m", "benchmark.launchers.child", str(folder), told]
        return self.started(folder, command, RunFolder(folder).log_file)

    def started(self, folder: Path, command: Sequence[str], output: Path) -> Job:
        """A job that is a command of Python; whatever it prints goes to a file."""
        with output.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command, OUTLIVE],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        job = ToyJob(process_id(process.pid), RunFolder(folder))
        write_address(RunFolder(folder), self.name, job.job)
        return job

    def attach(self, folder: Path, address: JobAddress) -> Job | None:
        return ToyJob(address.job, RunFolder(folder))

    def close(self) -> None:
        """Nothing is held."""
