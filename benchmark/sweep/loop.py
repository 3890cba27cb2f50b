"""Runs what is missing: jobs side by side on slots, each watched until it has a record or is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from benchmark.errors import fault_of, told
from benchmark.experiment.experiment import PATIENCE_MIN
from benchmark.files import write_refused
from benchmark.job.begun import no_progress
from benchmark.job.failures import read_last_words
from benchmark.job.given_up import give_up
from benchmark.launchers import Job, Launcher
from benchmark.launchers.living import asks, living_job
from benchmark.locks import patience_s
from benchmark.process import OutputLost, asked_to_end
from benchmark.run.address import is_sent
from benchmark.run.options import JobOptions, Resources
from benchmark.run.prepare import prepare, set_aside
from benchmark.run.reached import reached
from benchmark.run.record import State
from benchmark.run.standing import Standing
from benchmark.run.starts import MOST_STARTS, note_start, starts, without_progress
from benchmark.run.state import Planned, look_again, standing_run, stop_is_users, unfinished
from benchmark.run.to_test import prepare_test, told_of_test
from benchmark.sweep.base import Source, Watcher
from benchmark.sweep.crowding import Crowding
from benchmark.sweep.dead_ends import DeadEnds
from benchmark.sweep.ending import ask_to_stop, end_job, record_if_asked
from benchmark.sweep.pause import PROBE, Pause
from benchmark.sweep.places import Places, doze
from benchmark.sweep.progress import name_of
from benchmark.sweep.silence import Listener, Pulse
from benchmark.sweep.standings import Standings
from benchmark.sweep.stopping import say_ends, say_waiting

POLL_S = 0.1


@dataclass(frozen=True)
class Active:
    """A run whose job lives.

    Attributes:
        starts: How often a job of it had started when this one was submitted; -1 if it ran when it was found.
        found: It was submitted by a driver before this one.
    """

    run: Planned
    job: Job
    resources: Resources
    pulse: Pulse
    starts: int = 0
    found: bool = False

    @property
    def is_sent(self) -> bool:
        """Whether its scheduler has taken it."""
        return self.found or is_sent(self.run.folder)


@dataclass(frozen=True)
class Submitted:
    """What has become of runs that were submitted and left alone.

    Attributes:
        sent: Those whose jobs are queued or run, with where they stand.
        held_back: Those that their scheduler does not take now, with what it says.
        ended: Those whose jobs have ended already.
    """

    sent: Sequence[Planned]
    held_back: Sequence[Planned]
    ended: Sequence[Planned]


class Sweep:
    """Runs what a source gives, as many side by side as the launcher has slots.

    Args:
        launcher: Starts the jobs.
        options: What a job is told.
        watcher: Sees it all.
        silence_s: Seconds without a sign of life after which a job is ended.
        leaves: Asked, when the sweep is to end, whether runs are left alone whose jobs outlive it; None leaves them.
    """

    def __init__(
        self,
        launcher: Launcher,
        options: Callable[[Resources], JobOptions],
        watcher: Watcher,
        silence_s: float = PATIENCE_MIN * 60,
        leaves: Callable[[Sequence[Planned]], bool] | None = None,
    ) -> None:
        self.launcher = launcher
        self.options = options
        self.watcher = watcher
        self._leaves = leaves
        self._active: list[Active] = []
        self._cut_off: list[Planned] = []
        self._source: Source
        self._ended: list[Planned] = []
        self._patience_s = patience_s()
        self._pause = Pause(watcher.say, self._patience_s)
        self._listener = Listener(watcher.say, silence_s)
        self._dead_ends = DeadEnds(watcher.say, launcher.name)
        self._crowding = Crowding(watcher, options)
        self._standings = Standings(watcher.stands)
        self._places = Places()

    def run(self, source: Source) -> list[Planned]:
        """Runs until the source is done; a run that fails does not stop the others.

        Ctrl-C asks the running jobs to end and waits for them, unless they are left alone; a second one kills them.
        Each says how far it was. A fault of the machine, a full disk, pauses: what met it is run again when the results
        folder takes writes again. A job that its scheduler has ended is queued again, until its run makes no progress.

        Returns:
            The runs as they ended.

        Raises:
            MachineError: The results folder takes no writes for too long, or jobs end before they begin.
        """
        self._go_on(source, lambda: not self._active and source.done())
        return self._ended

    def submit(self, source: Source) -> Submitted:
        """Submits what there is room for, and leaves it alone: whoever runs the source later finds the jobs.

        Raises:
            MachineError: The results folder takes no writes for too long.
        """
        self._go_on(source, lambda: True)
        sent = [active for active in self._active if active.is_sent]
        held_back = [active for active in self._active if active not in sent]
        standings = [[_standing(active) for active in some] for some in (sent, held_back)]
        return Submitted(standings[0], standings[1], self._ended)

    def _go_on(self, source: Source, is_done: Callable[[], bool]) -> None:
        self._source = source
        asks(self.launcher)
        try:
            self._find_living(source)
            while True:
                self._look(source)
                if is_done() and not (self._pause.runs or self._cut_off or self._crowding.runs):
                    break
                doze(self._active, POLL_S)
                if asked_to_end():  # an exception that a library has swallowed
                    raise KeyboardInterrupt
            self._dead_ends.look(self._active)
        except BaseException:
            self._stop()
            raise
        finally:
            self.launcher.close()

    def _look(self, source: Source) -> None:
        """Starts what there is room for, and sees what has become of what was started."""
        self._pause.look(jobs_run=bool(self._active))
        self._places.look(self._active, self.launcher.pool, source.takes_early)
        self._dead_ends.look(self._active)
        if not self._holds:
            self._start_again()
            self._start_some(source)
            self.launcher.flush()
        self._collect()
        self._end_silent()
        for active in self._active:
            self._standings.look(active.run, active.job)
        self.watcher.tick()

    @property
    def _holds(self) -> bool:
        """Whether no job is to be started."""
        return self._pause.lasts or self._dead_ends.holds

    def _find_living(self, source: Source) -> None:
        """Takes in what drivers before this one have submitted, also where that was more than there are slots."""
        while (run := source.take_living(_outlives)) is not None:
            self._start(run, self.launcher.pool.take(run.spec.gpus))

    def _start_again(self) -> None:
        """Starts what found no memory, what a pause has held back, and what a scheduler has ended."""
        for waiting in (self._crowding.runs, self._pause.runs, self._cut_off):
            alone = waiting is self._crowding.runs
            while waiting and not self._holds:
                spec = waiting[0].spec
                resources = self.launcher.pool.acquire(spec.gpus, spec.row, alone)
                if resources is None:
                    return
                self._start(waiting.pop(0), resources)

    def _start_some(self, source: Source) -> None:
        pool = self.launcher.pool
        while not self._holds and (gpus := source.gpus()) is not None:
            resources = pool.acquire(gpus, source.row())
            if resources is None:
                return
            run = source.take()
            if run is None:
                pool.release(resources)
            else:
                self._start(run, resources)

    def _start(self, run: Planned, resources: Resources) -> None:
        count = starts(run.folder)
        job = _outlasting(run)
        # What a cluster takes has not begun yet.
        new = Standing(queued=self.launcher.outlives_driver)
        standing = job.standing() if job is not None else new
        self.watcher.started(standing_run(run, standing))
        self._standings.begin(run, standing)
        if job is None and _has_ended(run):
            self.launcher.pool.release(resources)
            self._judge(run, "")
            return
        found, job = job is not None, job or self._submitted(run, resources)
        if found and not standing.queued:
            count = -1  # it has begun
        if job is not None:
            active = Active(run, job, resources, Pulse(job, run.folder), count, found)
            others = self._places.holding(self._active)
            self._crowding.tell_company(active, others, self.launcher.pool)
            self._active.append(active)

    def _submitted(self, run: Planned, resources: Resources) -> Job | None:
        """The run's job; None where the folder takes no writes, for which it waits."""
        try:
            make_ready(run)
            options = replace(self.options(resources), beside=self._places.beside)
            return self._launched(run, options)
        except OSError as error:
            if fault_of(error) is None:
                raise
            self.launcher.pool.release(resources)
            # Its record was set aside.
            unfinished = replace(run, state=State.LOST, record=None, outdated=False)
            self._put_back(run if run.folder.finished else unfinished, told(error))
            return None

    def _launched(self, run: Planned, options: JobOptions) -> Job:
        try:
            return self.launcher.submit(run.folder.path, options)
        except (KeyboardInterrupt, OutputLost):
            if not self.launcher.outlives_driver:
                # In the run itself, of a launcher that trains in this process.
                with suppress(OSError):
                    ask_to_stop(run.folder, "interrupted")
                say_ends([run])
            raise

    def _collect(self) -> None:
        for active in [active for active in self._active if active.job.ended()]:
            self._active.remove(active)
            self._settle(active)
            self._places.give_back(active, self.launcher.pool)

    def _settle(self, active: Active) -> None:
        """Has a run whose job has ended wait to be started again, or sees what has become of it."""
        if fault := _fault(active):
            self._put_back(active.run, fault)
        elif why := _cut_off(active):
            self._queue_again(active, why)
        elif not self._crowding.puts_back(active, self.launcher.pool):
            self._judge(active.run, self._dead_ends.ended(active, self._active))

    def _queue_again(self, active: Active, why: str) -> None:
        """Has a run go on that its scheduler has ended, or gives it up where it makes no progress."""
        run, text = active.run, active.job.exit_text()
        if starts(run.folder) == active.starts:
            note_start(run.folder, text)
        if (count := without_progress(run.folder)) >= MOST_STARTS:
            options = self.options(active.resources)
            give_up(run.folder.path, options, f"{no_progress(count)}; the last one: {why}")
            self._judge(run, text)
        else:
            self.watcher.put_back(run, f"{why}; it is queued again")
            lost = replace(run, state=State.LOST, record=None, outdated=False)
            self._cut_off.append(run if run.folder.finished else lost)

    def _end_silent(self) -> None:
        for active in list(self._active):
            name = name_of(active.run)
            if self._listener.gives_up(active.pulse, name):
                self._active.remove(active)
                words = self._listener.end(active.pulse, name)
                self._places.give_back(active, self.launcher.pool)
                self._judge(active.run, words)

    def _put_back(self, run: Planned, cause: str) -> None:
        self.watcher.put_back(run, cause)
        self._pause.put_back(run, cause)

    def _judge(self, run: Planned, exit_text: str) -> None:
        if not run.folder.finished:
            record_if_asked(run.folder)  # its job has ended before it could
        found = replace(look_again(run), tests=run.tests)
        if found.record is None and not found.problem:
            found = replace(found, state=unfinished(run.folder))
        self._ended.append(found)
        self._source.over(found)
        self.watcher.ended(found, cause(found, exit_text))

    def _leave_alone(self) -> None:
        """Forgets the jobs that outlive this driver, if they are to be left: the next one finds them."""
        staying = [active for active in self._active if active.job.outlives_driver]
        runs = [active.run for active in staying if active.is_sent]
        if not runs or self._leaves is None or self._leaves(runs):
            self._active = [active for active in self._active if active not in staying]

    def _stop(self) -> None:
        self._leave_alone()
        runs = [active.run for active in self._active]
        for active in self._active:
            try:
                end_job(active.run.folder, "interrupted", active.job)
            except OSError:
                active.job.kill()  # a full disk takes no word for it
        if waits_for := [active.run for active in self._active if not active.job.ended()]:
            say_waiting(waits_for, self._patience_s)
        end = time.monotonic() + self._patience_s
        try:
            while any(not active.job.ended() for active in self._active) and time.monotonic() < end:
                time.sleep(POLL_S)
        finally:
            for active in self._active:
                active.job.kill()
            say_ends(runs)


def _standing(active: Active) -> Planned:
    return standing_run(active.run, active.job.standing())


def _outlasting(run: Planned) -> Job | None:
    """The run's living job, of a driver before this one, if it is made to outlive that."""
    job = living_job(run.folder)
    return job if job is not None and job.outlives_driver else None


def _outlives(run: Planned) -> bool:
    return _outlasting(run) is not None


def _has_ended(run: Planned) -> bool:
    """Whether a run that no job works on has ended since it was planned, or is to end as it is."""
    is_new = run.record is None and not run.outdated and run.state is not State.DAMAGED
    return is_new and (run.folder.finished or record_if_asked(run.folder))


def make_ready(run: Planned) -> None:
    """Prepares a run's folder for a job; a record that no longer holds is set aside."""
    if run.tests:
        prepare_test(run)
        return
    ended = (run.record or run.outdated) and run.folder.finished
    if ended or run.state is State.DAMAGED:
        set_aside(run)
    prepare(run)


def _fault(active: Active) -> str:
    """What fault of the machine a job without a record has met, in words; empty if none is known."""
    folder = active.run.folder
    if folder.finished and not active.run.tests:
        return ""
    refused = write_refused(folder.path, PROBE)
    if refused is not None:
        return told(refused)
    if not active.job.met_fault():
        return ""
    return read_last_words(folder.log_file) or active.job.exit_text()


def _cut_off(active: Active) -> str:
    """Through what a scheduler has ended a job that is to go on, in words; empty of any other."""
    folder = active.run.folder
    done = folder.finished and not active.run.tests
    told = stop_is_users(folder.stop_file)
    return "" if done or told else active.job.cut_off()


def cause(run: Planned, exit_text: str) -> str:
    """Why a run is not complete, or has no score, or what it came to on test if it was run for that; else empty."""
    if run.problem:
        return run.problem
    if run.state is State.INTERRUPTED:
        return "; ".join(filter(None, (reached(run), "the next sweep continues it")))
    if run.record is None:
        return f"{exit_text} without a record; the next sweep continues it"
    if run.tests:
        return told_of_test(run, exit_text)
    if run.record.failure is None:
        return run.record.unvalidated
    return f"{run.record.failure.kind.value}: {run.record.cause}"
