"""Tries rows out before any of them trains: in the launcher's own kind of job, so that it meets what a run would."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.config.compose import surroundings_of
from benchmark.config.origin import origins
from benchmark.errors import attempt
from benchmark.experiment.experiment import Tracking
from benchmark.job.failures import read_last_words
from benchmark.launchers import Launcher
from benchmark.process import asked_to_end
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions
from benchmark.run.plan import Plan
from benchmark.run.prepare import prepare
from benchmark.run.state import Planned, not_complete
from benchmark.run.tried import Tried, read_tried
from benchmark.sweep.loop import POLL_S, Active
from benchmark.sweep.silence import Listener, Pulse
from benchmark.sweep.unbegun import remedy
from benchmark.writing.words import minutes

_KILLED = "killed by signal 9"
_NOT_BEGUN = Tried(step="its process started")


@dataclass(frozen=True)
class Result:
    """What came of trying a row out.

    Attributes:
        run: The run that stands for the row.
        tried: How far it has come.
        end: How its process ended, where it died of that; empty where it did not.
        fault: What of the machine has ended it, which says nothing of the row; empty where nothing has.
    """

    run: Planned
    tried: Tried
    end: str = ""
    fault: str = ""

    @property
    def well(self) -> bool:
        """Whether the row trains a step, and is evaluated."""
        return self.tried.complete and not self.tried.cause


class TryOuts:
    """Tries rows out, as many side by side as the launcher has slots.

    Args:
        launcher: Starts the jobs; it is left open.
        folder: Where they are made, see `benchmark.sweep.trying`.
        trusted: Whether weights that hold code are loaded, too.
        say: Shows a line to the user.
        silence_s: Seconds without a sign of life after which a job is ended.
    """

    def __init__(
        self,
        launcher: Launcher,
        folder: Path,
        trusted: bool,
        say: Callable[[str], None],
        silence_s: float,
    ) -> None:
        self._launcher = launcher
        self._folder = folder
        self._trusted = trusted
        self._silence_s = silence_s
        self._listener = Listener(say, silence_s)
        self._active: list[Active] = []
        self._begun: bool | None = None  # as far as jobs have ended

    def results(self, runs: Sequence[Planned]) -> Iterator[Result]:
        """Gives what came of each run, in the order in which they end.

        Whoever stops to listen, and Ctrl-C, end the jobs that run; so does the first job of a cluster that ends before
        DetBoard begins in it, while none has begun: the others would end like it.
        """
        waiting = list(runs)
        try:
            while waiting or self._active:
                self._start(waiting)
                ended = [active for active in self._active if active.job.ended()]
                yield from [*map(self._ended, ended), *self._silent()]
                if asked_to_end():  # an exception that a library has swallowed
                    raise KeyboardInterrupt
                if self._begun is False:
                    return
                if self._active and not ended:
                    time.sleep(POLL_S)
        finally:
            for active in self._active:
                active.job.kill()

    def _start(self, waiting: list[Planned]) -> None:
        pool = self._launcher.pool
        while waiting and (resources := pool.acquire(waiting[0].spec.gpus)) is not None:
            run = waiting.pop(0)
            placed = replace(run, folder=RunFolder(self._folder / run.spec.run_id), record=None)
            prepare(placed)
            options = JobOptions(
                Tracking(mode="off"), resources, trust_checkpoints=self._trusted, try_out=True
            )
            job = self._launcher.submit(placed.folder.path, options)
            self._active.append(Active(placed, job, resources, Pulse(job, placed.folder)))
        self._launcher.flush()

    def _ended(self, active: Active) -> Result:
        self._leave(active)
        folder = active.run.folder
        found = read_tried(folder)
        tried = found or _NOT_BEGUN
        if active.job.met_fault():
            fault = read_last_words(folder.log_file) or active.job.exit_text()
            return Result(active.run, tried, fault=fault)
        if found is None and active.job.outlives_driver:
            self._begun = bool(self._begun)
            said = active.job.exit_text()
            return Result(active.run, tried, fault=f"{said}; {remedy(folder, said)}")
        self._begun = True
        died = not (tried.complete or tried.cause)
        return Result(active.run, tried, death(active.job.exit_text()) if died else "")

    def _silent(self) -> list[Result]:
        silent = [
            one for one in self._active if self._listener.gives_up(one.pulse, one.run.spec.row)
        ]
        for active in silent:
            active.job.kill()
            self._leave(active)
        words = f"no sign of life for {minutes(self._silence_s)}, so that it was ended"
        return [Result(one.run, read_tried(one.run.folder) or _NOT_BEGUN, words) for one in silent]

    def _leave(self, active: Active) -> None:
        self._active.remove(active)
        self._launcher.pool.release(active.resources)


def death(exit_text: str) -> str:
    """How a job has died, in words, with what a signal may mean."""
    hint = ", as the system does where memory runs short" if exit_text.startswith(_KILLED) else ""
    return exit_text + hint


def to_try(runs: Sequence[Planned]) -> list[Planned]:
    """One run of each row that trains, and has one which is not complete: rows are tried, not seeds."""
    left = [run for run in not_complete(runs) if run.spec.trains]
    return list({run.spec.row: run for run in reversed(left)}.values())[::-1]


def objection(made: Plan, result: Result) -> str:
    """What is wrong with a row, in one line: the key and where it comes from, the error, and what was being done."""
    row, tried = result.run.spec.row, result.tried
    where = _where(made, result) if tried.key else ""
    at = f" at {tried.at}" if tried.at else ""
    what = result.end or f"{tried.cause}{at}"
    return f"row '{row}': {where}{what}; while {tried.step}"


def _where(made: Plan, result: Result) -> str:
    """The key and where it comes from: ``model.neck (configs/necks/fpn.py): ``."""
    spec, key = result.run.spec, result.tried.key
    row = next(row for row in made.rows if row.name == spec.row)
    around = surroundings_of(made.experiment, made.profile)
    files = attempt([], origins, row, around, key, spec.command_line) or []
    return f"{key} ({', '.join(files)}): " if files else f"{key}: "
