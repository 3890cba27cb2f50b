"""What is told to the user instead of a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """The user's input is wrong; the command ends with exit status 2.

    Args:
        problems: One message, or all of them. Each names the file, the field, the value and the
            allowed values, and what to do.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


def allowed(value: str, choices: Iterable[str]) -> str:
    """Words a list of allowed values, nearest first: ``allowed: a, b; did you mean 'a'?``."""
    names = sorted(choices)
    near = difflib.get_close_matches(value, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"allowed: {', '.join(names) or '(none)'}{hint}"
