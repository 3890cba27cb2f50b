"""What is told to the user instead of a traceback."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

SHOWN = 5  # offenders that a message names

_P = ParamSpec("_P")
_T = TypeVar("_T")


class UserError(Exception):
    """The user's input is wrong; the command ends with exit status 2.

    Args:
        problems: One message, or all of them. Each names the file, the field, the value and the
            allowed values, and what to do.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class MachineError(Exception):
    """The machine or a file system says no, and the user's input is right; the command ends with exit status 1.

    Args:
        what: What could not be done, with the file: ``results/runs: cannot be written``.
        cause: Why; of an exception `why` is told.
        then: What is kept, and what to do.
    """

    def __init__(self, what: str, cause: BaseException | str, then: str) -> None:
        reason = cause if isinstance(cause, str) else why(cause)
        super().__init__(f"{what}: {reason}; {then}")


_ROOM, _MOUNT = "make room", "look at the disk or the mount"
_FILES = "raise the limit on open files ('ulimit -n')"
_FAULTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "raise the limit on the size of a file ('ulimit -f')",
    errno.EROFS: "make the file system writable, or use another folder",
    errno.EIO: _MOUNT,
    errno.EREMOTEIO: _MOUNT,
    errno.ESTALE: _MOUNT,
    errno.ENOTCONN: _MOUNT,
    errno.ENODEV: _MOUNT,
    errno.ENXIO: _MOUNT,
    errno.EUCLEAN: _MOUNT,  # ext4 and XFS that have found themselves damaged
    errno.EBADMSG: _MOUNT,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
}
"""What a file system says when it is at fault, whatever it was asked for; and what to do."""


def fault_of(error: BaseException) -> OSError | None:
    """What a file system has said that is at fault: the error itself, or what led to it; None of any other error."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, OSError) and _number(chain) in _FAULTS:
            return chain
        chain = _before(chain)
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was raised from, one after the other."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__


def _before(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _number(error: OSError) -> int | None:
    """Its errno; one that comes out of a worker of a data loader has it in its text alone."""
    found = re.search(r"\[Errno (\d+)\]", str(error)) if error.errno is None else None
    return int(found[1]) if found else error.errno


def may_be_full(cause: str, folder: Path) -> bool:
    """Whether what `told` has said, or a job's exit status alone, may mean that the disk of a folder is full.

    It does not where it tells another fault, or a file that lies elsewhere: in a folder of temporary files, say.
    """
    others = (os.strerror(number) for number, do in _FAULTS.items() if do is not _ROOM)
    named = re.fullmatch(r"disk full: (/.+): [^:]+", cause)
    if named:
        return folder.resolve() in Path(named[1]).resolve().parents
    return not any(text in cause for text in others)


def remedy(error: OSError) -> str:
    """What to do about what a file system says."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "have access given to you, or use another folder"
    return _FAULTS.get(_number(error) or 0, "put that right")


def told(fault: OSError) -> str:
    """A fault of a file system in words: ``disk full: results/a.json: No space left on device``."""
    full = "disk full" if _FAULTS.get(_number(fault) or 0) is _ROOM else ""
    name = printable(os.fsdecode(fault.filename)) if fault.filename else ""
    return ": ".join(filter(None, [full, name, why(fault)]))


def why(error: BaseException) -> str:
    """The innermost cause of an exception on one line: ``No space left on device``.

    That is what it was raised from, or the fault of a file system that it was raised for. What else was being handled
    at that moment may have nothing to do with it.
    """
    *_, last = causes(error)
    inner = fault_of(last) or last
    text = str((isinstance(inner, OSError) and inner.strerror) or inner)
    # Of another process, it has that one's traceback before it.
    if "Traceback (most recent call last)" in text:
        text = text.strip().splitlines()[-1]
    line = printable(" ".join(text.split()))
    return line if " " in line else ": ".join(filter(None, [type(inner).__name__, line]))


def not_written(path: object, error: OSError) -> UserError | MachineError:
    """What ends a command that cannot write: the machine is at fault, or the user is to name another place."""
    what = f"{path}: cannot be written"
    if fault_of(error) is None:
        return UserError(f"{what}: {why(error)}")
    return MachineError(
        what, error, f"nothing of it is left: {remedy(error)}, and give the same command again"
    )


def not_read(path: object, error: OSError) -> UserError | MachineError:
    """What ends a command that cannot read a file: the machine is at fault, or the user is to name another.

    It is to be raised from `fault_of` the error: a job is ended by a fault of the machine and has not failed.
    """
    what = f"{path}: cannot be read"
    if fault_of(error) is None:
        return UserError(f"{what}: {error.strerror}")
    return MachineError(what, error, f"{remedy(error)}, and give the same command again")


def attempt(
    problems: list[str], action: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T | None:
    """The action's result, or None with its problems noted, so that all are told at once."""
    try:
        return action(*args, **kwargs)
    except UserError as error:
        problems += error.problems
        return None


def shown(value: object) -> str:
    """A value for a message: its source, cut short where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def printable(text: str) -> str:
    """A text on one line: what would break the line, hide, or steer a terminal is escaped as in Python's source."""
    joiners = "\u200c\u200d"  # hold together emoji, and letters of some scripts
    return "".join(
        one if one.isprintable() or one in joiners else one.encode("unicode_escape").decode()
        for one in text
    )


def lone_surrogate(text: str) -> int | None:
    """The place, from 1, of the first half of a surrogate pair, which UTF-8 cannot hold; None if there is none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start + 1
    return None


def allowed(value: str, choices: Iterable[str]) -> str:
    """Words a list of allowed values, nearest first: ``allowed: a, b; did you mean 'a'?``."""
    names = sorted(choices)
    return f"allowed: {', '.join(names) or '(none)'}{nearest(value, names)}"


def nearest(value: str, names: Iterable[str]) -> str:
    """Asks whether the most alike of some names was meant: ``; did you mean 'a'?``; empty if none is alike."""
    near = difflib.get_close_matches(value, list(names), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def few(items: Iterable[str], limit: int = SHOWN, count: int | None = None) -> str:
    """The first few of what may be many, joined: ``a, b, c ... and 39 more``.

    ``count`` says how many there are where ``items`` are the first of them alone.
    """
    items = list(items)
    rest = (len(items) if count is None else count) - limit
    return ", ".join(items[:limit]) + (f" ... and {rest} more" if rest > 0 else "")
