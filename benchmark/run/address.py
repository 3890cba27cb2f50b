"""Where the job of a run folder is to be found: ``job.json``, which the launcher leaves there."""

from __future__ import annotations

import socket
from dataclasses import asdict, dataclass

from benchmark.files import read_json, write_json
from benchmark.run.folder import RunFolder


@dataclass(frozen=True)
class JobAddress:
    """Where a job is to be found.

    Attributes:
        launcher: Name of the launcher that has submitted it.
        job: Its id, which that launcher understands: a process, a number in a scheduler's queue.
        host: Name of the machine that it was submitted from.
    """

    launcher: str
    job: str
    host: str

    @property
    def from_here(self) -> bool:
        """Whether it was submitted from this machine."""
        return self.host == socket.gethostname()


def write_address(folder: RunFolder, launcher: str, job: str) -> None:
    """Writes ``job.json`` atomically, for a job that was submitted from this machine."""
    write_json(folder.job_file, asdict(JobAddress(launcher, job, socket.gethostname())))


def read_address(folder: RunFolder) -> JobAddress | None:
    """Where the folder's last job is to be found; None if it names none, as in folders of version 0.1."""
    try:
        content = read_json(folder.job_file)
        return JobAddress(*(str(content[key]) for key in ("launcher", "job", "host")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_sent(folder: RunFolder) -> bool:
    """Whether the folder's job is under way: one that no scheduler has taken yet has an address without a number."""
    address = read_address(folder)
    return address is None or bool(address.job)
