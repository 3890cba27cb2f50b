"""A job that looks at its node in place of a run, and at the folder that it shares with its driver.

What it finds it writes at once: of a job that dies on the way one sees what it was looking at.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmark import locks
from benchmark.errors import why
from benchmark.files import write_text
from benchmark.job import looks
from benchmark.run.devices import cpu_count, memory_bytes
from benchmark.run.finding import Finding
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.node import DRIVER, NODE, Exchange, Process, Report, python, this_process
from benchmark.run.options import JobOptions
from benchmark.writing.words import duration

REPLACED = 200  # times: what is not atomic is seen at the tenth or so
_LATE_S = 5.0
_CLOCKS_S = 5.0
_SHARED = "give the results folder a place that both see, on the file system that the nodes share"


def check_node(folder: RunFolder, options: JobOptions) -> None:
    """Looks at the node of this job, and writes what it finds into its folder.

    Raises:
        OSError: The folder takes no writes.
    """
    print(f"{now()} looking at the node, process {os.getpid()}", flush=True)
    exchange = Exchange(folder.path)
    here, driver = this_process(looks.reaches()), exchange.read_driver()
    _look(exchange, _Looks(exchange, here, driver, options).all())
    print(f"{now()} looked at all", flush=True)


def _look(exchange: Exchange, all_looks: dict[str, looks.Look]) -> None:
    report = Report()
    for name, look in all_looks.items():
        exchange.write_report(replace(report, doing=name))
        report = Report([*report.findings, *looks.guarded(name, look)])
    exchange.write_report(replace(report, complete=True))


class _Looks:
    """What is looked at.

    Args:
        exchange: The folder that driver and job share.
        here: This process.
        driver: The driver.
        options: What the job was told.
    """

    def __init__(
        self, exchange: Exchange, here: Process, driver: Process, options: JobOptions
    ) -> None:
        self._exchange = exchange
        self._here = here
        self._driver = driver
        self._options = options

    def all(self) -> dict[str, looks.Look]:
        """Each look by its name, what is quick and what the driver waits for first."""
        shared: dict[str, looks.Look] = {
            "locks": self._locks,
            "new files": self._taken,
            "results folder": self._results,
        }
        return {
            "node": self._node,
            "user": self._user,
            "packages": self._versions,
            "benchmark": self._package,
            **(shared if self._driver.shares else {}),
            "TMPDIR": self._temporary,
            "/dev/shm": looks.shared_memory,
            "clashes": looks.clashes,
            "trackers": self._trackers,
            "GPU": looks.gpus,
            "mmcv ops": self._imports,
        }

    def _node(self) -> Iterator[Finding]:
        threads = self._options.resources.threads
        cpus, memory = cpu_count(), memory_bytes() / looks.GIB
        few = "jobs are held to fewer CPUs than they ask for" if threads > cpus else ""
        asked = f" ({threads} asked for)" if threads != cpus else ""
        yield Finding("node", f"{self._here.host}: {cpus} CPUs{asked}, {memory:.0f} GiB", few)

    def _user(self) -> Iterator[Finding]:
        here, driver = (self._here.uid, self._here.gid), (self._driver.uid, self._driver.gid)
        if here == driver:
            yield Finding("user", "{} of group {}, as here".format(*here))
            return
        numbers = "{} of group {}; the driver is {} of group {}".format(*here, *driver)
        yield Finding(
            "user", numbers, "its files may be closed to you: see your site", here[0] != driver[0]
        )

    def _versions(self) -> Iterator[Finding]:
        here, driver = self._here.versions, self._driver.versions
        other = [name for name in driver if here.get(name) != driver[name]]
        if not other:
            yield Finding(
                "packages", f"Python {here['python']} and all packages as here: {python()}"
            )
        for name in other:
            found = f"{here.get(name) or 'not installed'}; the driver has {driver[name] or 'none'}"
            remedy = f"the job's Python is {python()}: give both the same environment"
            yield Finding(name, found, remedy, problem=True)

    def _package(self) -> Iterator[Finding]:
        same = self._here.source == self._driver.source
        found = f"{self._here.package}{', as here' if same else ''}"
        if same:
            yield Finding("benchmark", found)
        else:
            other = f"{found}: its modules are not those of {self._driver.package}"
            yield Finding("benchmark", other, "give both the same checkout or version", True)

    def _locks(self) -> Iterator[Finding]:
        """The driver holds a lock."""
        with self._exchange.lock_file.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                yield Finding("locks", "the driver's is seen on the node")
            except OSError as error:
                yield Finding("locks", f"the file system has none: {why(error)}", _LEASES)
            else:
                yield Finding("locks", "the driver's is not seen on the node", _LEASES)

    def _taken(self) -> Iterator[Finding]:
        try:
            os.close(os.open(self._exchange.taken_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            yield Finding("new files", "of two that make one, one alone does")
        else:
            yield Finding(
                "new files", "both driver and node could make the same one", _SHARED, True
            )

    def _results(self) -> Iterator[Finding]:
        """Files go to and fro: see `benchmark.sweep.nodes` for the driver's side."""
        exchange = self._exchange
        if exchange.note(NODE, 1).exists():
            yield Finding("results folder", "not tried: the job was started again", "ask again")
            return
        asked = time.time()
        exchange.write_note(NODE, 1)
        answered = exchange.read_note(DRIVER, 1, _patience())
        heard = time.time()
        if answered is None:
            what = f"a file of the driver is not seen for {duration(heard - asked)}"
            yield Finding("results folder", what, _SHARED, problem=True)
            return
        late = "records and journals are seen that late" if heard - asked > _LATE_S else ""
        what = f"driver and node see each other's new files: an answer took {heard - asked:.2f} s"
        yield Finding("results folder", what, late)
        yield _clocks((asked + heard) / 2 - answered, (heard - asked) / 2)
        for number in range(REPLACED):
            write_text(exchange.replaced_file, f"{number:>9}")
        exchange.write_note(NODE, 2)
        exchange.read_note(DRIVER, 2, _patience())

    def _trackers(self) -> Iterator[Finding]:
        yield from looks.trackers()
        for title, here in self._here.trackers.items():
            driver = self._driver.trackers.get(title, here)
            if here != driver:
                remedy = (
                    "set its variables where the sweep starts, WANDB_API_KEY say: jobs inherit them"
                )
                yield Finding(title, f"the driver is {driver}", remedy, problem=True)

    def _temporary(self) -> Iterator[Finding]:
        from benchmark.temporary import usable_tmpdir

        for words in usable_tmpdir():
            found, _, remedy = words.partition("; ")
            yield Finding("TMPDIR", found, remedy)
        yield Finding("TMPDIR", tempfile.gettempdir())

    def _imports(self) -> Iterator[Finding]:
        loaded, began = "mmdet.models" in sys.modules, time.monotonic()
        yield from looks.native_ops()
        import mmdet.models  # noqa: F401 - what each job imports

        seconds = time.monotonic() - began
        slow = (
            "the environment lies on a slow file system: copy it to the nodes, or use a container"
        )
        took = "loaded before the job begins" if loaded else f"mmdet, in {seconds:.0f} s"
        yield Finding("imports", took, slow if seconds > _SLOW_S else "")


def _clocks(ahead_s: float, doubt_s: float) -> Finding:
    """By how much the node's clock is ahead of the driver's, as NTP tells it from a question and its answer.

    Args:
        ahead_s: The time halfway between both, less the one that the answer names.
        doubt_s: Half of what they took: the truth is no further away.
    """
    if abs(ahead_s) < _CLOCKS_S + doubt_s:
        return Finding("clocks", f"{abs(ahead_s):.2f} s apart, give or take {doubt_s:.2f} s")
    words = f"the node's is {abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
    remedy = "times in logs, journals and W&B are off by as much: have them set (NTP)"
    return Finding("clocks", words, remedy)


_LEASES = "none is needed: leases in the run folders take their place"
_SLOW_S = 90.0


def _patience() -> Callable[[], bool]:
    end = time.monotonic() + locks.patience_s()
    return lambda: time.monotonic() > end
