"""The driver's side: a task for each run, on a cluster that there is, or on one of this machine."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from benchmark.errors import UserError
from benchmark.experiment.cluster import Cluster
from benchmark.launchers.base import Job
from benchmark.launchers.child import Surroundings, to_json
from benchmark.launchers.layout import APART, Layout, lay_out
from benchmark.launchers.local import START
from benchmark.launchers.places import Places
from benchmark.launchers.ray_cluster import reaching, session
from benchmark.launchers.ray_cluster.capacity import (
    Ask,
    Node,
    ask_of,
    bytes_of,
    nodes_of,
    obstacle,
    room,
    side_by_side,
)
from benchmark.launchers.ray_cluster.group import Spread
from benchmark.launchers.ray_cluster.node import surroundings_json
from benchmark.launchers.ray_cluster.tasks import KeeperClient, RayTask, keeper_name
from benchmark.run.address import JobAddress, write_address
from benchmark.run.devices import cpu_count, visible_gpus
from benchmark.run.finding import Finding
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions

_OWN = "own"
_AGAIN_S = 60.0
_not_before: dict[str, float] = {}
"""When a cluster that did not answer is asked again: each of a hundred run folders would wait for it."""
_TAKEN_ALONG = ("DETBOARD_", "WANDB_")
"""Beginnings of the environment variables that a job sees as its driver does; the others are its node's."""


class RayLauncher:
    """Starts each job as a Ray task, which a detached actor owns: it goes on when the driver is gone.

    Args:
        slots: Runs that are queued or run at once; None for as many as the cluster has room for.
        cluster: What a task asks of its node, and where the cluster is. Without an address, here or in ``RAY_ADDRESS``,
            it is one of this machine, which starts with the first job and ends with this process.
    """

    name = "ray"
    shares_terminal = False
    prunes = True
    heeds_cluster = True
    mirrors = True

    def __init__(self, slots: int | None = None, cluster: Cluster | None = None) -> None:
        self._slots = slots
        self._cluster = cluster or Cluster()
        self._keepers: dict[str, KeeperClient] = {}

    @property
    def outlives_driver(self) -> bool:
        """See `benchmark.launchers.base.Launcher`."""
        return self._address is not None

    @cached_property
    def pool(self) -> Places:
        """See `benchmark.launchers.base.Launcher`."""
        ask = self._ask(1)
        slots = self._slots or max(1, side_by_side(ask, self._nodes))
        return Places(slots, threads=ask.cpus, has_gpus=ask.gpus > 0)

    def about(self) -> Iterator[Finding]:
        """See `benchmark.launchers.base.Launcher`; on a cluster of its own, nothing is started for it."""
        try:
            yield Finding(self.name, f"Ray {session.version()} on {self._found()}")
            for node in self._nodes:
                yield Finding(f"node {node.name}", str(node))
            yield Finding("asks for", f"{self._ask(1)} on one node")
        except UserError as error:
            yield Finding(self.name, str(error).removeprefix("--launcher ray: "), problem=True)

    def _found(self) -> str:
        """Where jobs would go.

        Raises:
            UserError: Nobody answers there.
        """
        if self._address is None:
            return f"{self._where}, as long as its driver: no address is named"
        reaching.check_answers(self._address)
        return self._where

    def obstacles(self, gpus: Mapping[str, int]) -> list[str]:
        """See `benchmark.launchers.base.Launcher`."""
        memory = self._cluster.memory
        if memory and not bytes_of(memory):
            return [f"cluster.memory: {memory}: write a number with K, M, G or T: 32G"]
        try:
            nodes = self._nodes
        except UserError as error:
            return error.problems
        found = (self._obstacle(row, number, nodes) for row, number in gpus.items())
        return [message for message in found if message]

    def _obstacle(self, row: str, processes: int, nodes: Sequence[Node]) -> str:
        try:
            layout = self._layout(processes)
        except UserError as error:
            return f"row {row}: {error}"
        if layout.several and self._cluster.store:
            return f"row {row}: gpus: {processes}: {APART}"
        return obstacle(row, self._ask(layout.each), nodes, self._where, layout.nodes)

    def submit(self, folder: Path, options: JobOptions) -> Job:
        """Queues the run at ``folder``."""
        folder = folder.absolute()
        where = self._session()
        keeper = self._keeper(where, keeper_name(folder.parent))
        key = secrets.token_hex(6)
        # Before it is submitted: whoever comes after this driver finds it, or finds that there is none.
        address = [where.address, keeper.name, key, *([_OWN] if where.own else [])]
        write_address(RunFolder(folder), self.name, " ".join(address))
        layout = self._layout(options.resources.processes)
        ask = self._ask(layout.each)
        told = to_json(replace(options, leased=True))
        run = (str(folder), told, surroundings_json(_surroundings()))
        spread, asked = None, ask.options()
        if layout.several:
            spread, asked = Spread(layout.nodes, ask.bundle(), ask.options()), {"num_cpus": 0}
        keeper.submit(key, {"name": folder.name, **asked}, str(START), run, spread)
        return RayTask(keeper, key, not where.own, _words(ask, layout))

    def flush(self) -> None:
        """See `benchmark.launchers.base.Launcher`: tasks are queued at once."""

    def script(self, folder: Path, options: JobOptions) -> str:
        """See `benchmark.launchers.base.Launcher`."""
        layout = self._layout(options.resources.processes)
        return f"Ray task {folder.name} on {self._where}: {_words(self._ask(layout.each), layout)}"

    def attach(self, folder: Path, address: JobAddress) -> Job | None:
        """See `benchmark.launchers.base.Launcher`."""
        parts = address.job.split()
        if len(parts) < 3 or not session.is_installed():
            return None
        where, name, key = parts[:3]
        own = _OWN in parts[3:]
        if (there := _reached(where)) is None:
            # One of a driver's own has ended with it, and its jobs with that.
            return (
                RayTask(KeeperClient.gone(session.Session(where), name), key, False)
                if own
                else None
            )
        known = self._keepers.get(name)
        if known is None or not known.is_open:
            known = KeeperClient.of(there, name)
        if known is not None:
            self._keepers[name] = known
        return RayTask(known or KeeperClient.gone(there, name), key, not own)

    def close(self) -> None:
        """Ends keepers that have no task left, and the connection."""
        for keeper in self._keepers.values():
            keeper.close()
        self._keepers.clear()
        session.leave()

    @cached_property
    def _address(self) -> str | None:
        return session.asked_address(self._cluster.address)

    @property
    def _where(self) -> str:
        return f"the Ray cluster at {self._address}" if self._address else "this machine"

    def _session(self) -> session.Session:
        if self._address is None:
            return session.start_here(self._nodes[0].resources)
        return session.join(self._address)

    @cached_property
    def _nodes(self) -> list[Node]:
        """Of the cluster; nothing is started for it."""
        session.check_installed()
        if self._address is None:
            gpus = len(visible_gpus())
            return [Node("this machine", {"CPU": cpu_count(), **({"GPU": gpus} if gpus else {})})]
        session.join(self._address)
        import ray

        return nodes_of(ray.nodes())

    def _layout(self, processes: int) -> Layout:
        if len(self._nodes) == 1:  # what that has no room for, no layout mends
            return Layout(1, processes)
        return lay_out(processes, room(self._cluster, self._nodes))

    def _ask(self, processes: int) -> Ask:
        return ask_of(self._cluster, processes, self._nodes, self._slots)

    def _keeper(self, where: session.Session, name: str) -> KeeperClient:
        if name not in self._keepers or not self._keepers[name].is_open:
            self._keepers[name] = KeeperClient.opened(where, name)
        return self._keepers[name]


def _words(ask: Ask, layout: Layout) -> str:
    return f"{ask} on {f'each of {layout.nodes} nodes' if layout.several else 'one node'}"


def _reached(address: str) -> session.Session | None:
    """The connection to a cluster; None if it is another's that this process is connected to, or does not answer."""
    there = session.current()
    if there is not None and there.address == address:
        return there
    if there is not None or time.monotonic() < _not_before.get(address, 0.0):
        return None
    with suppress(UserError):
        if reaching.answers(address):
            return session.join(address)
    _not_before[address] = time.monotonic() + _AGAIN_S
    return None


def _surroundings() -> Surroundings:
    variables = {key: value for key, value in os.environ.items() if key.startswith(_TAKEN_ALONG)}
    return Surroundings(str(Path.cwd()), variables)
