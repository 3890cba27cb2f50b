"""The driver's side of a task: what its keeper tells of it, and how it is ended."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import MachineError
from benchmark.launchers.local import exit_text
from benchmark.launchers.processes import KILL_S
from benchmark.launchers.ray_cluster.session import NAMESPACE, Session, current
from benchmark.run.standing import Standing

if TYPE_CHECKING:
    from benchmark.launchers.ray_cluster.group import Spread
    from benchmark.launchers.ray_cluster.remote import Told

_LOOK_S = 0.2
# A keeper that is asked for the first time is a process that has to start.
_START_S = 120.0
# Ray itself ends this process after a minute without its head.
_SILENT_S = 30.0
_SOFTLY_S = 3.0
# Only the head has some of this, and always: a keeper there is lost with the cluster and not before.
_HEAD = {"node:__internal_head__": 0.001}


def keeper_name(runs: Path) -> str:
    """What the keeper of a results folder's runs is called."""
    return f"keeper-{hashlib.sha256(os.fsencode(runs)).hexdigest()[:12]}"


class KeeperClient:
    """By what this driver asks a keeper; never waits for one.

    Args:
        session: The connection.
        name: What the keeper is called.
        actor: The keeper itself.
    """

    def __init__(self, session: Session, name: str, actor: Any) -> None:
        self.session = session
        self.name = name
        self._actor = actor
        self._told: dict[str, Told] = {}
        self._looked = False
        self._gone = False
        self._asked: Any = None
        self._asked_at = time.monotonic()
        self._unheard_since: float | None = None

    @classmethod
    def of(cls, session: Session, name: str) -> KeeperClient | None:
        """The client of a keeper that there is, which has told of its tasks; None if there is none of this name."""
        import ray

        try:
            found = cls(session, name, ray.get_actor(name, namespace=NAMESPACE))
        except ValueError:
            return None
        with suppress(ray.exceptions.RayError):
            found._told, found._looked = (
                ray.get(found._actor.look.remote(), timeout=_SOFTLY_S),
                True,
            )
        return found

    @classmethod
    def gone(cls, session: Session, name: str) -> KeeperClient:
        """The client of a keeper that is no more."""
        client = cls(session, name, None)
        client._gone = True
        return client

    @classmethod
    def opened(cls, session: Session, name: str) -> KeeperClient:
        """The client of a keeper, which is made if there is none of this name."""
        import ray
        from ray import cloudpickle

        from benchmark.launchers.ray_cluster import group, package, remote

        for module in (group, package, remote):
            cloudpickle.register_pickle_by_value(module)
        made = ray.remote(remote.Keeper).options(
            name=name,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            resources=_HEAD,
            max_restarts=-1,
        )
        return cls(session, name, made.remote())

    def submit(
        self,
        key: str,
        options: dict[str, Any],
        start: str,
        run: tuple[str, ...],
        spread: Spread | None,
    ) -> None:
        """Queues a task, see `benchmark.launchers.ray_cluster.remote.Keeper.submit`.

        Raises:
            MachineError: The keeper does not answer.
        """
        import ray

        try:
            queued = self._actor.submit.remote(key, options, start, run, spread)
            ray.get(queued, timeout=_START_S)
        except ray.exceptions.RayError as error:
            raise _silent(self.session, error) from None
        # What was asked before knows nothing of it.
        self._asked, self._looked, self._asked_at = None, False, 0.0

    @property
    def is_open(self) -> bool:
        """Whether the connection lasts that it was opened on; else it knows what was heard last."""
        return current() is self.session

    def told(self, key: str) -> Told | None:
        """What the keeper has told of a task; None while it has not answered yet, and of one that it does not know."""
        self._listen()
        return self._told.get(key)

    def lacks(self, key: str) -> bool:
        """Whether the keeper is gone, or has answered and knows of no such task."""
        self._listen()
        return self._gone or (self._looked and key not in self._told)

    def wait_for(self, key: str, seconds: float) -> bool:
        """Waits until a task has ended; False if it has not."""
        end = time.monotonic() + seconds
        while not self.has_ended(key):
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)
        return True

    def has_ended(self, key: str) -> bool:
        """Whether a task has ended, as far as was heard."""
        told = self.told(key)
        return self.lacks(key) if told is None else told["ended"]

    def cancel(self, key: str, force: bool) -> None:
        """Asks for the end of a task."""
        if not self._gone and self.is_open:
            self._actor.cancel.remote(key, force)

    def close(self) -> None:
        """Ends the keeper, if none of its tasks lives."""
        if self._gone or not self.is_open:
            return
        import ray

        with suppress(ray.exceptions.RayError):
            told = ray.get(self._actor.look.remote(), timeout=_SOFTLY_S)
            if all(task["ended"] for task in told.values()):
                ray.kill(self._actor)

    def _listen(self) -> None:
        if self._gone or not self.is_open:
            return
        import ray

        now = time.monotonic()
        if self._asked is not None and ray.wait([self._asked], timeout=0)[0]:
            self._hear()
        if self._unheard_since is not None and now - self._unheard_since > _SILENT_S:
            raise _silent(self.session, f"no answer for {_SILENT_S:.0f} s")
        if self._asked is None and now - self._asked_at > _LOOK_S:
            self._asked, self._asked_at = self._actor.look.remote(), now
            self._unheard_since = self._unheard_since or now

    def _hear(self) -> None:
        import ray

        answer, self._asked = self._asked, None
        try:
            self._told, self._looked, self._unheard_since = ray.get(answer), True, None
        except ray.exceptions.ActorUnavailableError:
            pass  # it starts again, and knows of nothing then; or its node is gone, and the cluster with that
        except ray.exceptions.RayActorError:
            self._gone = True


def _silent(session: Session, cause: BaseException | str) -> MachineError:
    return MachineError(
        f"the Ray cluster at {session.address} does not answer",
        cause,
        "jobs that live there go on; the same command continues where they are",
    )


@dataclass
class RayTask:
    """A run's task on a Ray cluster.

    Attributes:
        keeper: By what its keeper is asked.
        key: What it is called there.
        outlives_driver: See `benchmark.launchers.base.Job`: not on a cluster that ends with its driver.
        asks: What it asks for, in words.
    """

    keeper: KeeperClient
    key: str
    outlives_driver: bool
    asks: str = ""
    _killed: bool = False

    def ended(self) -> bool:
        """See `benchmark.launchers.base.Job`."""
        return self.keeper.has_ended(self.key)

    def exit_text(self) -> str:
        """See `benchmark.launchers.base.Job`."""
        told = self.keeper.told(self.key)
        if told is None:
            return "its Ray task is gone with its keeper"
        if told["status"] is not None:
            return exit_text(told["status"])
        return f"its Ray task has ended: {told['error']}"

    def met_fault(self) -> bool:
        """See `benchmark.launchers.base.Job`."""
        told = self.keeper.told(self.key)
        return told is not None and told["status"] == os.EX_IOERR

    def standing(self) -> Standing:
        """See `benchmark.launchers.base.Job`."""
        told = self.keeper.told(self.key)
        if told is not None and told["node"]:
            return Standing(words=f"Ray task on {told['node']}")
        waits = f"waits for {self.asks}" if self.asks else "waits for a node"
        return Standing(queued=True, words=f"Ray task: {waits}")

    def cut_off(self) -> str:
        """See `benchmark.launchers.base.Job`."""
        if self._killed or not self.ended():
            return ""
        told = self.keeper.told(self.key)
        return "the keeper of its Ray task was lost" if told is None else told["cut_off"]

    def cpu_seconds(self) -> float | None:
        """See `benchmark.launchers.base.Job`: it is used on another machine."""
        return None

    def kill(self) -> None:
        """See `benchmark.launchers.base.Job`; at first its run alone, so that the worker can take the next one."""
        self._killed = True
        if self.ended():
            return
        self.keeper.cancel(self.key, force=False)
        if not self.keeper.wait_for(self.key, _SOFTLY_S):
            self.keeper.cancel(self.key, force=True)
            self.keeper.wait_for(self.key, KILL_S)
