"""A launcher whose jobs do not see the driver's disk, as on a cluster without a shared file system."""

from __future__ import annotations

import tempfile
from pathlib import Path

from toy_launcher import ToyJob, ToyLauncher

from benchmark.launchers import Job
from benchmark.launchers.child import to_json
from benchmark.run.address import JobAddress
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
        command = [*self.start, str(NO_DISK / folder.name), to_json(options)]
        return self.started(folder, command, self.log(folder))

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
