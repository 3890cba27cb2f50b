"""What is told to the user instead of a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
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
    near = difflib.get_close_matches(value, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"allowed: {', '.join(names) or '(none)'}{hint}"


def few(items: Iterable[str], limit: int = SHOWN, count: int | None = None) -> str:
    """The first few of what may be many, joined: ``a, b, c ... and 39 more``.

    ``count`` says how many there are where ``items`` are the first of them alone.
    """
    items = list(items)
    rest = (len(items) if count is None else count) - limit
    return ", ".join(items[:limit]) + (f" ... and {rest} more" if rest > 0 else "")
