"""What became of a run, looked up on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmark import locks
from benchmark.run.folder import RunFolder
from benchmark.run.record import RunRecord, State
from benchmark.run.spec import RunSpec


@dataclass(frozen=True)
class Planned:
    """One run: what is asked, its folder, and what is known of it."""

    spec: RunSpec
    config: Mapping[str, Any]
    folder: RunFolder
    state: State
    record: RunRecord | None = None


def look(
    spec: RunSpec,
    config: Mapping[str, Any],
    folder: RunFolder,
    record: RunRecord | None = None,
) -> Planned:
    """Looks up on disk what became of a run; its record is not read where it is given."""
    if record is None and folder.finished:
        record = folder.read_record()
    return Planned(spec, config, folder, _state(folder, record), record)


def look_again(run: Planned) -> Planned:
    """Looks up on disk what became of a run since it was planned."""
    return look(run.spec, run.config, run.folder)


def _state(folder: RunFolder, record: RunRecord | None) -> State:
    if record is not None:
        return record.state
    if not folder.path.exists():
        return State.WAITING
    if locks.is_held(folder.lock_file):
        return State.RUNNING
    return State.LOST if folder.lock_file.exists() else State.WAITING
