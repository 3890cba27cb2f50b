"""A real PostgreSQL server for tests, from the system's package, on a port of loopback."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "detboard"


def binaries() -> Path | None:
    """The folder that holds ``initdb`` and ``postgres``, None where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextmanager
def server(bin_folder: Path) -> Iterator[str]:
    """Starts a server with an empty cluster; yields the URL of its database, password included."""
    with tempfile.TemporaryDirectory(prefix="detboard-pg-") as name:
        folder = Path(name)
        password = secrets.token_hex(8)
        (folder / "password").write_text(password)
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            account = pwd.getpwnam("postgres")
            for path in (folder, folder / "password"):
                os.chown(path, account.pw_uid, account.pw_gid)
        _as_server_user(
            str(bin_folder / "initdb"), "-D", str(folder / "data"), "-U", USER, "-A", "scram-sha-256",
            "--pwfile", str(folder / "password"), "--no-sync",
        )  # fmt: skip
        port = _free_port()
        process = subprocess.Popen(
            [*_become(), str(bin_folder / "postgres"), "-D", str(folder / "data"), "-p", str(port),
             "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd="/",
        )  # fmt: skip
        try:
            _wait_for(port, process)
            yield f"postgresql://{USER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            stop = [
                str(bin_folder / "pg_ctl"),
                "-D",
                str(folder / "data"),
                "-m",
                "immediate",
                "stop",
            ]
            subprocess.run([*_become(), *stop], capture_output=True, check=False, cwd="/")
            process.wait(timeout=30)


def _become() -> list[str]:
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def _as_server_user(*command: str) -> None:
    done = subprocess.run(
        [*_become(), *command], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, "PostgreSQL ended at once"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("PostgreSQL does not answer")
