"""How the processes of one run lie on nodes."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.errors import UserError


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
