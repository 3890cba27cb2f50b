"""What became of a run, looked up on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark import locks
from benchmark.files import read_json
from benchmark.run.folder import Damaged, RunFolder
from benchmark.run.record import RunRecord, State
from benchmark.run.spec import RunSpec


@dataclass(frozen=True)
class Planned:
    """One run: what is asked, its folder, and what is known of it.

    Attributes:
        problem: What of its folder cannot be read, and what to do; empty unless it is damaged.
        outdated: It has a record that no longer holds, for a run that it is made from was made again since.
        tests: It is complete, and only to be evaluated on the test split.
    """

    spec: RunSpec
    config: Mapping[str, object]
    folder: RunFolder
    state: State
    record: RunRecord | None = None
    problem: str = ""
    outdated: bool = False
    tests: bool = False


Lives = Callable[[RunFolder], bool]


def not_complete(runs: Iterable[Planned]) -> list[Planned]:
    """The runs that are not complete."""
    return [run for run in runs if run.state is not State.COMPLETE]


def lock_is_held(folder: RunFolder) -> bool:
    """Whether a job of this machine, or of one that shares its locks, runs in the folder."""
    return locks.is_held(folder.lock_file)


def look(
    spec: RunSpec,
    config: Mapping[str, object],
    folder: RunFolder,
    record: RunRecord | None = None,
    lives: Lives = lock_is_held,
) -> Planned:
    """Looks up on disk what became of a run.

    A record that is known is not read; ``lives`` says whether an unfinished run's job lives.
    """
    try:
        record = record or folder.record_if_ended()
        if record is None:
            folder.check_kinds()
        else:
            folder.check_fits(record, spec)
    except Damaged as damage:
        return Planned(spec, config, folder, State.DAMAGED, problem=str(damage))
    return Planned(spec, config, folder, _state(folder, record, lives), record)


def look_again(run: Planned) -> Planned:
    """Looks up on disk what became of a run since it was planned."""
    return look(run.spec, run.config, run.folder)


def _state(folder: RunFolder, record: RunRecord | None, lives: Lives) -> State:
    if record is not None:
        return record.state
    if not folder.path.exists():
        return State.WAITING
    if lives(folder):
        return State.RUNNING
    started = folder.lock_file.exists() or folder.job_file.exists()
    return unfinished(folder) if started else State.WAITING


def unfinished(folder: RunFolder) -> State:
    """The state of a run that was started, has no record, and that no job works on any more."""
    asked = folder.stop_file.exists() and stop_state(folder.stop_file) != State.PRUNED.value
    return State.INTERRUPTED if asked else State.LOST


def stop_state(path: Path) -> str:
    """How a job is to end, as ``stop`` says: ``pruned``, or ``interrupted`` to be continued later."""
    try:
        return str(read_json(path)["state"])
    except (OSError, ValueError, KeyError, TypeError):
        return "interrupted"
