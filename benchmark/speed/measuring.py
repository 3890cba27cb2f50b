"""Measures rows with a combination: a process for each run, on this device, in a folder that goes away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import count

from benchmark.config.vocabulary.machine import needs_of
from benchmark.errors import MachineError, UserError, attempt
from benchmark.experiment.cache import ImageCache
from benchmark.experiment.experiment import Tracking
from benchmark.job.decoded.opening import memory_for
from benchmark.job.failures import read_last_words
from benchmark.launchers.child import Surroundings
from benchmark.launchers.local import LocalJob, LocalLauncher
from benchmark.process import asked_to_end
from benchmark.run.folder import RunFolder
from benchmark.run.options import Caching, JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.state import Planned
from benchmark.run.timed import Timed, read_timed, word_file
from benchmark.speed.choices import Combination, How, Machine
from benchmark.speed.rates import Speed
from benchmark.sweep.silence import Listener, Pulse
from benchmark.sweep.tryouts import death
from benchmark.writing.words import minutes

_LOOK_S = 0.05
# Where torch keeps what it has compiled: a folder of its own, which goes away with the others.
_COMPILED = "TORCHINDUCTOR_CACHE_DIR"


@dataclass(frozen=True)
class Timing:
    """How rows are measured.

    Attributes:
        request: What they are planned by, as the experiment has them; their folders are made in its results folder.
        cache: Where they keep decoded images, as the experiment has it.
        machine: What they run on.
        iterations: How many are measured of each run.
        trusted: Whether weights that hold code are loaded, too.
        silence_s: Seconds without a sign of life after which a job is ended.
    """

    request: Request
    cache: ImageCache
    machine: Machine
    iterations: int
    trusted: bool
    silence_s: float


class Stopwatch:
    """Measures rows.

    Args:
        timing: How.
        say: Shows a line to the user.

    Attributes:
        notes: By row, what is to be known of its figures, a sentence each.
        devices: Names of the devices that were used.
    """

    def __init__(self, timing: Timing, say: Callable[[str], None]) -> None:
        self._timing = timing
        self._say = say
        self._launcher = LocalLauncher()
        self._numbers = count()
        self.notes: dict[str, list[str]] = {}
        self.devices: set[str] = set()

    def measure(self, combination: Combination, row: str) -> Speed | str:
        """What a row reaches with a combination, or why it fails.

        Raises:
            MachineError: The machine is at fault.
        """
        timing = self._timing
        how = combination.put(How(replace(timing.request, rows=(row,)), timing.cache))
        problems: list[str] = []
        run = attempt(problems, self._planned, how)
        if run is None:
            return "; ".join(problems)
        with _kept(how.cache) as kept, self._jobs(run, how.slots, kept) as jobs:
            found = self._found(jobs)
        if isinstance(found, str):
            return found
        self._note(row, combination, found[0])
        self.devices |= {timed.device for timed in found}
        return Speed.of(found)

    def _note(self, row: str, combination: Combination, timed: Timed) -> None:
        """Notes what is to be known, once: of a combination what is not so as the experiment has it."""
        known = self.notes.setdefault(row, [])
        head = f"{combination.words()}: " if combination.values else ""
        known += [f"{head}{note}" for note in notes_of(timed) if note not in known]

    def _planned(self, how: How) -> Planned:
        """The run that stands for a row: of the first seed, on the first fold.

        Raises:
            UserError: It cannot be composed, or this machine lacks what it needs.
        """
        run = make_plan(how.request).runs[0]
        has_gpu = bool(self._timing.machine.gpus)
        if lacking := needs_of(dict(run.config)).unmet(has_gpu, run.spec.gpus):
            raise UserError(lacking)
        return run

    def _found(self, jobs: Sequence[_Job]) -> list[Timed] | str:
        """What jobs side by side have measured, which begin together; or why one has not."""
        wrong = self._brought_to(jobs, lambda timed: timed.ready)
        if not wrong:
            for job in jobs:
                word_file(job.folder).touch()
            wrong = self._brought_to(jobs, lambda timed: timed.complete)
        return wrong or [timed for job in jobs if (timed := read_timed(job.folder)) is not None]

    @contextmanager
    def _jobs(self, run: Planned, slots: int, kept: Caching) -> Iterator[list[_Job]]:
        """Jobs of one run side by side, each in a folder of its own; they end with the context."""
        jobs: list[_Job] = []
        try:
            for _ in range(slots):
                jobs.append(self._started(run, slots, kept))
            yield jobs
        finally:
            for job in jobs:
                job.job.kill()

    def _started(self, run: Planned, slots: int, kept: Caching) -> _Job:
        place = self._timing.request.results / "runs" / str(next(self._numbers))
        folder = RunFolder(place / run.spec.run_id)
        prepare(replace(run, folder=folder, record=None))
        options = JobOptions(
            Tracking(mode="off"),
            share(self._timing.machine, run.spec.gpus, slots),
            trust_checkpoints=self._timing.trusted,
            timed=self._timing.iterations,
            cache=kept,
        )
        around = Surroundings(variables={_COMPILED: str(folder.path / "compiled")})
        return _Job(self._launcher.start(folder.path, options, around), folder)

    def _brought_to(self, jobs: Sequence[_Job], stage: Callable[[Timed], bool]) -> str:
        """Waits until all jobs have come to a stage; why one does not, empty if all do.

        Raises:
            MachineError: The machine is at fault.
        """
        listener = Listener(self._say, self._timing.silence_s)
        pulses = [Pulse(job.job, job.folder) for job in jobs]
        while not all(job.has_come_to(stage) for job in jobs):
            for job, pulse in zip(jobs, pulses, strict=True):
                if job.job.ended() and not job.has_come_to(stage):
                    return job.end()
                if listener.gives_up(pulse, job.folder.path.name):
                    return f"no sign of life for {minutes(self._timing.silence_s)}"
            if asked_to_end():  # an exception that a library has swallowed
                raise KeyboardInterrupt
            time.sleep(_LOOK_S)
        return ""


@dataclass(frozen=True)
class _Job:
    job: LocalJob
    folder: RunFolder

    def has_come_to(self, stage: Callable[[Timed], bool]) -> bool:
        timed = read_timed(self.folder)
        return timed is not None and stage(timed)

    def end(self) -> str:
        """Why it ended too early.

        Raises:
            MachineError: The machine is at fault.
        """
        timed, text = read_timed(self.folder), self.job.exit_text()
        if self.job.met_fault():
            fault = read_last_words(self.folder.log_file) or text
            raise MachineError("a training could not be timed", fault, "see to that, and try again")
        return timed.cause if timed is not None and timed.cause else death(text)


@contextmanager
def _kept(asked: ImageCache) -> Iterator[Caching]:
    """What jobs are told of decoded images; memory for them goes away with the context."""
    told = Caching(asked.kind, asked.gib, time.time())
    if asked.kind != "ram":
        yield told
        return
    with closing(memory_for(asked.gib)) as memory:
        yield replace(told, memory=memory.path, token=memory.token)


def share(machine: Machine, processes: int, slots: int) -> Resources:
    """What one of so many runs side by side gets, as a sweep on all of the machine's GPUs would give it.

    Args:
        machine: What they run on.
        processes: How many processes train together in each run; each has a GPU, where there are any.
        slots: Runs side by side on one GPU, or on all CPUs.
    """
    return Resources(
        machine.gpus[:processes], max(1, machine.cpus // (slots * processes)), processes
    )


def notes_of(timed: Timed) -> tuple[str, ...]:
    """What a reader of a row's figures has to know."""
    which = f"{timed.images} images come" if timed.images > 1 else "one image comes"
    again = f"its {which} round several times"
    return (*timed.notes, *([again] if timed.images < timed.wanted else []))
