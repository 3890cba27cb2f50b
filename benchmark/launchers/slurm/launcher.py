"""Runs on a Slurm cluster: a job each, submitted from a login node."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from benchmark.experiment.cluster import Cluster
from benchmark.launchers.base import Job
from benchmark.launchers.places import Places
from benchmark.launchers.slurm import door, site
from benchmark.launchers.slurm.about import about
from benchmark.launchers.slurm.commands import NoAnswer
from benchmark.launchers.slurm.job import SlurmJob
from benchmark.launchers.slurm.queue import Queue
from benchmark.launchers.slurm.request import asks_gpus, make_request, of_run
from benchmark.launchers.slurm.script import batch_script
from benchmark.launchers.slurm.sending import LINKS, Outbox
from benchmark.launchers.slurm.site import Group
from benchmark.run.address import JobAddress, write_address
from benchmark.run.finding import Finding
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources

SLOTS = 100
"""Jobs that are queued or run at once, unless the user says otherwise: sites limit what one user may submit."""
_OWN = tuple(Path(place) for place in ("/tmp", "/var/tmp", "/dev/shm", "/run"))


class SlurmLauncher:
    """Submits a job for each run, which outlives the driver.

    Args:
        slots: Jobs that are queued or run at once; None for `SLOTS`.
        cluster: What a job asks for.
    """

    name = "slurm"
    shares_terminal = False
    prunes = True
    heeds_cluster = True
    mirrors = False
    outlives_driver = True

    def __init__(self, slots: int | None = None, cluster: Cluster | None = None) -> None:
        self._slots = slots or SLOTS
        self._cluster = cluster or Cluster()
        self._queue = Queue()
        self._jobs: dict[Path, SlurmJob] = {}
        self._outbox = Outbox(self._queue, self.name, self._living)
        self._warned = False

    @cached_property
    def pool(self) -> Places:
        """See `benchmark.launchers.base.Launcher`."""
        has_gpus = asks_gpus(self._cluster, self._nodes)
        return Places(self._slots, threads=self._cluster.cpus, has_gpus=has_gpus)

    def about(self) -> Iterator[Finding]:
        """See `benchmark.launchers.base.Launcher`."""
        if why := self._site.unreachable:
            yield Finding(self.name, why.removeprefix("--launcher slurm: "), problem=True)
            return
        try:
            yield from about(self._cluster, self._site.groups, self._request_for(1))
        except NoAnswer as no:
            yield Finding(self.name, f"the controller does not answer: {no}", problem=True)

    def obstacles(self, gpus: Mapping[str, int]) -> list[str]:
        """See `benchmark.launchers.base.Launcher`: whatever can be known of a request before it is made."""
        if self._site.unreachable:
            return [self._site.unreachable]
        if found := door.wrong_requests(self._cluster, gpus, self._site.groups):
            return found
        return [
            f"{_rows(row for row, count in gpus.items() if count == number)}: {said}"
            for number in sorted(set(gpus.values()))
            if (said := door.refused(self._request_for(number)))
        ]

    def submit(self, folder: Path, options: JobOptions) -> Job:
        """See `benchmark.launchers.base.Launcher`: it is sent with `flush`."""
        folder = folder.resolve()
        self._warn_of(folder)
        # Noted before it is sent: a driver that ends in between leaves no job that nobody finds.
        write_address(RunFolder(folder), self.name, "")
        job = SlurmJob(folder, self._queue)
        self._jobs[folder] = job
        self._outbox.add(job, make_request(self._cluster, options, self._nodes))
        return job

    def flush(self) -> None:
        """See `benchmark.launchers.base.Launcher`: runs that ask for the same become one array."""
        self._outbox.send()

    def script(self, folder: Path, options: JobOptions) -> str:
        """See `benchmark.launchers.base.Launcher`."""
        folder = folder.resolve()
        request = make_request(self._cluster, options, self._nodes)
        return batch_script(request, of_run(folder), [folder])

    def attach(self, folder: Path, address: JobAddress) -> Job | None:
        """See `benchmark.launchers.base.Launcher`: by its number, else by its folder."""
        folder = folder.resolve()
        known = self._jobs.get(folder)
        if known is not None and known.number and known.ended() and not address.job:
            known = None  # another driver has submitted one since
        if known is not None and address.job in ("", known.number):
            return known
        if not self._queue.answers:
            return None
        entry = self._queue.find(folder) if not address.job else None
        number = entry.number if entry else address.job
        if not number:
            return None
        self._jobs[folder] = SlurmJob(folder, self._queue, number, _noted_at(RunFolder(folder)))
        return self._jobs[folder]

    def close(self) -> None:
        """Removes what linked arrays to their runs; jobs that live go on."""
        runs = {folder.parent for folder in self._jobs}
        places = [place for folder in runs for place in folder.glob(f"{LINKS}*")]
        living = self._queue.folders() if places else None
        for place in places:
            if living is not None and place not in living:
                shutil.rmtree(place, ignore_errors=True)

    @cached_property
    def _site(self) -> door.Site:
        return door.look()

    @property
    def _nodes(self) -> list[Group]:
        return site.of_partitions(self._site.groups, self._cluster.partition)

    def _request_for(self, processes: int) -> Sequence[str]:
        from benchmark.experiment.experiment import Tracking

        resources = Resources((), self._cluster.cpus, processes)
        options = JobOptions(Tracking(mode="off"), resources)
        return make_request(self._cluster, options, self._nodes).flags

    def _living(self) -> int:
        return sum(bool(job.number) and not job.ended() for job in self._jobs.values())

    def _warn_of(self, folder: Path) -> None:
        """Says that a results folder lies where other machines have one of their own."""
        own = next((place for place in _OWN if place in folder.parents), None)
        if own is not None and not self._warned:
            self._warned = True
            print(
                f"warning: {folder.parent} lies in {own}, which each machine has for itself: nodes do not see it, "
                "unless they are this machine; --results takes a folder of the shared file system",
                file=sys.stderr,
            )


def _rows(names: Iterable[str]) -> str:
    listed = list(names)
    return f"row {listed[0]}" if len(listed) == 1 else f"rows {', '.join(listed)}"


def _noted_at(folder: RunFolder) -> float:
    """When an address was written, on this process's clock: a queue that was asked before knows nothing of the job."""
    try:
        age = time.time() - folder.job_file.stat().st_mtime
    except OSError:
        return -1e9
    return time.monotonic() - max(0.0, age)
