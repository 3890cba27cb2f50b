"""Writes checkpoints straight to the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.runner import runner as runner_module


@contextmanager
def streamed_to_disk() -> Iterator[None]:
    """Writes checkpoints straight to the file.

    mmengine builds the whole file in memory and then copies it: 5 GB more for ConvNeXt-large with AdamW.
    """
    original = runner_module.save_checkpoint
    runner_module.save_checkpoint = lambda content, path, **_: save(content, Path(path))
    try:
        yield
    finally:
        runner_module.save_checkpoint = original


def save(content: object, path: Path) -> None:
    """Writes a checkpoint to a file."""
    # Into a file of Python's: torch's own does not tell a full disk from any other error.
    with path.open("wb") as file:
        torch.save(content, file)
