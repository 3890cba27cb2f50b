"""What a row's try-out came to: ``tried.json``, in the folder that it was made in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from benchmark.files import write_json
from benchmark.run.fields import Checked, Count, Flag, Seconds
from benchmark.run.folder import RunFolder

TRIED = "tried.json"


@dataclass(frozen=True)
class Tried:
    """How far a try-out has come, and what it has found.

    Attributes:
        step: What was begun last, in words that follow a "while": ``its model was built``.
        complete: Whether every step was taken.
        key: Key path of the config that the error came from; empty where there is none, or nobody can tell.
        cause: The error, on one line; empty where there is none.
        at: Where it was raised, ``mmdet/models/necks/fpn.py:158``.
        notes: What was tried otherwise than a run would do it: without weights that are not on this machine.
        seconds: What it took.
        peak_memory_gib: Of the GPU where there is one, else of the process.
        device: Name of the GPU or CPU.
        params: Number of the model's parameters; None before it was built.
    """

    step: str = ""
    complete: Flag = False
    key: str = ""
    cause: str = ""
    at: str = ""
    notes: tuple[str, ...] = ()
    seconds: Seconds = 0.0
    peak_memory_gib: Seconds = 0.0
    device: str = ""
    params: Count | None = None

    def noting(self, note: str) -> Tried:
        """The same, with one more note."""
        return replace(self, notes=(*self.notes, note))


_TRIED = Checked(Tried)


def write_tried(folder: RunFolder, tried: Tried) -> None:
    """Writes ``tried.json`` atomically: before each step, so that it tells what a process died in, and at the end."""
    write_json(folder.path / TRIED, asdict(tried))


def read_tried(folder: RunFolder) -> Tried | None:
    """How far a try-out has come; None where it has not begun."""
    return _TRIED.read(folder.path / TRIED)
