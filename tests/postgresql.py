"""A real PostgreSQL server for tests, from the system's package, on a port of loopback."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER = "detboard"


def binaries() -> Path | None:
    """The folder that holds ``initdb`` and ``postgres``, None where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@dataclass
class Server:
    """A server with a cluster of its own, which can be stopped and started again.

    Attributes:
        programs: The folder of PostgreSQL's programs.
        folder: The folder of the cluster.
        port: Its port on loopback.
        url: The URL of its database, password included.
    """

    programs: Path
    folder: Path
    port: int
    url: str

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        listen = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        )
        log = self.folder / "data" / "server.log"
        self._control("-w", "-t", "60", "-l", str(log), "-o", listen, "start")

    def stop(self) -> None:
        """Stops it at once, as a crash does."""
        self._control("-m", "immediate", "stop")

    def _control(self, *command: str) -> None:
        _as_server_user(
            str(self.programs / "pg_ctl"), "-D", str(self.folder / "data"), "-s", *command
        )


@contextmanager
def server(programs: Path) -> Iterator[Server]:
    """Starts a server with an empty cluster."""
    with tempfile.TemporaryDirectory(prefix="detboard-pg-") as name:
        folder = Path(name)
        password = secrets.token_hex(8)
        (folder / "password").write_text(password)
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            account = pwd.getpwnam("postgres")
            for path in (folder, folder / "password"):
                os.chown(path, account.pw_uid, account.pw_gid)
        _as_server_user(
            str(programs / "initdb"), "-D", str(folder / "data"), "-U", USER, "-A", "scram-sha-256",
            "--pwfile", str(folder / "password"), "--no-sync",
        )  # fmt: skip
        port = _free_port()
        url = f"postgresql://{USER}:{password}@127.0.0.1:{port}/postgres"
        made = Server(programs, folder, port, url)
        made.start()
        try:
            yield made
        finally:
            made.stop()


def _as_server_user(*command: str) -> None:
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*become, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # not a pipe, which the server would hold open
        stderr=subprocess.STDOUT,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, command


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
