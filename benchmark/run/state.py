"""What became of a run, looked up on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark import locks
from benchmark.files import read_json
from benchmark.run.folder import Damaged, RunFolder
from benchmark.run.record import RunRecord, State
from benchmark.run.spec import RunSpec
from benchmark.run.standing import Standing, StandingOf

LOST = "lost"
"""In ``stop``: a process that trains with others has lost one of them, and all are to come back."""


@dataclass(frozen=True)
class Planned:
    """One run: what is asked, its folder, and what is known of it.

    Attributes:
        problem: What of its folder cannot be read, and what to do; empty unless it is damaged.
        outdated: It has a record that no longer holds, for a run that it is made from was made again since.
        tests: It is complete, and only to be evaluated on the test split.
        standing: What the scheduler of its living job says; empty where there is none, or nothing to say.
    """

    spec: RunSpec
    config: Mapping[str, object]
    folder: RunFolder
    state: State
    record: RunRecord | None = None
    problem: str = ""
    outdated: bool = False
    tests: bool = False
    standing: str = ""


def not_complete(runs: Iterable[Planned]) -> list[Planned]:
    """The runs that are not complete."""
    return [run for run in runs if run.state is not State.COMPLETE]


def lock_is_held(folder: RunFolder) -> bool:
    """Whether a job of this machine, or of one that shares its locks, runs in the folder."""
    return locks.is_held(folder.lock_file)


def by_lock(folder: RunFolder) -> Standing | None:
    """Where the job of a folder stands, as far as its lock tells."""
    return Standing() if lock_is_held(folder) else None


def look(
    spec: RunSpec,
    config: Mapping[str, object],
    folder: RunFolder,
    record: RunRecord | None = None,
    standing: StandingOf = by_lock,
) -> Planned:
    """Looks up on disk what became of a run.

    A record that is known is not read; ``standing`` says where an unfinished run's job stands.
    """
    try:
        record = record or folder.record_if_ended()
        if record is None:
            folder.check_kinds()
        else:
            folder.check_fits(record, spec)
    except Damaged as damage:
        return Planned(spec, config, folder, State.DAMAGED, problem=str(damage))
    run = Planned(spec, config, folder, State.WAITING, record)
    if record is not None:
        return replace(run, state=record.state)
    found = _unfinished(run, standing)
    # It has ended meanwhile, or its record has come home because somebody asked for it.
    return look(spec, config, folder, None, standing) if folder.finished else found


def look_again(run: Planned) -> Planned:
    """Looks up on disk what became of a run since it was planned."""
    return look(run.spec, run.config, run.folder)


def standing_run(run: Planned, standing: Standing) -> Planned:
    """A run whose job stands there."""
    state = State.QUEUED if standing.queued else State.RUNNING
    return replace(run, state=state, standing=standing.words, record=None)


def _unfinished(run: Planned, standing: StandingOf) -> Planned:
    folder = run.folder
    if not folder.path.exists():
        return run
    if (found := standing(folder)) is not None:
        return standing_run(run, found)
    started = folder.lock_file.exists() or folder.job_file.exists()
    return replace(run, state=unfinished(folder)) if started else run


def unfinished(folder: RunFolder) -> State:
    """The state of a run that was started, has no record, and that no job works on any more."""
    file = folder.stop_file
    asked = stop_is_users(file) and stop_state(file) != State.PRUNED.value
    return State.INTERRUPTED if asked else State.LOST


def stop_state(path: Path) -> str:
    """How a job is to end, as ``stop`` says: ``pruned``, or ``interrupted`` to be continued later."""
    return str(_stop(path).get("state", "interrupted"))


def stop_is_users(path: Path) -> bool:
    """Whether there is a ``stop`` of a user or a driver."""
    return path.exists() and not stop_is_schedulers(path)


def stop_is_schedulers(path: Path) -> bool:
    """Whether there is a ``stop`` of a scheduler, which says ``again``: the job leaves, and comes back."""
    return bool(_stop(path).get("again"))


def stop_tells_of_loss(path: Path) -> bool:
    """Whether ``stop`` is of a process that has lost another one of its run."""
    return bool(_stop(path).get(LOST))


def _stop(path: Path) -> Mapping[str, object]:
    """What ``stop`` says; nothing, where it is not there, empty, or cannot be read."""
    try:
        content: object = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
