"""What the task of one of several nodes does: a torchrun, whose processes join those of the other nodes."""

from __future__ import annotations

from pathlib import Path

from benchmark.launchers.layout import Layout, Part
from benchmark.launchers.local import Torchrun
from benchmark.launchers.ray_cluster.node import see_to, told_here


def run_part(
    meet: tuple[int, int, str, int], folder: str, options: str, surroundings: str
) -> int | None:
    """Runs this node's processes of the job at ``folder`` to their end.

    Args:
        meet: Which node it is, from 0, of how many, and the host and port where all meet.
        folder: As `benchmark.launchers.ray_cluster.node.run` has it.
        options: As there.
        surroundings: As there.

    Returns:
        The exit status of torchrun, negative for a signal.
    """
    told, around = told_here(options, surroundings)
    number, nodes, host, port = meet
    layout = Layout(nodes, told.resources.processes // nodes)
    return see_to(Torchrun(Path(folder), told, around, Part(layout, number, host, port)))
