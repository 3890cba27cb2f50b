"""The database behind a study: its URL, a lock that dies with its holder, and a connection that does not hang."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from benchmark.errors import UserError

LOCK_PATIENCE_S = 5.0
OPENING_PATIENCE_S = 60.0


class Busy(Exception):
    """Another driver changes the study and takes its time."""


# What the driver is told when the storage does not answer: it goes on with its jobs and tries again.
OUTAGES = (optuna.exceptions.StorageInternalError, SQLAlchemyError, Busy)

_BACKENDS = ("sqlite", "postgresql")
OPENING = 0x0DE7B0A4D  # the advisory lock of whoever creates tables or studies


def storage_url(option: str | None, results: Path) -> URL:
    """The URL of ``--storage``, or of ``studies.db`` in the results folder.

    Raises:
        UserError: It is no URL of SQLite or PostgreSQL.
    """
    if option is None:
        results.mkdir(parents=True, exist_ok=True)
        return URL.create("sqlite", database=str(results / "studies.db"))
    problem = "--storage: {}; give sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    try:
        url = sqlalchemy.make_url(option)
    except (ArgumentError, ValueError):  # whose text may quote a password
        raise UserError(
            problem.format("this is no database URL (in a password, write @ as %40 and : as %3A)")
        ) from None
    if url.get_backend_name() not in _BACKENDS or url.database in (None, "", ":memory:"):
        raise UserError(problem.format(f"{_shown(url)} cannot hold a study"))
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).parent.is_dir():
        raise UserError(problem.format(f"there is no folder {Path(str(url.database)).parent}"))
    # The driver that the extra `postgresql` installs, whichever is SQLAlchemy's default.
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _shown(url: URL) -> str:
    """The URL without what follows the question mark, and without its password: both may be secret."""
    return url.set(query={}).render_as_string()


@dataclass(frozen=True)
class Lock:
    """Lets one driver at a time change a study; freed when its holder dies, however it dies."""

    url: URL
    key: int

    @contextmanager
    def held(self, patience_s: float = LOCK_PATIENCE_S) -> Iterator[None]:
        """Holds the lock.

        Raises:
            Busy: Somebody else has held it for so long.
        """
        with self._file(patience_s) if _is_sqlite(self.url) else self._advisory(patience_s):
            yield

    @contextmanager
    def _file(self, patience_s: float) -> Iterator[None]:
        try:
            lock = FileLock(f"{self.url.database}.lock", timeout=patience_s)
            lock.acquire()
        except Timeout:
            raise Busy(f"another process has locked {self.url.database}") from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _advisory(self, patience_s: float) -> Iterator[None]:
        engine = _engine(self.url)
        end = time.monotonic() + patience_s
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(_DROP_IF_SILENT)
                while not connection.execute(_TRY_LOCK, {"key": self.key}).scalar():
                    if time.monotonic() > end:
                        raise Busy("another driver has locked the study")
                    time.sleep(0.05)
                yield  # closing the connection frees the lock
        finally:
            engine.dispose()


_TRY_LOCK = sqlalchemy.text("SELECT pg_try_advisory_lock(:key)")
# From PostgreSQL 14 on, the server takes the lock from a driver that was stopped while it held it.
_DROP_IF_SILENT = sqlalchemy.text(
    "SELECT set_config(name, '60s', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: URL) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        url, poolclass=sqlalchemy.NullPool, connect_args=_connect_args(url)
    )


def _connect_args(url: URL) -> dict[str, Any]:
    if _is_sqlite(url):
        return {"timeout": 60}  # somebody else's long read, a dashboard's, is waited for
    # A server that does not answer is not: what the URL says of these wins.
    limits = {
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        "options": "-c statement_timeout=60000",
    }
    return {name: value for name, value in limits.items() if name not in url.query}


def open_storage(url: URL) -> optuna.storages.RDBStorage:
    """Connects, and creates the tables where there are none: by one driver, once.

    Raises:
        UserError: The storage cannot be reached, or holds another version's tables.
    """
    shown = _shown(url)
    try:
        with Lock(url, OPENING).held(OPENING_PATIENCE_S):
            return optuna.storages.RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs={"connect_args": _connect_args(url), "pool_pre_ping": True},
            )
    except ImportError as error:
        raise UserError(
            f"--storage {shown}: {error}; install it: pip install 'detboard[postgresql]'"
        ) from None
    except (*OUTAGES, OSError, RuntimeError) as error:
        raise UserError(f"--storage {shown}: cannot be used: {words_of(error)}") from None


def words_of(error: Exception) -> str:
    """What a database says is wrong, on one line and without SQLAlchemy's own words around it."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return " ".join(lines) or type(error).__name__
