"""This process's connection to a Ray cluster: there is one at most."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.errors import UserError

if TYPE_CHECKING:  # takes a second
    from collections.abc import Mapping

NAMESPACE = "detboard"
ADDRESS_VARIABLE = "RAY_ADDRESS"
AUTO = "auto"
_CLIENT = "ray://"
_PORT, _CLIENT_PORT = 6379, 10001  # Ray's own defaults
_ANSWER_S = 5.0
_PREFACE, _SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\4\0\0\0\0\0"
"""How a client begins to speak HTTP/2, and a frame of no settings (RFC 9113, 3.4 and 6.5)."""
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


def check_answers(address: str) -> None:
    """Nothing, if somebody answers at an address; where it is to be found out, whoever joins hears.

    Raises:
        UserError: Nobody does.
    """
    if address != AUTO and not answers(address):
        raise UserError(_nobody(address))


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
            check_answers(address)
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


def answers(address: str) -> bool:
    """Whether Ray may listen at an address. Ray itself would try for two minutes, and then end this process.

    Its ports speak HTTP/2, which begins with settings on both sides: a dashboard, or a database, does not say that.
    """
    host, port = _host_and_port(address)
    try:
        with socket.create_connection((host, port), timeout=_ANSWER_S) as to:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return True
            to.sendall(_PREFACE + _SETTINGS)
            return to.recv(len(_SETTINGS))[3:4] == _SETTINGS[3:4]
    except (OSError, ValueError, OverflowError):
        return False


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    if not host:
        host, port = port, str(_CLIENT_PORT if address.startswith(_CLIENT) else _PORT)
    return host.strip("[]"), int(port) if port.isdecimal() else -1


def _joined(address: str) -> Session:
    import ray

    _be_quiet()
    try:
        with _handlers_kept():
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(
            f"--launcher ray: the cluster at {address} cannot be joined: {' '.join(lines)[:400]}"
        ) from None
    # Through Ray's client, other addresses are not to be reached.
    found = address if address.startswith(_CLIENT) else ray.get_runtime_context().gcs_address
    return Session(found, asked=address)


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


def _nobody(address: str) -> str:
    where = "cluster.address, or RAY_ADDRESS"
    return (
        f"--launcher ray: nobody answers at {address} ({where}) as a Ray head does: "
        "start a cluster there with 'ray start --head', correct the address, "
        "or leave it out for a cluster on this machine that ends with the sweep"
    )


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
