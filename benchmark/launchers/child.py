"""The process that a job runs in: its own session, its own log, and an end when its driver is gone."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from pydantic import TypeAdapter

from benchmark.errors import UserError
from benchmark.job.failures import last_words, of_machine
from benchmark.job.job import run_job
from benchmark.job.several import Ended
from benchmark.job.told import leave_on_term
from benchmark.process import open_streams, take_signals
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.options import JobOptions
from benchmark.writing.plain_stream import plain_log

OUTLIVE = "--outlive"
_OPTIONS = TypeAdapter(JobOptions)


def to_json(options: JobOptions) -> str:
    """The options on a command line."""
    return _OPTIONS.dump_json(options).decode()


def from_json(text: str) -> JobOptions:
    """Reads back what `to_json` made."""
    return _OPTIONS.validate_json(text)


@dataclass(frozen=True)
class Surroundings:
    """Where the driver of a job stands, for a job that is started from elsewhere.

    Attributes:
        folder: The driver's working folder, which relative paths are about; empty for that of whoever starts the job.
        variables: Environment variables that the job is to see.
    """

    folder: str = ""
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def there(self) -> str | None:
        """The folder, if there is such a one on this machine."""
        return self.folder if self.folder and Path(self.folder).is_dir() else None

    def enter(self) -> None:
        """Has this process stand there, too."""
        os.environ.update(self.variables)
        if self.there is not None:
            os.chdir(self.there)


def run_forked(folder: str, options: JobOptions, around: Surroundings, place: Connection) -> None:
    """Body of a process that the forkserver made; it says to ``place`` when its place is free."""
    from multiprocessing import connection, parent_process

    # A session of its own: Ctrl-C in the terminal reaches the driver only, and one signal ends the
    # job together with its data-loader workers.
    os.setsid()
    take_signals()
    parent = parent_process()
    # It may be one of the standard streams, where the driver's were closed when its server began.
    sentinel = None if parent is None else fcntl.fcntl(parent.sentinel, fcntl.F_DUPFD_CLOEXEC, 3)
    with _ending_with_fault(RunFolder(Path(folder))):
        _log_to(RunFolder(Path(folder)).log_file)
        if sentinel is not None:
            _end_with_driver(lambda: connection.wait([sentinel]))
        around.enter()
        os.environ.update(options.resources.environment())  # before CUDA is initialised
        run_job(Path(folder), options, lambda: _say_free(place))


def _say_free(place: Connection) -> None:
    with suppress(OSError):  # nobody listens any more
        place.send_bytes(b"free")


def main() -> None:
    """Body of a job that is a command: ``FOLDER OPTIONS [--outlive]``.

    Its standard input is a pipe from the driver, and ends with it; the job then ends, too, unless it is to outlive it.
    Where that is nothing or a file, as of a job that is started by hand, no driver is looked for.
    """
    open_streams()
    folder, options = Path(sys.argv[1]), from_json(sys.argv[2])
    take_signals()
    sys.stdout, sys.stderr = plain_log(sys.stdout), plain_log(sys.stderr)
    if OUTLIVE not in sys.argv[3:] and _has_driver(os.fstat(0).st_mode):
        _end_with_driver(lambda: os.read(0, 1))
    with _ending_with_fault(RunFolder(folder)):
        if options.store:
            sys.exit(_run_mirrored(folder.name, options))
        if OUTLIVE in sys.argv[3:]:
            leave_on_term(RunFolder(folder))
        run_job(folder, options)


def _run_mirrored(name: str, options: JobOptions) -> int:
    """Makes a run whose folder comes from a store; its status."""
    from benchmark.launchers.local import LocalLauncher
    from benchmark.launchers.mirror.node import run_mirrored

    try:
        return run_mirrored(name, options, LocalLauncher().submit)
    except UserError as error:
        print(f"{now()} {os.uname().nodename}: {error}", flush=True)
        return 2


@contextmanager
def _ending_with_fault(folder: RunFolder) -> Iterator[None]:
    """Ends the process with `os.EX_IOERR` where the machine is at fault, and says so in the log if that takes it.

    One of several that ends before the others ends at once, too: what is left of their group may wait for them.
    """
    try:
        yield
    except Ended as end:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(int(end.code or 0))
    except Exception as error:
        fault = of_machine(error, folder)
        if fault is None:
            raise
        with suppress(OSError):
            print(last_words(fault), flush=True)
        # Not sys.exit: what still waits to be written to the log would fail again.
        os._exit(os.EX_IOERR)


def _has_driver(stdin: int) -> bool:
    return stat.S_ISFIFO(stdin) or stat.S_ISSOCK(stdin)


def _log_to(path: Path) -> None:
    """Sends everything that this process and its children print to ``path``, C libraries included."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    sys.stdout.flush()
    sys.stderr.flush()
    for target, source in ((0, nowhere), (1, descriptor), (2, descriptor)):
        os.dup2(source, target)
    os.close(descriptor)
    os.close(nowhere)
    # A fork has taken over the forkserver's stream objects, which may be block-buffered.
    sys.stdout = plain_log(os.fdopen(1, "w", buffering=1, closefd=False))
    sys.stderr = plain_log(os.fdopen(2, "w", buffering=1, closefd=False))


def _end_with_driver(wait_for_driver: Callable[[], object]) -> None:
    """Ends this process's group as soon as the driver is gone, however it went."""

    def watch() -> None:
        wait_for_driver()
        print("the driver is gone: this job ends; the next sweep continues it", flush=True)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="driver-watch", daemon=True).start()


if __name__ == "__main__":
    main()
