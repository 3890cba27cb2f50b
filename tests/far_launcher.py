"""A launcher whose jobs do not see the driver's disk, as on a cluster without a shared file system."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from toy_launcher import ToyJob, ToyLauncher

from benchmark.launchers import Job
from benchmark.launchers.child import OUTLIVE, to_json
from benchmark.launchers.processes import process_id
from benchmark.run.address import JobAddress, write_address
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions

FAR, PRETEND = "far_launcher:FarLauncher", "far_launcher:PretendLauncher"
NO_DISK = Path("/no/such/disk/runs")


class FarLauncher(ToyLauncher):
    name = "far"
    heeds_cluster = True
    mirrors = True
    start: tuple[str, ...] = ("-m", "benchmark.launchers.child")

    def submit(self, folder: Path, options: JobOptions) -> Job:
        """Whatever its job prints goes to a file of its node."""
        command = [sys.executable, *self.start]
        with self.log(folder).open("ab") as log:
            process = subprocess.Popen(
                [*command, str(NO_DISK / folder.name), to_json(options), OUTLIVE],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        job = ToyJob(process_id(process.pid), RunFolder(folder))
        write_address(RunFolder(folder), self.name, job.job)
        return job

    @staticmethod
    def log(folder: Path) -> Path:
        """Where a job's standard output is on its node."""
        return Path(tempfile.gettempdir(), f"far-{folder.name}.txt")

    def attach(self, folder: Path, address: JobAddress) -> Job | None:
        return ToyJob(address.job, RunFolder(folder))


class PretendLauncher(FarLauncher):
    """Its jobs only pretend to train."""

    name = "pretend"
    start = (str(Path(__file__).with_name("pretend_job.py")),)
