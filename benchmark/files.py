"""Files that are whole or absent: atomic writes, append-only JSON lines, content hashes."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import from_json

from benchmark.errors import fault_of

JsonObject = dict[str, Any]
"""An object of JSON; what is in it, its reader knows."""

TEMPORARY = ".tmp"
"""What the names of temporary files end in."""

_OLD_S = 24 * 3600.0

_checks: list[Callable[[], None]] = []


@contextmanager
def checked_writes(check: Callable[[], None]) -> Iterator[None]:
    """Has ``check`` called meanwhile right before a file takes its place here, or a line is appended to it.

    Where nothing may be written any more it raises, or ends the process.
    """
    _checks.append(check)
    try:
        yield
    finally:
        _checks.remove(check)


def _check() -> None:
    for check in _checks:
        check()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary file beside ``path`` that replaces it when the block succeeds.

    The temporary file is in the same folder, so that ``os.replace`` is atomic, and is synced first, so that
    a power cut cannot leave a name that points at nothing. An error leaves ``path`` as it was. A file that is
    there keeps its mode, and its owner where root writes it. While it is written it is locked, by which
    `remove_leftovers` tells it from what a kill has left.

    Raises:
        OSError: The file system says no; its ``filename`` is ``path``.
    """
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.name}."
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=TEMPORARY)
        temporary = Path(name)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield temporary
            _take_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
            os.close(descriptor)


def _take_place(temporary: Path, path: Path) -> None:
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    _look_like(path, temporary)
    _check()
    temporary.replace(path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Has errors of the file system name ``path``: a write that fails names nothing, other calls a temporary file."""
    try:
        yield
    except Exception as error:
        said = error if isinstance(error, OSError) else fault_of(error)
        if said and (said.filename is None or str(said.filename).endswith(TEMPORARY)):
            said.filename, said.filename2 = str(path), None
        raise


def _look_like(path: Path, temporary: Path) -> None:
    """Gives a file mode and owner of the one at ``path``; where there is none, the mode of a new file.

    Raises:
        OSError: At ``path`` is a device.
    """
    try:
        old = path.stat()
    except FileNotFoundError:
        temporary.chmod(0o666 & ~_umask())
        return
    if stat.S_ISCHR(old.st_mode) or stat.S_ISBLK(
        old.st_mode
    ):  # root could, and /dev/null would be gone
        raise OSError(errno.EINVAL, "a device, and no file", str(path))
    with suppress(PermissionError):  # root alone may give a file away
        os.chown(temporary, old.st_uid, old.st_gid)
    temporary.chmod(stat.S_IMODE(old.st_mode))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def is_file(path: str | Path) -> bool:
    """Whether there is a file; not where the name is one that no file can have."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder; not where the name is one that none can have."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def write_refused(folder: str | Path, size: int = 1) -> OSError | None:
    """What the file system says to a file of ``size`` bytes in a folder; None if it takes it. Nothing is left there."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(size))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def now_ns(folder: Path) -> int:
    """The time of a file that is written now, by the same clock as its neighbours; this machine's where none can be."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(b".")
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return time.time_ns()


def remove_leftovers(folder: Path, name: str = "*", deep: bool = False) -> None:
    """Removes the temporary files of `replacing` that dead processes have left; what cannot be removed stays.

    Args:
        folder: Where they lie.
        name: The file that they were to be; of any, if not given.
        deep: Look below the folder, too.
    """
    pattern = f".{name}.*{TEMPORARY}"
    for path in folder.rglob(pattern) if deep else folder.glob(pattern):
        with suppress(OSError):
            if _is_abandoned(path):
                path.unlink()


def _is_abandoned(path: Path) -> bool:
    """Whether nobody writes a temporary file any more: who does so holds a lock on it; without locks its age tells."""
    try:
        with path.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - path.stat().st_mtime > _OLD_S
    return True


def write_text(path: Path, text: str) -> None:
    """Writes ``text`` (UTF-8) to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object, indent: int | None = 2) -> None:
    """Writes ``value`` as JSON to ``path`` atomically. NaN and infinity are errors, as in the JSON standard."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file (UTF-8).

    pydantic's parser takes half the time of Python's, which tells with ten thousand records, and it reads nothing that
    is nested more than 200 deep.

    Raises:
        OSError: There is no such file, or none that can be read; see `read_bytes`.
        ValueError: It is no JSON, or nested too deeply.
    """
    return parse_json(read_bytes(path))


def parse_json(content: bytes) -> Any:
    """What JSON (UTF-8) holds.

    Raises:
        ValueError: It is none, or nested too deeply.
    """
    try:
        return from_json(content)
    except ValueError as error:
        message = str(error).replace("recursion limit exceeded", "nested too deeply")
        raise ValueError(message) from None


class NotAFile(OSError):
    """Something else lies in the place of a file, and stays there until somebody removes it."""


def read_bytes(path: Path) -> bytes:
    """What a file holds.

    Raises:
        FileNotFoundError: There is none.
        NotAFile: It is none, see `opened`.
        OSError: It cannot be read.
    """
    with opened(path) as file:
        return file.read()


def opened(path: Path) -> BinaryIO:
    """A file, open to be read; whoever opens a pipe otherwise waits for ever.

    Raises:
        FileNotFoundError: There is none.
        NotAFile: It is a folder, a link to itself or to nothing, a pipe.
        OSError: It cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and path.is_symlink():
            raise NotAFile(errno.ELOOP, "a link to nothing", str(path)) from None
        if error.errno == errno.ELOOP:
            raise NotAFile(errno.ELOOP, error.strerror, str(path)) from None
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise NotAFile(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise NotAFile(errno.EINVAL, "not a file", str(path))
    return open(descriptor, "rb")  # noqa: PTH123 - of a descriptor, for the caller


def end_of(path: Path, characters: int) -> str:
    """The end of a text file that may be large or damaged; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            # UTF-8 takes four bytes a character at most.
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4 * characters))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    # Bars of a progress end in a carriage return.
    return text.replace("\r\n", "\n").replace("\r", "\n")[-characters:]


def json_line(value: Mapping[str, object]) -> str:
    """A line of JSON lines, with its end.

    Raises:
        ValueError: A number is NaN or infinite, which JSON does not have.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"


def append_jsonl(path: Path, value: Mapping[str, object]) -> None:
    """Appends one line of JSON in a single write, so that a kill can cut only the last line."""
    with _naming(path), path.open("a", encoding="utf-8", newline="\n") as file:
        # When it is open: what another process puts in its place after that is none the worse for this line.
        _check()
        file.write(json_line(value))


def read_lines(path: Path) -> list[str]:
    """The lines of a file of JSON lines, without their ends; none of a missing file."""
    try:
        return lines_of(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return []


def lines_of(content: bytes) -> list[str]:
    """The lines of JSON lines, without their ends and without empty ones.

    They end in a line feed alone. `str.splitlines` also splits at U+2028, U+0085 and six others, which stand unescaped
    in a JSON text: in the name of a class, say.
    """
    return [line for line in content.decode("utf-8", errors="replace").split("\n") if line]


def read_jsonl(path: Path) -> list[JsonObject]:
    """Reads JSON lines; a missing file is empty, and a last line cut by a kill is left out."""
    return parsed(read_lines(path))


def parsed(lines: Iterable[str]) -> list[JsonObject]:
    """The objects that lines of JSON lines hold; one that a kill has cut is left out."""
    values = (_parsed_line(line) for line in lines)
    return [value for value in values if value is not None]


def _parsed_line(line: str) -> JsonObject | None:
    try:
        value = from_json(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_if_any(path: Path) -> str | None:
    """Hex SHA-256 of a file's bytes; None where there is no file that can be read."""
    try:
        return sha256_file(path)
    except (OSError, ValueError):  # a name that no file can have
        return None
