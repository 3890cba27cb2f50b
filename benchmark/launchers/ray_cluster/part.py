"""What the task of one of several nodes does: a torchrun, whose processes join those of the other nodes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from benchmark.launchers.child import Surroundings, from_json
from benchmark.launchers.layout import Layout, Part
from benchmark.launchers.local import Torchrun
from benchmark.launchers.ray_cluster.node import POLL_S, gpus


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
    told, around = from_json(options), TypeAdapter(Surroundings).validate_json(surroundings)
    given = gpus()
    if not given:  # else they would see all of the node's
        around = replace(around, variables={**around.variables, "CUDA_VISIBLE_DEVICES": ""})
    told = replace(told, resources=replace(told.resources, gpus=given))
    number, nodes, host, port = meet
    layout = Layout(nodes, told.resources.processes // nodes)
    job = Torchrun(Path(folder), told, around, Part(layout, number, host, port))
    try:
        while not job.ended():
            time.sleep(POLL_S)
    except BaseException:  # cancelled
        job.kill()
        raise
    return job.status()
