"""Whether a Ray head can be reached: looked at before Ray is asked, which tries a dead one for a quarter of an hour."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

from benchmark.errors import UserError, why

AUTO = "auto"
CLIENT = "ray://"
_PORT, _CLIENT_PORT = 6379, 10001  # Ray's own defaults
_CONNECT_S = 5.0
_SLOW_S = 5.0
PATIENCE_S = 30.0
"""Seconds that a head has to say its first word to whoever joins, and the same to answer the first question."""

_PREFACE, _SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\4\0\0\0\0\0"
"""How a client begins to speak HTTP/2, and a frame of no settings (RFC 9113, 3.4 and 6.5)."""


def check_answers(address: str, asked: str = "") -> None:
    """Nothing, if somebody answers at an address; where it is to be found out, whoever joins hears.

    One who is slow is waited for, for `PATIENCE_S`, with a word on the terminal.

    Args:
        address: Where Ray would ask.
        asked: What the user has named, if that is something else.

    Raises:
        UserError: Nobody does.
    """
    if address == AUTO:
        return
    with waiting(address):
        if not answers(address, PATIENCE_S):
            raise UserError(_nobody(address, asked))


def answers(address: str, patience_s: float = _CONNECT_S) -> bool:
    """Whether Ray may listen at an address.

    Its ports speak HTTP/2, which begins with settings on both sides: a dashboard, or a database, does not say that.

    Args:
        address: ``HOST:PORT`` or ``ray://HOST:PORT``.
        patience_s: Seconds within which who has taken the connection is to say something.
    """
    try:
        with socket.create_connection(_host_and_port(address), timeout=_CONNECT_S) as to:
            if _by_tls():
                return True
            to.settimeout(patience_s)
            to.sendall(_PREFACE + _SETTINGS)
            return to.recv(len(_SETTINGS))[3:4] == _SETTINGS[3:4]
    except (OSError, ValueError, OverflowError):
        return False


def asked_by_ray(address: str) -> str:
    """Where Ray asks for the cluster at an address: the last one of this machine for ``auto``, which may be gone.

    It takes a loopback address for this machine's own, where a port that is only forwarded does not listen.

    Raises:
        UserError: There is none.
    """
    if address.startswith(CLIENT):
        return address
    from ray._private.services import canonicalize_bootstrap_address

    try:
        return canonicalize_bootstrap_address(address) or address
    except (ConnectionError, ValueError, OSError) as error:
        raise UserError(
            f"--launcher ray: there is no Ray cluster at {address}: {why(error)}"
        ) from None


def check_client(address: str) -> None:
    """Nothing, if Ray's client server at an address answers a question: Ray itself asks it without a limit of time.

    Raises:
        UserError: It does not answer.
    """
    if _by_tls():
        return
    import grpc
    from ray.core.generated import ray_client_pb2 as words
    from ray.core.generated import ray_client_pb2_grpc as calls

    question = words.ClusterInfoRequest(type=words.ClusterInfoType.PING)
    try:
        with grpc.insecure_channel(address.removeprefix(CLIENT)) as channel:
            calls.RayletDriverStub(channel).ClusterInfo(question, timeout=PATIENCE_S)
    except grpc.RpcError as error:
        raise UserError(silent(address, str(error.details()))) from None


@contextmanager
def waiting(address: str) -> Iterator[None]:
    """Says on the terminal whom one waits for meanwhile, if that takes long."""
    line = f"waiting for the Ray cluster at {address}, which has not answered for {_SLOW_S:.0f} s"
    timer = Timer(_SLOW_S, lambda: print(line, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def silent(address: str, said: str) -> str:
    """The message of a cluster that does not let this process in, and what to do."""
    return (
        f"--launcher ray: the cluster at {address} cannot be joined: somebody listens there and does not answer as a "
        f"living Ray head ({said}): see how it is with 'ray status' on its machine, start it anew with 'ray start "
        f"--head', or leave the address out for a cluster on this machine that ends with the sweep"
    )


def _by_tls() -> bool:
    return os.environ.get("RAY_USE_TLS", "0") != "0"


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not host:
        host, port = port, str(_CLIENT_PORT if address.startswith(CLIENT) else _PORT)
    return host.strip("[]"), int(port) if port.isdecimal() else -1


def _nobody(address: str, asked: str) -> str:
    where = f"where Ray looks for {asked}" if asked else "cluster.address, or RAY_ADDRESS"
    return (
        f"--launcher ray: nobody answers at {address} ({where}) as a Ray head does: "
        "start a cluster there with 'ray start --head', correct the address, "
        "or leave it out for a cluster on this machine that ends with the sweep"
    )
