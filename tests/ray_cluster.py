"""A real Ray cluster of two nodes on loopback, for tests and measurements; it ends with whoever started it.

As a program it is the cluster's parent: it writes the address, kills the second node when a line comes in, and ends
when its standard input does. Whatever happens to it, the kernel ends Ray's processes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STORE_BYTES = 100 << 20
# A dead node is given up after three seconds; Ray's own default is half a minute.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
}


def obstacle() -> str:
    """Why no cluster can be started here; empty if one can."""
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed: pip install 'detboard[ray]'"
    return ""


@dataclass
class RayCluster:
    """A cluster that runs: its head, with a CPU, and a second node with another.

    Attributes:
        address: Where its head answers.
        environment: What a driver needs to find it.
    """

    address: str
    environment: dict[str, str]
    _process: subprocess.Popen[str]

    def kill_node(self) -> None:
        """Ends the second node as a machine that loses power does, at once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("kill\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "killed\n"


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """A cluster, and its end."""
    # Names of sockets have room for 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    environment = {**_ENVIRONMENT, "RAY_TMPDIR": str(folder)}
    with (folder / "cluster.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            env={**os.environ, **environment},
        )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, (folder / "cluster.log").read_text()
        asked = {**environment, "RAY_ADDRESS": address}
        yield RayCluster(address, asked, process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _serve() -> None:
    """Body of the cluster's parent."""
    from ray.cluster_utils import Cluster

    # Any address of loopback but 127.0.0.1, which Ray turns into the machine's own; one of this process's own.
    number = os.getpid()
    network = f"127.{64 + number // 250 // 250 % 64}.{number // 250 % 250}"
    common = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "dashboard_agent_listen_port": 0}
    head = {
        **common,
        "node_ip_address": f"{network}.1",
        "include_dashboard": False,
        "include_log_monitor": False,
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(**common, node_ip_address=f"{network}.2")
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(second, allow_graceful=False)
        print("killed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    _serve()
