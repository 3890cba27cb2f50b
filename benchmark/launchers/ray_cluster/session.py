"""This process's connection to a Ray cluster: there is one at most."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.errors import UserError
from benchmark.launchers.ray_cluster import reaching

if TYPE_CHECKING:  # takes a second
    from collections.abc import Mapping

NAMESPACE = "detboard"
ADDRESS_VARIABLE = "RAY_ADDRESS"
_STORE_BYTES = 100 << 20
"""Ray's store of objects, which no run uses: what Ray wants at least is 75 MB."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Session:
    """A connection.

    Attributes:
        address: Where another process finds the cluster.
        own: It was started by this process, and ends with it.
        asked: What was asked for: ``auto``, or a host's name.
    """

    address: str
    own: bool = False
    asked: str = ""


_session: Session | None = None
_lock = threading.RLock()


def is_installed() -> bool:
    """Whether there is a Ray to be imported, without importing it."""
    return importlib.util.find_spec("ray") is not None


def check_installed() -> None:
    """Nothing, if there is a Ray to be imported.

    Raises:
        UserError: There is none.
    """
    if not is_installed():
        raise UserError("--launcher ray: Ray is not installed: pip install 'detboard[ray]'")


def version() -> str:
    """Ray's version, without importing it.

    Raises:
        UserError: There is no Ray.
    """
    check_installed()
    return importlib.metadata.version("ray")


def asked_address(named: str | None) -> str | None:
    """The address of the cluster that is asked for; None for one of this process's own."""
    return named or os.environ.get(ADDRESS_VARIABLE) or None


def current() -> Session | None:
    """The connection that there is."""
    return _session


def join(address: str) -> Session:
    """Connects to the cluster at an address: ``HOST:PORT``, ``ray://HOST:PORT``, or ``auto`` for one of this machine.

    Raises:
        UserError: Nobody answers there, or Ray says no.
    """
    global _session
    with _lock:
        if _session is not None and address not in (_session.address, _session.asked):
            leave()
        if _session is None:
            check_installed()
            reaching.check_answers(address)
            _session = _joined(address)
        return _session


def start_here(resources: Mapping[str, float]) -> Session:
    """Starts a cluster of this machine that ends with this process, unless there is a connection already.

    Args:
        resources: What it may hand out: ``CPU``, ``GPU``.
    """
    global _session
    with _lock:
        if _session is None:
            check_installed()
            _session = _started(resources)
        return _session


def leave() -> None:
    """Ends the connection, and with it a cluster of this process's own."""
    global _session
    with _lock:
        if _session is not None:
            import ray

            with _handlers_kept():
                ray.shutdown()
        _session = None


def _joined(address: str) -> Session:
    # By default it asks a head 20 times that does not answer, for up to 42 s each: here once, for 32 to 42 s.
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
    import ray

    _be_quiet()
    found = reaching.asked_by_ray(address)
    if found != address:
        reaching.check_answers(found, asked=address)
    with reaching.waiting(found):
        if found.startswith(reaching.CLIENT):
            reaching.check_client(found)
        _init(address, found)
    # Through Ray's client, other addresses are not to be reached.
    own = found if found.startswith(reaching.CLIENT) else ray.get_runtime_context().gcs_address
    return Session(own, asked=address)


def _init(address: str, found: str) -> None:
    """Connects to the cluster at an address.

    Raises:
        UserError: It does not answer, or says no.
    """
    import ray

    try:
        with _handlers_kept():
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (ConnectionError, TimeoutError) as error:
        raise UserError(reaching.silent(found, _in_a_line(error))) from None
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"--launcher ray: the cluster at {found} cannot be joined: {_in_a_line(error)}"
        ) from None


def _in_a_line(error: BaseException) -> str:
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())[:400]


def _started(resources: Mapping[str, float]) -> Session:
    import ray

    _be_quiet()
    os.environ.setdefault(
        "RAY_USAGE_STATS_ENABLED", "0"
    )  # a cluster nobody has asked for calls nobody
    with _handlers_kept():
        ray.init(
            address="local",
            num_cpus=int(resources["CPU"]),
            num_gpus=int(resources.get("GPU", 0)),
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=_STORE_BYTES,
            # Ray's workers give way to whatever else a node does; here there is nothing else, and runs are timed.
            _system_config={"worker_niceness": 0},
        )
    return Session(ray.get_runtime_context().gcs_address, own=True)


def _be_quiet() -> None:
    """Has Ray print nothing here of what goes on in its cluster, in the middle of a table; no option of its does that.

    Of a dead node it prints the last 20 lines of its log; what becomes of a run, the sweep says.
    """
    from ray._private import worker

    worker._worker_logs_enabled = False


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Signals end this process as before: Ray puts handlers of its own in their place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
