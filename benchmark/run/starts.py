"""How often a run's job was started where the run still is: ``starts.jsonl``, a line a start."""

from __future__ import annotations

from benchmark.files import append_jsonl, lines_of, parse_json, read_bytes
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now

MOST_STARTS = 3
"""After so many starts in a row without progress a run has failed."""


def note_start(folder: RunFolder, job: str) -> None:
    """Notes that a job begins, or has ended before it could, and how far the run is.

    Args:
        folder: The run.
        job: Which job, in its launcher's words.
    """
    append_jsonl(folder.starts_file, {"job": job, "time": now(), "reached": _reached(folder)})


def starts(folder: RunFolder) -> int:
    """How many starts there were."""
    return len(_noted(folder))


def without_progress(folder: RunFolder) -> int:
    """How many starts in a row, the last ones, began where the run still is."""
    here, count = _reached(folder), 0
    for reached in reversed(_noted(folder)):
        if reached != here:
            break
        count += 1
    return count


def _reached(folder: RunFolder) -> str:
    """The checkpoint that a resume would go on from; empty before the first."""
    return next((path.name for path in checkpoints.saved(folder.checkpoints)), "")


def _noted(folder: RunFolder) -> list[str]:
    """How far the run was at each start, oldest first."""
    try:
        lines = lines_of(read_bytes(folder.starts_file))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [reached for line in lines if (reached := _read(line)) is not None]


def _read(line: str) -> str | None:
    try:
        return str(parse_json(line.encode())["reached"])
    except (ValueError, KeyError, TypeError):  # cut by a kill
        return None
