"""A leaderboard for readers: texts of any length become cells, and only the JSON file has them whole."""

from __future__ import annotations

from typing import Any

from benchmark.leaderboard.document import Leaderboard
from benchmark.writing.words import LONGEST_CELL, cut_short

_LONGEST_SENTENCE = 2000
# What is said in sentences, or is an address.
_SENTENCES = frozenset(
    {"about", "caveat", "folder", "message", "missing", "published_source", "selection", "url"}
)


def shortened_board(leaderboard: Leaderboard) -> Leaderboard:
    """The leaderboard with its long texts cut: a label of 100 kB would make a Markdown file of 96 MB for 1,000 rows.

    Two texts that differ only behind the cut still differ.
    """
    plain = leaderboard.plain
    short = _short(plain, LONGEST_CELL)
    return leaderboard if short == plain else Leaderboard.model_validate(short)


def _short(node: Any, longest: int) -> Any:
    if isinstance(node, str):
        return cut_short(node, longest)
    if isinstance(node, list):
        return [_short(item, longest) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        cut_short(key): _short(value, _LONGEST_SENTENCE if key in _SENTENCES else longest)
        for key, value in node.items()
    }
