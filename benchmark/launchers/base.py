"""The contract of a launcher: it starts jobs on run folders, finds them again, and ends them.

A launcher knows run folders and nothing of rows, studies or tables. A job that has ended is judged by its
folder, not by its exit status: with a record it is finished, without one it is unfinished and the next sweep
continues it. The exit status tells one thing alone: `os.EX_IOERR` is a fault of the machine and none of the run, and
the same sweep runs it again.

A try-out of a row is a job like any other (`JobOptions.try_out`); it leaves what it has found in place of a record.

A launcher is made with the number of slots that the user asks for, or None for as many as it thinks right, or `AUTO`
for as many as find memory, if its class has a true ``finds_slots``; and with what the experiment asks of a cluster
(`benchmark.experiment.cluster`); making one starts nothing and asks nobody. It leaves ``job.json`` in the run folder
(`benchmark.run.address.JobAddress`) when it submits a job, so that another driver can find the job with
`Launcher.attach`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:  # `--help` lists the launchers, and is to be quick
    from multiprocessing.connection import Connection
    from pathlib import Path

    from benchmark.run.address import JobAddress
    from benchmark.run.finding import Finding
    from benchmark.run.options import JobOptions, Resources
    from benchmark.run.standing import Standing


AUTO = 0
"""In the place of a number of slots: as many as find memory (``--slots auto``)."""


class Job(Protocol):
    """A job that was submitted here, or one that another driver has submitted and that was found again."""

    @property
    def outlives_driver(self) -> bool:
        """Whether it goes on when its driver is gone; another driver takes it over, and ends one that does not."""

    def ended(self) -> bool:
        """Whether it has ended; never waits. A job that waits in a queue has not."""

    def exit_text(self) -> str:
        """How it ended, in words: ``exit status 1``, ``killed by signal 9``."""

    def met_fault(self) -> bool:
        """Whether it has ended with `os.EX_IOERR`: the disk was full, say. False of one whose status is not known."""

    def standing(self) -> Standing:
        """Where it stands, of one that has not ended: queued or at work, and what its scheduler says."""

    def cut_off(self) -> str:
        """Through what it has ended that is no fault of its run, in words: ``its time was up``, ``its node failed``.

        Such a run is queued again. Empty of a job that has ended otherwise, and of one that was told to by a user.
        """

    def cpu_seconds(self) -> float | None:
        """CPU time that its living processes have used so far; None where that cannot be seen from here."""

    def kill(self) -> None:
        """Ends it at once, with every process that it started; nothing happens to one that has ended."""


@runtime_checkable
class HandsOver(Protocol):
    """What a job of this machine can do beside: it says that its place is free before it has ended."""

    def has_left_place(self) -> bool:
        """Whether the next job may begin in its place, while this one writes what it came to."""

    def signs(self) -> list[Connection | int]:
        """What `multiprocessing.connection.wait` wakes up at when it leaves its place, and when it ends."""


class Pool(Protocol):
    """What can run at the same time."""

    @property
    def slots(self) -> int:
        """Number of runs side by side, those that wait in a queue among them."""

    @property
    def has_gpus(self) -> bool:
        """Whether jobs get GPUs."""

    @property
    def at_a_time(self) -> str:
        """How many, in words: ``2 at a time``."""

    def acquire(self, processes: int, row: str = "", alone: bool = False, /) -> Resources | None:
        """Takes what a run needs; None while that is not free.

        Args:
            processes: How many processes it has.
            row: What it is a run of, for a pool that knows what runs of a row take.
            alone: It shares its device with no other.
        """

    def take(self, processes: int) -> Resources:
        """Takes a place for a job that lives already, be it that none is free: `acquire` then waits for one more."""

    def release(self, resources: Resources) -> None:
        """Gives back what `acquire` handed out."""


class Launcher(Protocol):
    """Starts jobs, finds them again, ends them."""

    @property
    def name(self) -> str:
        """Its key in `benchmark.launchers.LAUNCHERS`."""

    @property
    def shares_terminal(self) -> bool:
        """Whether its jobs print to the driver's terminal, so that no table can be drawn there."""

    @property
    def outlives_driver(self) -> bool:
        """Whether its jobs go on when their driver is gone, as `Job.outlives_driver` of each: a sweep may detach."""

    @property
    def heeds_cluster(self) -> bool:
        """Whether it asks for what an experiment and the file of the site ask of a cluster: that file is read then."""

    @property
    def mirrors(self) -> bool:
        """Whether its jobs may be on machines that do not see the driver's disk: they heed `JobOptions.store`."""

    @property
    def prunes(self) -> bool:
        """Whether the driver sees to its jobs while they run, so that it can prune trials and give signs of life."""

    @property
    def pool(self) -> Pool:
        """What its jobs run on: this machine's GPUs and threads, or places in a scheduler's queue."""

    def about(self) -> Iterator[Finding]:
        """What of it is here, for a user who asks whether jobs can be started with it.

        The first says it in a line and is quick: the scheduler and its version, or why no job can be started from here,
        which is a problem. Then comes what it tells of itself: partitions, nodes, limits.
        """

    def obstacles(self, gpus: Mapping[str, int]) -> list[str]:
        """What stands in the way of rows, before anything starts: a message each.

        Args:
            gpus: Number of GPUs that a row asks for, by the row's name.
        """

    def submit(self, folder: Path, options: JobOptions) -> Job:
        """Starts the run at ``folder`` and returns at once, unless the launcher runs it in this process.

        A launcher that asks a scheduler may collect what is submitted until `flush`.
        """

    def flush(self) -> None:
        """Sends what `submit` has only collected: whoever submits calls it after the last of several."""

    def script(self, folder: Path, options: JobOptions) -> str:
        """What would be handed to a scheduler for the run at ``folder``; empty where nothing is."""

    def attach(self, folder: Path, address: JobAddress) -> Job | None:
        """The job that a launcher of this name has submitted, ended or not; None where it cannot be asked from here.

        The address names no job where a driver has ended between submitting one and noting it: a launcher that notes
        an address before it submits looks for the folder in its scheduler's queue then.
        """

    def close(self) -> None:
        """Frees what the launcher holds; no job is running any more."""
