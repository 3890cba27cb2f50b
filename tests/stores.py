"""Stores of decoded images, of each kind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.job.decoded.arena import make_arena
from benchmark.job.decoded.folder import Folder
from benchmark.job.decoded.store import Store


@pytest.fixture(params=["ram", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty one of each kind."""
    made = store_of(request.param, tmp_path / "kept")
    yield made
    made.close()


def store_of(kind: str, place: Path) -> Store:
    """One that holds more than the tests put into it."""
    return make_arena(64 << 20) if kind == "ram" else Folder(place, 1.0, time.time())
