"""What came of timing a run's training for a few iterations: ``timed.json``, in the folder that it was made in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.files import write_json
from benchmark.run.fields import Checked, Count, Flag, Seconds
from benchmark.run.folder import RunFolder

TIMED = "timed.json"
_GO = "go"


@dataclass(frozen=True)
class Block:
    """Training iterations one after the other.

    Attributes:
        iterations: How many.
        images: How many images they took, in all processes that train together.
        seconds: How long they took, the wait for their images included.
        waited: How many of these seconds passed while there was nothing to train on yet.
    """

    iterations: Count
    images: Count
    seconds: Seconds
    waited: Seconds


@dataclass(frozen=True)
class Timed:
    """How far a timing has come, and what it has found.

    Attributes:
        ready: Whether all is built and every image was read once, so that it waits for the word to begin.
        complete: Whether all iterations were made.
        cause: The error, on one line; empty where there is none.
        notes: What was timed otherwise than a run would do it: without weights that are not on this machine.
        blocks: What was measured, in order; what was trained before, to warm up, is not in it.
        warm_up: How many iterations came before.
        images: How many images an epoch had, repetitions included.
        wanted: How many all iterations took; where that is more, images came round.
        first_s: Seconds of the very first iteration, in which kernels are chosen and a model is compiled.
        peak_memory_gib: Of the GPU where there is one, else of the process.
        device: Name of the GPU or CPU.
    """

    ready: Flag = False
    complete: Flag = False
    cause: str = ""
    notes: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    warm_up: Count = 0
    images: Count = 0
    wanted: Count = 0
    first_s: Seconds = 0.0
    peak_memory_gib: Seconds = 0.0
    device: str = ""


_TIMED = Checked(Timed)


def write_timed(folder: RunFolder, timed: Timed) -> None:
    """Writes ``timed.json`` atomically."""
    write_json(folder.path / TIMED, asdict(timed))


def read_timed(folder: RunFolder) -> Timed | None:
    """How far a timing has come; None where nothing is built yet."""
    return _TIMED.read(folder.path / TIMED)


def word_file(folder: RunFolder) -> Path:
    """The file that gives a timing the word to begin: those that run side by side begin together."""
    return folder.path / _GO
