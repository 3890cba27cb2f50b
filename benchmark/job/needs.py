"""A job that says what memory it takes, for a driver that has others share its GPU or its machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from benchmark.run.devices import held_mib
from benchmark.run.memory import Memory, write_memory

# From here on the allocator of a training holds about what it will; images of other sizes may add to it.
_FIRST = (10, 20, 40, 80)
_EACH = 100
_MIB = 2**20


class NeedsHook(Hook):  # type: ignore[misc]
    """Writes ``memory.json``: after the tenth iteration and some later ones, and after each validation.

    Args:
        path: The file.
    """

    priority = "LOWEST"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seen = Memory()
        self._done = 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: object = None
    ) -> None:
        """Looks at some iterations, counted from the beginning of this job."""
        self._done += 1
        if self._done in _FIRST or self._done % _EACH == 0:
            self._look()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Looks after a validation, which a short training may end with before its tenth iteration."""
        self._look()

    def _look(self) -> None:
        now = memory_now(self._done)
        most = {
            key: max(value, getattr(self.seen, key))
            for key, value in vars(now).items()
            if key in ("reserved_mib", "host_mib")
        }
        self.seen = replace(now, **most)
        write_memory(self._path, self.seen)


def memory_now(iterations: int) -> Memory:
    """What this process takes, and what of its GPU others take."""
    host = held_mib()
    if not torch.cuda.is_available():
        return Memory(iterations, host_mib=host)
    free, total = torch.cuda.mem_get_info()
    held = torch.cuda.memory_reserved()
    most = max(held, torch.cuda.max_memory_reserved())
    beyond = max(0, total - free - held)
    return Memory(iterations, most // _MIB, beyond // _MIB, total // _MIB, host)
