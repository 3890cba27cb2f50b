"""The database behind a study: its URL, a lock that dies with its holder, and a connection that does not hang."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages._rdb import models
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from benchmark import locks
from benchmark.errors import MachineError, UserError, why
from benchmark.tuning.file_system import choose_journal
from benchmark.tuning.schema import complete

LOCK_PATIENCE_S = 5.0
OPENING_PATIENCE_S = 60.0
_SQLITE_PATIENCE_S = 60.0


class Busy(Exception):
    """The study's lock cannot be had: another driver takes its time with it, or the file system says no."""


# What the driver is told when the storage does not answer: it goes on with its jobs and tries again.
OUTAGES = (optuna.exceptions.StorageInternalError, SQLAlchemyError, Busy)

# What Optuna's KeyError says of a study or trial that the storage does not have.
NO_RECORD = models.NOT_FOUND_MSG

_BACKENDS = ("sqlite", "postgresql")
OPENING = 0x0DE7B0A4D  # the advisory lock of whoever creates tables or studies


def storage_url(option: str | None, results: Path) -> URL:
    """The URL of ``--storage``, or of ``studies.db`` in the results folder.

    Raises:
        UserError: It is no URL of SQLite or PostgreSQL.
    """
    if option is None:
        return URL.create("sqlite", database=str(results / "studies.db"))
    problem = "--storage: {}; give sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    try:
        url = sqlalchemy.make_url(option)
        if "@" in (url.host or ""):  # the rest of a password, which a driver would quote
            raise ValueError
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


def named(url: URL) -> str:
    """What a storage is called in messages: its file or URL, whether an option or a ``warm_start`` has named it."""
    return str(url.database) if is_sqlite(url) else _shown(url)


def _shown(url: URL) -> str:
    """The URL without what follows the question mark, and without its password: both may be secret."""
    return url.set(drivername=url.drivername.partition("+")[0], query={}).render_as_string()


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
        with self._file(patience_s) if is_sqlite(self.url) else self._advisory(patience_s):
            yield

    @contextmanager
    def _file(self, patience_s: float) -> Iterator[None]:
        path = Path(f"{self.url.database}.lock")
        try:
            lock = locks.acquire(path, patience_s)
        except locks.Held as held:
            raise Busy(str(held)) from None
        except OSError as error:
            raise Busy(f"{path}: cannot be locked: {why(error)}") from error
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


def is_sqlite(url: URL) -> bool:
    """Whether the storage is a file."""
    return url.get_backend_name() == "sqlite"


def _engine(url: URL) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        url, poolclass=sqlalchemy.NullPool, connect_args=_connect_args(url)
    )


def _connect_args(url: URL) -> dict[str, Any]:
    if is_sqlite(url):
        return {
            "timeout": _SQLITE_PATIENCE_S
        }  # somebody else's long read, a dashboard's, is waited for
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
    """Connects, and creates the tables where there are none or not all: by one driver, once.

    Raises:
        UserError: The storage cannot be used: it is wrong, cannot be reached, or holds another version's tables.
        MachineError: The machine or the file system does not let it be used.
    """
    try:
        _refuse_no_file(url)
        if is_sqlite(url):
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        with Lock(url, OPENING).held(OPENING_PATIENCE_S):
            return _opened(url)
    except (ImportError, *OUTAGES, OSError, RuntimeError) as error:
        raise _refusal(url, error) from None


@contextmanager
def reading(url: URL) -> Iterator[optuna.storages.RDBStorage | None]:
    """A storage for who only looks: nothing is made or changed in it. None where there is none yet.

    Of SQLite's file it is a copy in memory, as of now; of a server its tables, by transactions that cannot write.

    Raises:
        UserError: The storage cannot be used: it is wrong, cannot be reached, or holds another version's tables.
        MachineError: The machine or the file system does not let it be used.
    """
    try:
        _refuse_no_file(url)
        storage = _copied(url) if is_sqlite(url) else _read_only(url)
    except (ImportError, *OUTAGES, sqlite3.Error, OSError, RuntimeError) as error:
        raise _refusal(url, error) from None
    try:
        yield storage
    finally:
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()


def _copied(url: URL) -> optuna.storages.RDBStorage | None:
    """A copy in memory; what an earlier version has left half made is put right in that alone."""
    path = Path(str(url.database))
    if not path.exists():
        return None
    copy = sqlite3.connect(":memory:", check_same_thread=False)
    with closing(sqlite3.connect(_readable(path), timeout=_SQLITE_PATIENCE_S, uri=True)) as there:
        there.backup(copy)
    options = {"creator": lambda: copy, "poolclass": sqlalchemy.StaticPool}
    complete(sqlalchemy.create_engine("sqlite://", **options))
    return optuna.storages.RDBStorage("sqlite://", engine_kwargs=options, skip_table_creation=True)


def _readable(path: Path) -> str:
    """The address by which SQLite reads a file, and leaves it and what lies beside it as they are.

    What another has written ahead is not put into the file. Where there is nothing of that, SQLite puts files beside it
    all the same, and only takes them away where it may write; where it may not, it has to be told that it needs none.
    """
    if path.with_name(f"{path.name}-wal").exists():
        mode = "mode=ro"
    elif os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        mode = "mode=rw"
    else:
        mode = "mode=ro&immutable=1"
    return f"{path.resolve().as_uri()}?{mode}"


def _read_only(url: URL) -> optuna.storages.RDBStorage | None:
    options = {
        "connect_args": _connect_args(url),
        "execution_options": {"postgresql_readonly": True},
        "poolclass": sqlalchemy.NullPool,
    }
    text = url.render_as_string(hide_password=False)
    if not sqlalchemy.inspect(sqlalchemy.create_engine(text, **options)).has_table("studies"):
        return None
    return optuna.storages.RDBStorage(text, engine_kwargs=options, skip_table_creation=True)


def _opened(url: URL) -> optuna.storages.RDBStorage:
    engine = _engine(url)
    try:
        if is_sqlite(url):
            choose_journal(engine, Path(str(url.database)))
        for sentence in complete(engine):
            print(f"warning: {named(url)}: {sentence}", file=sys.stderr)
    finally:
        engine.dispose()
    return optuna.storages.RDBStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs={"connect_args": _connect_args(url), "pool_pre_ping": True},
        skip_table_creation=True,
    )


def _refuse_no_file(url: URL) -> None:
    """Refuses what SQLite could only say of that it is unable to open it.

    Raises:
        UserError: There is something else in the place of the file, or a link that leads nowhere.
    """
    path = Path(str(url.database))
    if not is_sqlite(url):
        return
    if path.is_dir():
        raise UserError(f"{path}: is a folder, where a study's database is to be; move it away")
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path}: leads to {path.readlink()}, which is not there; remove the link")
    if path.exists() and not path.is_file():  # opening a pipe waits for ever
        raise UserError(f"{path}: is no file, where a study's database is to be; move it away")


def _refusal(url: URL, error: Exception) -> UserError | MachineError:
    """What is said of a storage that cannot be opened."""
    if isinstance(error, ImportError):
        return UserError(f"{named(url)}: {error}; install it: pip install 'detboard[postgresql]'")
    cause = why(error)
    if is_sqlite(url) and (cause in _OF_THE_MACHINE or isinstance(error, OSError | Busy)):
        return MachineError(f"{named(url)}: cannot be used", cause, _GO_ON)
    damaged = f"; {_DAMAGED}" if cause in _OF_THE_FILE else ""
    return UserError(f"{named(url)}: cannot be used: {cause}{damaged}")


def unanswered(url: URL, error: Exception) -> MachineError:
    """What is said of a storage that was opened, and does not answer any more."""
    return MachineError(f"{named(url)}: does not answer", error, _GO_ON)


_GO_ON = "finished runs stay as they are: put that right, and give the same command again"
# SQLite's own words, which Python 3.10 has no numbers for.
_OF_THE_MACHINE = (
    "attempt to write a readonly database",
    "database is locked",
    "database or disk is full",
    "disk I/O error",
    "unable to open database file",
)
_OF_THE_FILE = ("file is not a database", "database disk image is malformed")
_DAMAGED = (
    "put a copy of it back, or try 'sqlite3 FILE .recover'; without it, moved away, the study begins anew, "
    "and its finished runs stay where they are"
)
