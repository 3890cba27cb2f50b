"""The contract of a launcher: start a job on a run folder, say whether it has ended, end it.

A launcher knows run folders and nothing of rows, studies or tables. A job that has ended is judged by its
folder, not by its exit status: with a record it is finished, without one it is unfinished and the next sweep
continues it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from benchmark.run.options import JobOptions


class Job(Protocol):
    """A job that was started."""

    def ended(self) -> bool:
        """Whether it has ended; never waits."""

    def exit_text(self) -> str:
        """How it ended, in words: ``exit status 1``, ``killed by signal 9``."""

    def kill(self) -> None:
        """Ends it at once, with every process that it started."""


class Launcher(Protocol):
    """Starts jobs."""

    def submit(self, folder: Path, options: JobOptions) -> Job:
        """Starts the run at ``folder`` and returns at once, unless the launcher runs it in this process."""

    def close(self) -> None:
        """Frees what the launcher holds; no job is running any more."""
