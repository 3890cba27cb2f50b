"""What a page is made from, told without making it: a page of thousands of rows takes seconds, and is mostly right."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.metadata import version

from benchmark.config.tree import content_of
from benchmark.files import sha256_file
from benchmark.leaderboard.outputs.base import Material
from benchmark.leaderboard.outputs.page.gallery import gallery
from benchmark.leaderboard.outputs.page.page_file import PageFile
from benchmark.run.kept_file import code_stamp, read_kept, write_kept
from benchmark.run.known_runs import Later

_WORTH_ROWS = 200  # of fewer the page is made as quickly as it is told from what
_NAME = ".pages"


class KnownPage(PageFile):
    """A page that is right, unless a byte of it or anything that it is made from has changed since it was.

    Args:
        material: What it is made from.
        make: What it holds.
    """

    def __init__(self, material: Material, make: Callable[[], str]) -> None:
        super().__init__(material.path(".html"), make)
        self._material = material
        self._notes = material.runs.results / "runs" / _NAME

    @cached_property
    def _key(self) -> str | None:
        worth = len(self._material.leaderboard.rows) >= _WORTH_ROWS
        return _key(self._material) if worth else None

    def is_right(self) -> bool:
        """Whether it shows the same values in the same page."""
        if self._key and read_kept(self._notes).get(self.path.name) == (self._key, self._hash):
            return True
        right = super().is_right()
        if self.on_disk == self.wanted:
            self._note()
        return right

    def write(self) -> None:
        """Writes what it is to hold."""
        super().write()
        self._note()

    def _note(self) -> None:
        if self._key:
            known = {**read_kept(self._notes), self.path.name: (self._key, self._hash)}
            write_kept(self._notes, lambda _: known)

    @property
    def _hash(self) -> str:
        try:
            return sha256_file(self.path)
        except OSError:
            return ""


def _key(material: Material) -> str | None:
    """All that a page is made from, as one hash; None where a config cannot be told."""
    configs = [(name, _identity(config)) for name, config in (material.configs or {}).items()]
    if any(identity is None for _, identity in configs):
        return None
    board = material.leaderboard
    made_by = [code_stamp(), sys.version, version("jinja2")]
    parts = [made_by, board.text(), material.curves, gallery(board, material.runs), configs]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _identity(config: Mapping[str, object]) -> str | None:
    """What tells a config from others, without composing it."""
    if isinstance(config, Later):
        return config.identity
    content = content_of(dict(config))
    return None if content is None else hashlib.sha256(content).hexdigest()
