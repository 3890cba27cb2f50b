"""What every job on a run folder does: it works, and whatever happens, the folder says what."""

from __future__ import annotations

import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from benchmark.files import write_json
from benchmark.job.failures import failure, is_out_of_memory, of_machine
from benchmark.job.inputs import Inputs, NotAsAsked
from benchmark.job.place import Place
from benchmark.job.several import GONE, NO_MEMORY, TOLD, Ended, has_lost_another, processes, rank
from benchmark.run.company import read_company
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.lease import look
from benchmark.run.memory import Lack, Memory, write_memory
from benchmark.run.options import JobOptions
from benchmark.run.record import Failure, Metrics, RunRecord, State
from benchmark.run.spec import RunSpec
from benchmark.run.state import LOST, stop_state
from benchmark.tracking.runs import RunTracker
from benchmark.writing.addresses import public


class Stopped(Exception):
    """The job was asked to end early.

    Attributes:
        state: ``pruned`` or ``interrupted``.
    """

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(state)


def source_of(folder: RunFolder, run_id: str) -> tuple[RunFolder, RunRecord]:
    """A run that another is made from, or learns boxes of; it lies beside that run's folder.

    Raises:
        NotAsAsked: It is not complete.
    """
    source = RunFolder(folder.path.with_name(run_id))
    record = source.record_if_ended()
    if record is None or record.state is not State.COMPLETE:
        state = "not made yet" if record is None else record.state.value
        raise NotAsAsked(
            f"it is made from runs/{run_id}, which is {state}; the next sweep tries again once that is complete"
        )
    return source, record


class RunJob(ABC):
    """What the steps of one job share.

    Args:
        folder: The run.
        options: How it is run.
        leave: Called once its place is free for the next job; None where nobody would hear it.

    Attributes:
        spec: What was asked.
        inputs: What the job reads, held against that.
        place: Its place on the machine.
        tracker: What shows the run elsewhere, once there is one.
        holder: Whose lease the folder was under when several processes had joined; empty before, and without one.
    """

    holder = ""

    def __init__(
        self, folder: RunFolder, options: JobOptions, leave: Callable[[], None] | None = None
    ) -> None:
        beside = [folder.path.with_name(name) for name in options.beside]
        self.place = Place(leave, beside)
        self.folder = folder
        self.options = options
        self.spec: RunSpec = folder.read_spec()
        self.inputs = Inputs(self.spec, folder)
        self.tracker: RunTracker | None = None

    def run(self) -> None:
        """Works; whatever happens, the folder says what, unless the job is to be continued later.

        Raises:
            Exception: The machine is at fault: see `benchmark.job.failures.of_machine`; there is no record.
            Ended: It is one of several processes, and has failed or lost another; or it has found no memory where the
                driver decides what becomes of that.
        """
        if self.options.resources.fitted:
            self.folder.memory_file.unlink(missing_ok=True)  # a job before this one has said it
        try:
            self.work()
            self.finish(State.COMPLETE)
        except Exception as error:
            if not self.has_stopped(error):
                self._fail(error)

    @abstractmethod
    def work(self) -> None:
        """Does what the run is there for."""

    @abstractmethod
    def record(self, state: State, why: Failure | None) -> RunRecord:
        """What became of the run."""

    def outcome(self, state: State, why: Failure | None, started_at: str) -> RunRecord:
        """What every record says of a run: what it is of, how it ended, what it depends on; and nothing measured."""
        from benchmark.run.provenance import collect

        return RunRecord(
            run_id=self.spec.run_id,
            row=self.spec.row,
            seed=self.spec.seed,
            profile=self.spec.profile,
            state=state,
            metrics=Metrics(),
            no_predictions=False,
            params=None,
            train_seconds=None,
            peak_memory_gib=None,
            started_at=started_at,
            finished_at=now(),
            provenance=collect(
                self.spec,
                self.inputs.hashes(),
                self.options.checkout,
                read_company(self.folder.company_file),
            ),
            failure=why,
            tracking=self.tracker.tracked if self.tracker is not None else None,
        )

    def has_stopped(self, error: Exception) -> bool:
        """Whether an exception is no error, but says that the job was asked to end; that has been seen to then."""
        if not isinstance(error, Stopped):
            return False
        if error.state == State.PRUNED.value:
            self.finish(State.PRUNED)
        else:
            self.abandon()
        print(f"{now()} stopped early: {error.state}", flush=True)
        return True

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nothing of ours that has left its place goes on beside this job.

        Raises:
            Stopped: The job is asked to end while it waits for that.
        """
        self.place.wait_until_alone(self._leave_if_asked)
        yield

    def _leave_if_asked(self) -> None:
        """Of several processes the first is alone here: it asks none of the others."""
        if self.folder.stop_file.exists():
            raise Stopped(stop_state(self.folder.stop_file))

    def clear(self, state: State) -> None:  # noqa: B027  (most have nothing to remove)
        """Removes what a finished run no longer needs."""

    def abandon(self) -> None:
        """Leaves what tracks the run, which is to be continued."""
        if self.tracker is not None:
            self.tracker.abandon()

    def finish(self, state: State) -> None:
        """Writes the record of a run that has not failed, last of all."""
        if rank() != 0:
            return
        record = self.record(state, None)
        record.require_scores()  # before anyone is told that the run is complete
        self._end_with(record)

    def _end_with(self, record: RunRecord) -> None:
        if self.tracker is not None:
            self.tracker.finish(record)
        self.folder.write_record(record)
        self._tidy(record.state)

    def _tidy(self, state: State) -> None:
        with suppress(OSError):  # what is done is done
            self.clear(state)
            self.folder.stop_file.unlink(missing_ok=True)
            print(f"{now()} {state.value}", flush=True)

    def _fail(self, error: Exception) -> None:
        with suppress(OSError):  # the log is on a full disk, perhaps
            traceback.print_exception(error)
            sys.stderr.flush()
        if of_machine(error, self.folder) is not None:
            self.abandon()
            raise error
        if rank() != 0 and self._is_anothers():
            raise Ended(GONE)
        if has_lost_another(error, self.folder):
            self._leave_for_another()
        if self.options.resources.fitted and is_out_of_memory(error):
            self._leave_for_memory(f"{type(error).__name__}: {error}")
        self._fail_for_all(failure(error, self.folder))
        if processes() > 1:
            raise Ended(TOLD)

    def lack(self, message: str) -> Memory:
        """What is to be known of a job that has run out of memory.

        Args:
            message: What the error says.
        """
        return Memory(lack=Lack(message, whole="it does not train"))

    def _leave_for_memory(self, message: str) -> NoReturn:
        """Leaves the run without a record: its driver starts it again with more room, or gives it up."""
        write_memory(self.folder.memory_file, self.lack(public(message)[:2000]))
        self.abandon()
        with suppress(OSError):
            print(f"{now()} out of memory: no record; the driver decides", flush=True)
        raise Ended(NO_MEMORY)

    def _is_anothers(self) -> bool:
        """Whether another job has taken over the folder: the first process alone holds the lease, and looks at it."""
        seen = look(self.folder.lease_file) if self.holder else None
        return seen is not None and seen.token != self.holder

    def _fail_for_all(self, why: Failure) -> None:
        """Keeps what this process fails of as what the run fails of, unless another of its processes has been first."""
        known = self.folder.record_if_ended()
        if known is None:
            self._end_with(self.record(State.FAILED, why))
        elif self.tracker is not None:
            self.tracker.finish(known)

    def _leave_for_another(self) -> NoReturn:
        """Leaves the run to be continued: another of its processes is gone."""
        self.abandon()
        with suppress(OSError):
            print(f"{now()} a process that trains with this one is gone", flush=True)
            if self.options.leased and not self.folder.stop_file.exists():
                # As if the scheduler had said it, which may take minutes to see that a node is lost.
                asked = {"state": "interrupted", "again": True, LOST: True}
                write_json(self.folder.stop_file, asked)
        raise Ended(GONE)
