"""How often a run's job was started where the run still is: ``starts.jsonl``, a line a start."""

from __future__ import annotations

from pathlib import Path

from benchmark.files import append_jsonl, lines_of, parse_json, read_bytes
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now

MOST_STARTS = 3
"""After so many starts in a row without progress a run has failed."""

# Of the newest checkpoints: the newest alone may be damaged, and stand there while those before it are gone on from.
_LOOKED_AT = 3


def note_start(folder: RunFolder, job: str) -> None:
    """Notes that a job begins, or has ended before it could, and how far the run is.

    Args:
        folder: The run.
        job: Which job, in its launcher's words.
    """
    line = {"job": job, "time": now(), "reached": _reached(folder)}
    if not _ends_whole(folder.starts_file):  # a kill has cut the last line
        with folder.starts_file.open("ab") as file:
            file.write(b"\n")
    append_jsonl(folder.starts_file, line)


def forget_starts(folder: RunFolder) -> None:
    """Has the starts counted anew: somebody has asked for the run again."""
    folder.starts_file.unlink(missing_ok=True)


def starts(folder: RunFolder) -> int:
    """How many starts there were."""
    return len(_noted(folder))


def began(folder: RunFolder) -> bool:
    """Whether the job that was submitted last has begun: starts are noted after its address, or at the same moment."""
    try:
        return folder.starts_file.stat().st_mtime >= folder.job_file.stat().st_mtime
    except OSError:
        return False


def without_progress(folder: RunFolder) -> int:
    """How many starts in a row, the last ones, began where the run still is."""
    here, count = _reached(folder), 0
    for reached in reversed(_noted(folder)):
        if reached != here:
            break
        count += 1
    return count


def _reached(folder: RunFolder) -> str:
    """The checkpoints that a resume would go on from, the newest first; empty before the first.

    Of a run that has ended it is its record: it is only to be evaluated on the test split.
    """
    if folder.finished:
        return folder.record_file.name
    return " ".join(path.name for path in checkpoints.saved(folder.checkpoints)[:_LOOKED_AT])


def _ends_whole(path: Path) -> bool:
    try:
        content = read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    return not content or content.endswith(b"\n")


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
