"""``/dev/shm``: the shared memory through which data loader workers hand over their batches, as far as it goes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/dev/shm")


@dataclass(frozen=True)
class Room:
    """How much of it there is, in bytes."""

    total: int
    free: int


def room(folder: Path = FOLDER) -> Room | None:
    """The room in shared memory; None where it cannot be asked."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return Room(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)
