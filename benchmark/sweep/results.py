"""One driver a results folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark import locks
from benchmark.errors import UserError


@contextmanager
def only_driver(results: Path) -> Iterator[None]:
    """Holds the results folder for one driver.

    Raises:
        UserError: Another driver holds it.
    """
    try:
        lock = locks.acquire(results / "runs" / ".driver.lock")
    except locks.Held as held:
        raise UserError(
            f"another sweep or study ({held.who}) works on {results}: wait for it, or use another --results"
        ) from None
    try:
        yield
    finally:
        lock.release()
