"""A run over several nodes, on Ray: a task on each, in a placement group; they start, end and come back as one.

As `remote.py` it is sent to Ray's processes as it stands here, and imports nothing of ours on the way in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.launchers.ray_cluster.package import find_package

GONE = os.EX_TEMPFAIL
"""What a process ends with that has lost another one of its run, see `benchmark.job.several`."""
_WORD_S = 15.0
_SOFTLY_S = 5.0
_LOST = ("NodeDiedError", "WorkerCrashedError", "OutOfMemoryError", "TaskUnschedulableError")


@dataclass(frozen=True)
class Spread:
    """What a run over several nodes asks for.

    Attributes:
        nodes: How many nodes.
        bundle: What it takes of each, in Ray's words.
        options: The same as options of a task.
    """

    nodes: int
    bundle: dict[str, float]
    options: dict[str, Any]


def lead(keeper: Any, key: str, start: str, spread: Spread, *run: str) -> int | None:
    """The task that sees to the others: it takes nothing itself, and starts them all again where one is lost.

    Args:
        keeper: Who owns it.
        key: What it is called there.
        start: Path of the module that our processes begin with, where the driver is.
        spread: What the run asks for.
        run: Arguments of `benchmark.launchers.ray_cluster.part.run_part`, after the first.

    Returns:
        The exit status of the run: 0, or the first other one.
    """
    import ray
    from ray.util.placement_group import remove_placement_group

    here = ray.get_runtime_context().get_node_id()
    status: int | None = GONE
    try:
        while status == GONE:
            group = _group(key, spread)
            try:
                while not group.wait(60):
                    pass
                keeper.begun.remote(key, here, ", ".join(_hosts(group)))
                status = _together(group, start, spread, run)
            finally:
                remove_placement_group(group)
            keeper.begun.remote(key, here, "")
    finally:
        keeper.over.remote(key)
    return status


def _group(key: str, spread: Spread) -> Any:
    """A new group. It is tied to no driver; what is left of one of this name, of a lead that was lost, ends with it."""
    from ray.util.placement_group import (
        get_placement_group,
        placement_group,
        remove_placement_group,
    )

    with suppress(ValueError):
        while True:
            remove_placement_group(get_placement_group(key))
            time.sleep(0.1)
    bundles = [dict(spread.bundle) for _ in range(spread.nodes)]
    return placement_group(bundles, strategy="STRICT_SPREAD", name=key, lifetime="detached")


def _hosts(group: Any) -> list[str]:
    """Names of the nodes that a group has places on."""
    import ray
    from ray.util.placement_group import placement_group_table

    on = placement_group_table(group)["bundles_to_node_id"]
    names = {node["NodeID"]: str(node["NodeManagerHostname"]) for node in ray.nodes()}
    return [names.get(on[index], "?") for index in sorted(on)]


def _together(group: Any, start: str, spread: Spread, run: Sequence[str]) -> int | None:
    """Runs a task on each node until all have ended: where one ends before its time, all do."""
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    def on(index: int, task: Any) -> Any:
        where = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index)
        made = ray.remote(max_calls=0, max_retries=0)(task)
        return made.options(scheduling_strategy=where, **spread.options)

    try:
        host, port = ray.get(on(0, meeting_place).remote())
    except Exception as error:
        return _status(error)
    meet = [(index, spread.nodes, host, port) for index in range(spread.nodes)]
    tasks = [on(index, part).remote(start, place, *run) for index, place in enumerate(meet)]
    try:
        found = _statuses(tasks)
    finally:
        _end(tasks)
    if Path(run[0], "record.json").exists():
        return max(found, key=bool, default=0)
    return next((status for status in found if status not in (0, GONE)), max(found))


def _statuses(tasks: Sequence[Any]) -> list[int]:
    """Exit statuses of tasks: of all, or once one has ended before its time of those that end soon after it."""
    import ray

    found: list[int] = []
    left, patience = list(tasks), None
    while left:
        ended, left = ray.wait(left, num_returns=1, timeout=patience)
        if not ended:
            break
        try:
            found.append(_status(ray.get(ended[0])))
        except Exception as error:
            found.append(_status(error))
        patience = None if not any(found) else _WORD_S
    return found


def _status(told: Any) -> int:
    """What a task has ended with; an error that says no more than that its node or worker is gone is `GONE`.

    Raises:
        Exception: It is another one.
    """
    if not isinstance(told, Exception):
        return int(told or 0)
    if type(told).__name__ in _LOST:
        return GONE
    raise told


def _end(tasks: Sequence[Any]) -> None:
    """Ends what is left of tasks."""
    import ray

    for force, patience in ((False, _SOFTLY_S), (True, _SOFTLY_S)):
        left = ray.wait(list(tasks), num_returns=len(tasks), timeout=0)[1]
        for task in left:
            with suppress(Exception):  # it has ended meanwhile
                ray.cancel(task, force=force)
        if left:
            ray.wait(left, num_returns=len(left), timeout=patience)


def meeting_place() -> tuple[str, int]:
    """Where the processes of all nodes are to meet: this node, and a port that is free."""
    import socket

    import ray

    host = ray.util.get_node_ip_address()
    with socket.socket() as free:
        free.bind((host, 0))
        return host, free.getsockname()[1]


def part(start: str, meet: tuple[int, int, str, int], *run: str) -> int | None:
    """The task of one of the nodes.

    Args:
        start: As `lead` has it.
        meet: Which node it is, from 0, of how many, and where the first is.
        run: As `lead` has it.
    """
    find_package(start)
    from benchmark.launchers.ray_cluster.part import run_part

    return run_part(meet, *run)
