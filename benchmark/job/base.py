"""What every job on a run folder does: it works, and whatever happens, the folder says what."""

from __future__ import annotations

import os
import sys
import traceback
from abc import ABC, abstractmethod
from contextlib import suppress

from benchmark.job.failures import failure, of_machine
from benchmark.job.inputs import Inputs, NotAsAsked
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.options import JobOptions
from benchmark.run.record import Failure, Metrics, RunRecord, State
from benchmark.run.spec import RunSpec
from benchmark.tracking.runs import RunTracker


class Stopped(Exception):
    """The job was asked to end early.

    Attributes:
        state: ``pruned`` or ``interrupted``.
    """

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(state)


def rank() -> int:
    """Which of the processes that train together this is, from 0; the first writes the folder's files."""
    return int(os.environ.get("RANK", "0"))


def processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


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

    Attributes:
        spec: What was asked.
        inputs: What the job reads, held against that.
        tracker: What shows the run elsewhere, once there is one.
    """

    def __init__(self, folder: RunFolder, options: JobOptions) -> None:
        self.folder = folder
        self.options = options
        self.spec: RunSpec = folder.read_spec()
        self.inputs = Inputs(self.spec, folder)
        self.tracker: RunTracker | None = None

    def run(self) -> None:
        """Works; whatever happens, the folder says what, unless the job is to be continued later.

        Raises:
            Exception: The machine is at fault: see `benchmark.job.failures.of_machine`; there is no record.
        """
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
            provenance=collect(self.spec, self.inputs.hashes(), self.options.checkout),
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

    def clear(self, state: State) -> None:  # noqa: B027  (most have nothing to remove)
        """Removes what a finished run no longer needs."""

    def abandon(self) -> None:
        """Leaves what tracks the run, which is to be continued."""
        if self.tracker is not None:
            self.tracker.abandon()

    def finish(self, state: State, why: Failure | None = None) -> None:
        """Writes the record, last of all."""
        if rank() != 0:
            return
        record = self.record(state, why)
        record.require_scores()  # before anyone is told that the run is complete
        if self.tracker is not None:
            self.tracker.finish(record)
        self.folder.write_record(record)
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
        self.finish(State.FAILED, failure(error, self.folder))
