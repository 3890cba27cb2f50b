"""Detectors that run out of memory as a test says, which a row's config names: on a CPU nothing else does so in time.

What they raise is what torch raises on a GPU, where torch would raise it: in a training step.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from mmdet.models.detectors import RetinaNet
from mmdet.registry import MODELS


def place() -> Path:
    """A folder for what runs of a test tell each other: that with the results, in one of whose runs a job has its log.

    The server that forks the jobs may have begun under an earlier test, and knows no variable of this one.
    """
    return Path("/proc/self/fd/1").readlink().parents[3]


def no_memory() -> torch.OutOfMemoryError:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@MODELS.register_module()
class Hungry(RetinaNet):
    """Finds memory for so many images at once.

    Args:
        most: How many.
        begins: From which training step of its process on that is all, from 0.
    """

    def __init__(self, *args: Any, most: int, begins: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.most, self.begins, self.steps = most, begins, 0

    def loss(self, batch_inputs: torch.Tensor, batch_data_samples: Any) -> Any:
        with (place() / "seen").open("a") as seen:
            seen.write(f"{len(batch_inputs)}\n")
        if len(batch_inputs) > self.most and self.steps >= self.begins:
            raise no_memory()
        self.steps += 1
        return super().loss(batch_inputs, batch_data_samples)


@MODELS.register_module()
class Crowded(RetinaNet):
    """Finds no memory the first time that it is trained, when the one that waits for it is there."""

    def loss(self, batch_inputs: torch.Tensor, batch_data_samples: Any) -> Any:
        if not (place() / "crowded").exists():
            (place() / "crowded").touch()
            raise no_memory()
        return super().loss(batch_inputs, batch_data_samples)


@MODELS.register_module()
class Patient(RetinaNet):
    """Waits in its second epoch until another run has begun."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.steps = 0

    def loss(self, batch_inputs: torch.Tensor, batch_data_samples: Any) -> Any:
        self.steps += 1
        end = time.monotonic() + 120
        while self.steps > 6 and not (place() / "crowded").exists() and time.monotonic() < end:
            time.sleep(0.02)
        return super().loss(batch_inputs, batch_data_samples)
