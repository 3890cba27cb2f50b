"""The cluster that tests of Slurm run on: whatever becomes of who has started it, nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import slurm_cluster
from command import alive, wait_until

KILLED = """
import sys, time
from pathlib import Path
from slurm_cluster import slurm_cluster
with slurm_cluster(Path(sys.argv[1]), nodes=1) as cluster:
    cluster.call("sbatch", "--output=/dev/null", "--wrap", "sleep 600")
    while "RUNNING" not in cluster.jobs().values():
        time.sleep(0.05)
    print("up", flush=True)
    time.sleep(600)
"""


def running(pid: int) -> str:
    """What a process runs by now; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_nothing_is_left_of_a_cluster_whose_process_is_killed(tmp_path: Path) -> None:
    if obstacle := slurm_cluster.obstacle():
        pytest.skip(f"no Slurm cluster: {obstacle}")
    path = os.pathsep.join(map(str, [Path(__file__).parent, Path(__file__).parents[1]]))
    made = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "cluster")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert made.stdout.readline() == "up\n"
    daemons = {"munged", "slurmctld", "slurmd", "sleep"}
    wait_until(lambda: daemons <= set(map(running, slurm_cluster.family(made.pid))), "daemons", 20)
    family = slurm_cluster.family(made.pid)
    os.kill(made.pid, signal.SIGKILL)
    made.wait()
    wait_until(lambda: not any(map(alive, family)), "the end of all", 20)
