"""Runs a job in the calling process: for debuggers. One run at a time, on all devices that are visible."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO

from benchmark.errors import UserError
from benchmark.job.job import run_job
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions


class _Done:
    def ended(self) -> bool:
        return True

    def exit_text(self) -> str:
        return "ended in this process"

    def kill(self) -> None:
        """Nothing to end: the run is over when `InProcessLauncher.submit` returns."""


class InProcessLauncher:
    """Runs jobs one after the other in the calling process."""

    def submit(self, folder: Path, options: JobOptions) -> _Done:
        """Runs the job at ``folder`` to its end.

        Raises:
            UserError: The run wants several processes.
        """
        if options.resources.processes > 1:
            raise UserError(
                "--launcher inprocess runs one process: use local for a row with gpus > 1"
            )
        with _also_into(RunFolder(folder).log_file):
            run_job(folder, options)
        return _Done()

    def close(self) -> None:
        """Nothing is held."""


class _Tee:
    def __init__(self, *streams: TextIO) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self._streams:
            stream.flush()

    def isatty(self) -> bool:
        return False


@contextmanager
def _also_into(path: Path) -> Iterator[None]:
    """Writes what the job prints to ``path`` as well as to the terminal."""
    with ExitStack() as stack:
        log = stack.enter_context(path.open("a", encoding="utf-8", buffering=1))
        stack.enter_context(redirect_stdout(_Tee(sys.stdout, log)))
        stack.enter_context(redirect_stderr(_Tee(sys.stderr, log)))
        yield
