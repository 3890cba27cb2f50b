"""Submits jobs: those that ask for the same as one array, and what Slurm does not take now when it does."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from benchmark.launchers.slurm.commands import NoAnswer, ask, check_up
from benchmark.launchers.slurm.door import in_words
from benchmark.launchers.slurm.job import SlurmJob
from benchmark.launchers.slurm.queue import Queue
from benchmark.launchers.slurm.request import Request, of_array, of_run
from benchmark.launchers.slurm.script import batch_script
from benchmark.run.address import write_address

AGAIN_S = 10.0  # between two tries of what Slurm does not take
LINKS = ".slurm-"
"""Begin of the names of folders, in that of the runs, that link the tasks of an array to their runs."""
_SBATCH_S = 60.0  # it repeats by itself where the controller has no room
_NAMED = re.compile(r"\b(?:QOS|Assoc|Acct|Max)[A-Z]\w+")
_FULL = ("temporarily unable to accept", "temporarily unavailable", "Reached jobs per hour")
_POLICY = "job submit limit"  # of one that is named before, or of none


class Outcome(Enum):
    """What became of a submission."""

    TAKEN = auto()
    REFUSED = auto()
    HELD = auto()


@dataclass
class Outbox:
    """What was submitted to the launcher and not yet to Slurm.

    Attributes:
        queue: What Slurm says.
        name: The launcher's.
        living: How many of its jobs Slurm has.
    """

    queue: Queue
    name: str
    living: Callable[[], int]
    clock: Callable[[], float] = time.monotonic
    _waiting: list[tuple[SlurmJob, Request]] = field(default_factory=list)
    _not_before: float = -1e9
    _told: str = ""

    def add(self, job: SlurmJob, request: Request) -> None:
        """Takes a job that is to be submitted with the next `send`."""
        self._waiting.append((job, request))

    def send(self) -> None:
        """Submits what waits, as far as Slurm takes it."""
        if not self._waiting or self.clock() < self._not_before:
            return
        groups: dict[object, list[tuple[SlurmJob, Request]]] = {}
        for job, request in self._waiting:
            if not job.withdrawn and not self._found(job):
                groups.setdefault(request.key, []).append((job, request))
        for group in groups.values():
            if self._send([job for job, _ in group], group[0][1]) is Outcome.HELD:
                self._not_before = self.clock() + AGAIN_S
                break
        self._waiting = [
            (job, request)
            for job, request in self._waiting
            if not (job.number or job.refusal or job.withdrawn)
        ]
        self._say_held()

    def _found(self, job: SlurmJob) -> bool:
        """Whether a job is in the queue after all, whose submission was not answered."""
        if not job.doubtful:
            return False
        found = self.queue.find(job.folder.path, now=True)
        if found is not None:
            self._note(job, found.number)
        return found is not None

    def _send(self, jobs: Sequence[SlurmJob], request: Request) -> Outcome:
        if any(job.doubtful for job in jobs) and self.queue.why:
            return Outcome.HELD  # a second copy, perhaps
        if len(jobs) > 1 and self._send_array(jobs, request) is not Outcome.REFUSED:
            return Outcome.HELD if any(job.doubtful for job in jobs) else Outcome.TAKEN
        for job in jobs:
            if self._send_one(job, request) is Outcome.HELD:
                for other in jobs:
                    other.waits = job.waits
                return Outcome.HELD
        return Outcome.TAKEN

    def _send_one(self, job: SlurmJob, request: Request) -> Outcome:
        folder = job.folder.path
        number, outcome = self._call([job], request, of_run(folder), [folder])
        if outcome is Outcome.TAKEN:
            self._note(job, number)
        elif outcome is Outcome.REFUSED:
            job.refusal = number
        return outcome

    def _send_array(self, jobs: Sequence[SlurmJob], request: Request) -> Outcome:
        """Submits runs as one array; where Slurm does not take it, they are tried one by one."""
        folders = [job.folder.path for job in jobs]
        try:
            links = _links(folders)
        except OSError:  # a file system without links
            return Outcome.REFUSED
        number, outcome = self._call(jobs, request, of_array(links, len(jobs)), folders)
        if outcome is Outcome.TAKEN:
            for index, job in enumerate(jobs):
                self._note(job, f"{number}_{index}")
        elif not jobs[0].doubtful:
            shutil.rmtree(links, ignore_errors=True)
            return Outcome.REFUSED
        return outcome

    def _call(
        self, jobs: Sequence[SlurmJob], request: Request, flags: list[str], folders: list[Path]
    ) -> tuple[str, Outcome]:
        """Submits a script; gives its number, or why there is none."""
        script = batch_script(request, flags, folders)
        # On the command line as well: SBATCH_* of the user's shell come before what stands in a script.
        call = ["sbatch", "--parsable", *flags, *request.flags]
        try:
            check_up()
        except NoAnswer as no:
            jobs[0].waits = f"not submitted yet: {no}"
            return str(no), Outcome.HELD
        try:
            answer = ask(*call, text=script, limit_s=_SBATCH_S)
        except NoAnswer as no:
            for job in jobs:
                job.doubtful, job.waits = True, f"not submitted yet: {no}"
            return str(no), Outcome.HELD
        if answer.status == 0 and (number := number_of(answer.out)):
            return number, Outcome.TAKEN
        if answer.status == 0:
            for job in jobs:
                job.doubtful, job.waits = True, f"sbatch tells no number: {answer.out[-200:]}"
            return answer.out, Outcome.HELD
        if is_limit(answer.err, self.living()):
            jobs[0].waits = f"not submitted yet: {answer.err}"
            return answer.err, Outcome.HELD
        return in_words(answer.err) or f"sbatch: exit status {answer.status}", Outcome.REFUSED

    def _note(self, job: SlurmJob, number: str) -> None:
        job.submitted(number)
        with suppress(OSError):  # found by its folder, then
            write_address(job.folder, self.name, number)

    def _say_held(self) -> None:
        why = next((job.waits for job, _ in self._waiting if job.waits), "")
        if why and why != self._told:
            count = len(self._waiting)
            runs = f"{count} runs wait" if count > 1 else "a run waits"
            print(
                f"warning: {runs}, and will be submitted when there is room; {why}", file=sys.stderr
            )
        self._told = why


def number_of(said: str) -> str:
    """The job's number in what ``sbatch --parsable`` prints, whatever a site prints before; empty if it has none."""
    numbers = (re.fullmatch(r"(\d+)(;.*)?", line.strip()) for line in reversed(said.splitlines()))
    return next((number[1] for number in numbers if number), "")


def is_limit(said: str, living: int) -> bool:
    """Whether Slurm takes no more jobs for now, in place of refusing this one for what it asks for.

    Args:
        said: What ``sbatch`` has said.
        living: How many jobs of this launcher Slurm has: where none is, none that ends makes room.
    """
    if any(words in said for words in _FULL):
        return True
    if _POLICY not in said and "Submit" not in said:
        return False
    named = _NAMED.findall(said)
    if named:
        return any("Submit" in name for name in named)
    return living > 0


def _links(folders: Sequence[Path]) -> Path:
    """A folder that has the log of each run under the number of its task: Slurm names logs by that alone."""
    place = Path(tempfile.mkdtemp(prefix=LINKS, dir=folders[0].parent))
    place.chmod(0o755)
    for index, folder in enumerate(folders):
        (place / str(index)).symlink_to(Path("..", folder.name, "log.txt"))
    return place
