"""The record of a run that is given up: its jobs end, and it comes no further."""

from __future__ import annotations

from pathlib import Path

from benchmark.files import end_of
from benchmark.job.base import RunJob
from benchmark.job.failures import LOG_TAIL_CHARACTERS
from benchmark.run.folder import RunFolder
from benchmark.run.journal import Journal
from benchmark.run.options import JobOptions
from benchmark.run.record import Failure, FailureKind, RunRecord, State
from benchmark.writing.addresses import public


class _GivenUp(RunJob):
    """A job that does nothing any more."""

    def work(self) -> None:
        """Nothing is left to be done."""

    def record(self, state: State, why: Failure | None) -> RunRecord:
        """What became of the run."""
        return self.outcome(state, why, Journal(self.folder.metrics_file).started_at())


def give_up(
    path: Path,
    options: JobOptions,
    cause: str,
    again: bool = False,
    kind: FailureKind = FailureKind.ERROR,
) -> None:
    """Writes the record of a run that has failed without a job that could say so.

    A run that has a record keeps it: it was only to be evaluated on the test split.

    Args:
        path: The run's folder.
        options: How it was run.
        cause: Why it is given up, in a sentence.
        again: What is at fault lies outside of the run: the next sweep runs it again without being asked.
        kind: What kind of failure it is.
    """
    folder = RunFolder(path)
    if folder.finished:
        return
    tail = public(end_of(folder.log_file, LOG_TAIL_CHARACTERS))
    why = Failure(kind, public(cause)[:2000], tail, again)
    folder.write_record(_GivenUp(folder, options).record(State.FAILED, why))
