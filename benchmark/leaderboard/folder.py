"""The leaderboards that a results folder holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmark.errors import UserError, attempt
from benchmark.leaderboard.document import Leaderboard, read_leaderboard


def leaderboards(results: Path) -> dict[str, Leaderboard]:
    """Every ``<experiment>.json`` of a results folder, by the experiment's name, sorted by it.

    Other JSON files are passed over.

    Raises:
        UserError: With every leaderboard that cannot be read.
    """
    problems: list[str] = []
    paths = [path for path in sorted(results.glob("*.json")) if _is_leaderboard(path)]
    found = [attempt(problems, read_leaderboard, path) for path in paths]
    if problems:
        raise UserError(problems)
    return {board.experiment: board for board in found if board is not None}


def _is_leaderboard(path: Path) -> bool:
    """Whether it looks like one, in any version of the layout."""
    try:
        content: Any = json.loads(path.read_bytes())
    except (OSError, ValueError):
        # Reading it as a leaderboard says what is wrong with it, marks of a merge for example.
        return path.with_suffix(".csv").exists()
    # A copy under another name, of last week for example, is not the experiment's.
    return isinstance(content, dict) and content.get("experiment") == path.stem
