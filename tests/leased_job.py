"""The body of a leased job's process, for a forkserver: with a lease that is good for as long as a test can wait."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.experiment.experiment import Tracking
from benchmark.job.job import run_job
from benchmark.launchers.child import _log_to
from benchmark.run import lease
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources


def run_leased(path: str, lease_s: float) -> None:
    """Runs the job of a folder, as one on a node of a cluster."""
    os.setsid()
    lease.LEASE_S = lease_s
    resources = Resources((), 1)
    os.environ.update(resources.environment())
    _log_to(RunFolder(Path(path)).log_file)
    run_job(Path(path), JobOptions(Tracking(mode="off"), resources, leased=True))
