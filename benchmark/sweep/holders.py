"""Who works on a results folder: one driver, and jobs that have outlived theirs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmark import locks
from benchmark.errors import UserError, why
from benchmark.launchers.living import living_job
from benchmark.run.state import Planned, lock_is_held
from benchmark.sweep.tidying import tidy

# A job whose driver was killed a moment ago lets go of its folder in this time.
_GRACE_S = 5.0


def has_driver(results: Path) -> bool:
    """Whether a sweep or study works on a results folder."""
    return locks.is_held(_driver_lock(results))


def _driver_lock(results: Path) -> Path:
    return results / "runs" / ".driver.lock"


@contextmanager
def only_driver(results: Path, makes_room: bool = False) -> Iterator[None]:
    """Holds the results folder for one driver, which clears away what those before it have left.

    Args:
        results: The results folder.
        makes_room: See `benchmark.locks.acquire`.

    Raises:
        UserError: Another driver holds it.
    """
    try:
        lock = locks.acquire(_driver_lock(results), makes_room=makes_room)
    except locks.Held as held:
        raise UserError(
            f"another sweep or study ({held.who}) works on {results}: wait for it, or use another --results"
            f"{held.advice}"
        ) from None
    if lock.refusal is not None:
        print(
            f"warning: {results}: this file system has no locks ({why(lock.refusal)}); files take their place, which "
            "a process leaves behind that is killed on another machine",
            file=sys.stderr,
        )
    try:
        tidy(results)
        yield
    finally:
        lock.release()


def end_orphans(runs: Sequence[Planned]) -> None:
    """Ends jobs whose driver is dead, unless they are made to outlive it: a sweep takes those over.

    Raises:
        UserError: A job cannot be ended from here.
    """
    for run in _orphans_after_grace(runs):
        held, job = locks.Held(run.folder.lock_file), living_job(run.folder)
        who = held.who
        if job is None and lock_is_held(run.folder):
            raise UserError(
                f"{run.folder.path}: its job ({who}) still runs: end it first{held.advice}"
            )
        if job is not None:
            job.kill()
        if _orphans_after_grace([run]):
            raise UserError(f"{run.folder.path}: its job ({who}) cannot be ended")


def _orphans_after_grace(runs: Iterable[Planned]) -> list[Planned]:
    """The runs that a job without a driver works on, after the time that it may take to notice."""
    end = time.monotonic() + min(_GRACE_S, locks.patience_s())
    left = [run for run in runs if _is_orphaned(run)]
    while left and time.monotonic() < end:
        time.sleep(0.1)
        left = [run for run in left if _is_orphaned(run)]
    return left


def _is_orphaned(run: Planned) -> bool:
    job = living_job(run.folder)
    return lock_is_held(run.folder) if job is None else not job.outlives_driver
