"""Whether the leaderboard's files are those of the runs as they are now, found out without making them again.

A sweep notes what it made the files of, and what they hold, once all of them are written. A kill in between leaves no
note, or one of other runs, so that the next sweep looks at every file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmark.data.annotations import stamp
from benchmark.files import is_file, read_json, sha256_if_any, write_json
from benchmark.run.plan import Plan

# What turns records into files: other code makes other files of the same records.
_CODE = tuple(Path(__file__).parents[1] / name for name in ("leaderboard", "statistics", "writing"))


def made_of(plan: Plan, results: Path) -> str:
    """Hex SHA-256 over what the files are made of: code, the experiment, its setting, every run of the results folder.

    Of records it is the stamp that counts, size and times of change: a job writes a record once.

    Args:
        plan: The runs of the table as they are now.
        results: The results folder.
    """
    data = plan.dataset
    parts = [
        [(str(path), *stamp(path)) for folder in _CODE for path in _sources(folder)],
        plan.experiment.model_dump(exclude={"tracking"}),
        [plan.profile, data.name, data.classes, data.hashes, str(data.train.annotations)],
        [(run.spec.run_id, run.state.value) for run in plan.runs],
        list(_records(results / "runs")),
    ]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.*") if path.suffix != ".pyc")


def _records(runs: Path) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Each run folder, and the stamps of its record and of what it came to on the test split."""
    folders = (
        sorted(entry.path for entry in os.scandir(runs) if entry.is_dir()) if runs.is_dir() else []
    )
    for folder in folders:
        record, tested = Path(folder, "record.json"), Path(folder, "test.json")
        yield Path(folder).name, stamp(record) if is_file(record) else (), stamp(tested)


def is_current(plan: Plan, results: Path) -> bool:
    """Whether the files that the last sweep wrote are there as it wrote them, and made of what there is now."""
    try:
        note = read_json(_note(plan, results))
        files = {str(path): sha256 for path, sha256 in note["files"].items()}
        same = note["of"] == made_of(plan, results)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # no note, or none of this version
    return same and all(sha256_if_any(Path(path)) == sha256 for path, sha256 in files.items())


def is_of(plan: Plan, results: Path, of: str) -> bool:
    """Whether the last sweep has made the files of the same, as `made_of` says: it has tracked them, if it was to."""
    try:
        return bool(read_json(_note(plan, results))["of"] == of)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def note_current(plan: Plan, results: Path, of: str, files: Iterable[Path]) -> None:
    """Notes what files were made of, as `made_of` says, and what they hold; a file that is not there is noted, too."""
    held = {str(path.resolve()): sha256_if_any(path) for path in files}
    write_json(_note(plan, results), {"of": of, "files": held})


def forget(plan: Plan, results: Path) -> None:
    """Takes the note away: files could not be made."""
    _note(plan, results).unlink(missing_ok=True)


def _note(plan: Plan, results: Path) -> Path:
    """Where the note lies, one for each setting: beside the runs, which are not under version control either."""
    setting = json.dumps([plan.profile, *plan.dataset.hashes])
    digest = hashlib.sha256(setting.encode()).hexdigest()[:8]
    return results / "runs" / f".{plan.experiment.name}-{digest}.board.json"
