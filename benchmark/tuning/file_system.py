"""Where a study's file lies, and how SQLite keeps it whole there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

# File systems of one machine. SQLite's write-ahead log shares memory between its users, which others do not offer, or
# offer to the users on one machine alone: https://sqlite.org/wal.html
_LOCAL = {
    "bcachefs",
    "btrfs",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "overlay",
    "ramfs",
    "tmpfs",
    "xfs",
    "zfs",
}
_READER_MS = 1000  # who reads now is not waited for: the next command asks again
_MOUNTS = Path("/proc/self/mountinfo")


def choose_journal(engine: Engine, database: Path) -> None:
    """Has SQLite write ahead (WAL) where the file's system is known to be local, so that readers stop no writer.

    Elsewhere it keeps a rollback journal, and so it does while somebody else reads, or where it may not write.

    Args:
        engine: Connects to the database.
        database: Its file.
    """
    mode = "wal" if file_system_of(database) in _LOCAL else "delete"
    with suppress(OperationalError), engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_READER_MS}")
        if connection.exec_driver_sql("PRAGMA journal_mode").scalar() != mode:
            connection.exec_driver_sql(f"PRAGMA journal_mode={mode}")


def file_system_of(path: Path) -> str:
    """The type of the file system that holds a path, ``ext4`` or ``nfs4``; empty where the system does not tell."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    inside, best, kind = path.resolve(), Path(), ""
    for line in lines:
        place, _, told = line.partition(" - ")
        # Blanks and the like are octal there: \040.
        mount = Path(place.split()[4].encode("latin-1", "surrogateescape").decode("unicode_escape"))
        if inside.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, told.split()[0]
    return kind
