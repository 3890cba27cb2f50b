"""Where a job works whose run's folder lies in a store: a folder of its node, which goes with the job."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.temporary import held_folder

_PREFIX = "detboard-job-"


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """An empty run folder below ``TMPDIR``; whatever is in it at the end is removed, as is what a kill has left there.

    Args:
        name: The run's id.

    Raises:
        OSError: No temporary folder takes files.
    """
    with held_folder(_PREFIX) as root:
        path = root / "runs" / name
        path.mkdir(parents=True)
        yield path


def keep(path: Path) -> Path:
    """Moves a run folder away that is nowhere else; returns where it is then."""
    kept = Path(tempfile.gettempdir(), f"detboard-kept-{path.name}-{os.getpid()}")
    return path.rename(kept)
