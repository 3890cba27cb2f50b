"""How the processes of one run lie on nodes."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.errors import UserError

APART = "its nodes have to share a file system, and cluster.store is for those that share none"
"""Why a run over several nodes is refused where run folders are mirrored."""


@dataclass(frozen=True)
class Layout:
    """How the processes of a run lie on nodes: as many on each.

    Attributes:
        nodes: How many nodes.
        each: How many processes on each.
    """

    nodes: int
    each: int

    @property
    def several(self) -> bool:
        """Whether there is more than one node."""
        return self.nodes > 1


def lay_out(processes: int, room: int) -> Layout:
    """The processes of a run on as few nodes as have room for them.

    Args:
        processes: Number of processes that train together, one a GPU.
        room: How many a node has room for.

    Raises:
        UserError: They are not as many on each.
    """
    nodes = -(-processes // room)
    if processes % nodes == 0:
        return Layout(nodes, processes // nodes)
    fewer = processes - processes % nodes
    raise UserError(
        f"gpus: {processes}: they are not as many on each of {nodes} nodes, which have room for {room} "
        f"(cluster.gpus_per_node); write {fewer} or {fewer + nodes}"
    )


@dataclass(frozen=True)
class Part:
    """One of the nodes of a run, for a torchrun that is started there.

    Attributes:
        layout: How the processes lie on all of them.
        number: Which it is, from 0.
        host: Where all meet: the first node, as the others reach it.
        port: The same.
    """

    layout: Layout
    number: int
    host: str
    port: int

    @property
    def flags(self) -> list[str]:
        """Options of torchrun."""
        asked = {
            "nnodes": self.layout.nodes,
            "nproc-per-node": self.layout.each,
            "node-rank": self.number,
            "master-addr": self.host,
            "master-port": self.port,
        }
        return [word for key, value in asked.items() for word in (f"--{key}", str(value))]

    @property
    def log(self) -> str:
        """The log of its processes, in the run folder: two nodes that append to one file lose lines of each other."""
        return f"log-node{self.number}.txt" if self.number else "log.txt"
