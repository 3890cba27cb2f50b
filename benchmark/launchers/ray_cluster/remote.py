"""What runs in Ray's own processes. It is sent to them as it stands here, and imports nothing of ours on the way in.

So a node's Python needs no path to this package before a task is there to say where it lies, and whatever is called
``benchmark`` where a driver stands, which Ray puts first on its workers' paths, takes its place nowhere.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypedDict

from benchmark.launchers.ray_cluster.group import Spread, lead
from benchmark.launchers.ray_cluster.package import find_package

# A driver looks several times a second.
_DRIVER_GONE_S = 60.0
_NODES_S = 2.0


class Told(TypedDict):
    """What a keeper tells of a task.

    Attributes:
        node: Name of the machine that it runs on; empty while it is queued.
        ended: Whether it has ended.
        status: Exit status of the run's process, if that has ended by itself.
        error: What Ray says of a task that has ended otherwise.
        cut_off: Through what it has ended that is no fault of its run, in words; empty else.
    """

    node: str
    ended: bool
    status: int | None
    error: str
    cut_off: str


@dataclass
class _Task:
    """A task; ``node_id`` is Ray's own name of the node that it has begun on."""

    ref: Any
    told: Told
    node_id: str = ""


class Keeper:
    """Owns tasks, which go on as long as their owner lives; it is an actor of its own, and tied to no driver."""

    def __init__(self) -> None:
        import ray

        self._tasks: dict[str, _Task] = {}
        self._driver_at = self._nodes_at = time.monotonic()
        # Workers end after a task that had a GPU, unless they are told otherwise. A task whose node or worker is lost
        # starts again by itself, for there may be no driver; a run that fails is no such thing: it has an exit status.
        self._work = ray.remote(max_calls=0, max_retries=-1)(work)
        self._lead = ray.remote(max_calls=0, max_retries=-1)(lead)

    def submit(
        self,
        key: str,
        options: dict[str, Any],
        start: str,
        run: tuple[str, ...],
        spread: Spread | None,
    ) -> None:
        """Queues a task.

        Args:
            key: What it is called from now on.
            options: What Ray is told of it: its name, and what it asks of a node.
            start: See `work`.
            run: See `work`.
            spread: What it asks for where it takes several nodes; else None.
        """
        import ray

        myself = ray.get_runtime_context().current_actor
        if spread is None:
            ref = self._work.options(**options).remote(myself, key, start, *run)
        else:
            ref = self._lead.options(**options).remote(myself, key, start, spread, *run)
        told = Told(node="", ended=False, status=None, error="", cut_off="")
        self._tasks[key] = _Task(ref, told)
        self._driver_at = time.monotonic()

    def begun(self, key: str, node_id: str, node: str) -> None:
        """A task has begun on a node."""
        if task := self._tasks.get(key):
            task.node_id, task.told["node"] = node_id, node

    def over(self, key: str) -> None:
        """A task is over: the keeper ends, too, if it was the last one and no driver is there."""
        import ray

        self._collect()
        left = any(not task.told["ended"] for name, task in self._tasks.items() if name != key)
        if not left and time.monotonic() - self._driver_at > _DRIVER_GONE_S:
            ray.actor.exit_actor()

    def look(self) -> dict[str, Told]:
        """What there is to be told of every task, by its key."""
        self._driver_at = time.monotonic()
        self._collect()
        self._see_nodes()
        return {key: task.told for key, task in self._tasks.items()}

    def cancel(self, key: str, force: bool) -> None:
        """Ends a task; with ``force`` its worker, too."""
        import ray

        if (task := self._tasks.get(key)) and not task.told["ended"]:
            with suppress(Exception):  # it has ended meanwhile
                ray.cancel(task.ref, force=force)

    def _collect(self) -> None:
        import ray

        waiting = {task.ref: task for task in self._tasks.values() if not task.told["ended"]}
        if not waiting:
            return
        for ref in ray.wait(list(waiting), num_returns=len(waiting), timeout=0)[0]:
            told = waiting[ref].told
            told["ended"] = True
            try:
                told["status"] = ray.get(ref)
            except Exception as error:
                told["error"], told["cut_off"] = said(error), ended_by(error)

    def _see_nodes(self) -> None:
        """Has tasks of dead nodes wait again: Ray has queued them."""
        import ray

        now = time.monotonic()
        if now - self._nodes_at < _NODES_S:
            return
        self._nodes_at = now
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        for task in self._tasks.values():
            if task.node_id and task.node_id not in alive:
                task.node_id, task.told["node"] = "", ""


def work(keeper: Any, key: str, start: str, *run: str) -> int | None:
    """The task of a run: it sees to the run's process, which is another one than Ray's.

    Args:
        keeper: Who owns it.
        key: What it is called there.
        start: Path of the module that our processes begin with, where the driver is.
        run: Arguments of `benchmark.launchers.ray_cluster.node.run`.

    Returns:
        The exit status of that process, negative for a signal.
    """
    import ray

    node_id = ray.get_runtime_context().get_node_id()
    keeper.begun.remote(key, node_id, socket.gethostname())
    try:
        find_package(start)
        from benchmark.launchers.ray_cluster import node

        return node.run(*run)
    finally:
        keeper.over.remote(key)


def said(error: Exception) -> str:
    """What Ray says of a task that it has ended, on one line."""
    cause = getattr(error, "cause", None)
    told = error if not isinstance(cause, Exception) else cause
    lines = [line.strip() for line in str(told).splitlines() if line.strip()]
    return f"{type(told).__name__}: {lines[0]}" if lines else type(told).__name__


def ended_by(error: Exception) -> str:
    """Through what a task has ended that is no fault of its run, in words; empty for all else."""
    words = {
        "TaskCancelledError": "its Ray task was cancelled",
        "NodeDiedError": "its node failed",
        "WorkerCrashedError": "its Ray worker was killed",
        "OutOfMemoryError": "its node had no memory left",
        "ActorDiedError": "the keeper of its Ray task was lost",
    }
    return words.get(type(error).__name__, "")
