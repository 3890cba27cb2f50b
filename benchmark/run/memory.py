"""What memory a run takes, as its job has seen it, and whether it ended for want of any: ``memory.json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.files import write_json
from benchmark.run.fields import Checked, Count


@dataclass(frozen=True)
class Lack:
    """Why a job has ended that found no memory.

    Attributes:
        message: Name of the exception's class and its message.
        batch: Images of the batch that it was training on; 0 if it was at no training step.
        images: How many of them were to go through the model at once.
        whole: Why fewer cannot, in words; empty if they can.
    """

    message: str
    batch: Count = 0
    images: Count = 0
    whole: str = ""


@dataclass(frozen=True)
class Memory:
    """What a job takes of its GPU and of the machine, at most so far; all in MiB.

    Attributes:
        iterations: Training iterations after which it was last looked at.
        reserved_mib: What torch's allocator holds of the GPU; 0 without one.
        beyond_mib: What else of that GPU is in use: this process's context, and whatever others hold there.
        total_mib: All that the GPU has.
        host_mib: What the process and its data-loader workers hold, shared pages by their share (PSS of Linux).
        lack: Why it has ended, where that was for want of memory.
    """

    iterations: Count = 0
    reserved_mib: Count = 0
    beyond_mib: Count = 0
    total_mib: Count = 0
    host_mib: Count = 0
    lack: Lack | None = None


def write_memory(path: Path, memory: Memory) -> None:
    """Says it to the driver."""
    write_json(path, asdict(memory))


def read_memory(path: Path) -> Memory | None:
    """What the job has said; None if nothing."""
    return _MEMORY.read(path)


_MEMORY = Checked(Memory)
