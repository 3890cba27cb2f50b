"""What a driver and a job that looks at its node tell each other: files of a folder that both are to see."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from benchmark.errors import printable
from benchmark.files import read_bytes, write_json, write_text
from benchmark.run.finding import Finding
from benchmark.run.provenance import versions

_PACKAGE = Path(__file__).resolve().parents[1]
DRIVER, NODE = "driver", "node"
POLL_S = 0.02


@dataclass(frozen=True)
class Process:
    """A process, the driver's or the job's.

    Attributes:
        host: Its machine.
        uid: Number of its user.
        gid: Number of the user's group.
        versions: Of Python and of the packages that a result depends on, see `benchmark.run.provenance.versions`.
        package: Folder of the package that it has imported.
        source: SHA-256 of the package's modules.
        trackers: Where each tracker would show runs from there, in words, by its title.
        shares: Whether driver and job see the same folder; else it goes to and fro.
    """

    host: str
    uid: int
    gid: int
    versions: dict[str, str | None]
    package: str
    source: str
    trackers: dict[str, str]
    shares: bool = True


@dataclass(frozen=True)
class Report:
    """What a job has found so far on its node; it is written anew with each finding.

    Attributes:
        findings: In the order in which they were made.
        doing: What it looks at.
        complete: Whether that was all.
    """

    findings: Sequence[Finding] = ()
    doing: str = ""
    complete: bool = False


class Exchange:
    """The files by which driver and job tell each other what they see.

    Attributes:
        driver_file: What the driver is, a `Process`.
        report_file: What the job finds, a `Report`.
        lock_file: Locked by the driver.
        taken_file: Made by the driver, as one that nobody else can make.
        replaced_file: Replaced by the job again and again, while the driver reads it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.driver_file = folder / "driver.json"
        self.report_file = folder / "node.json"
        self.lock_file = folder / "held.lock"
        self.taken_file = folder / "taken"
        self.replaced_file = folder / "replaced"

    def write_driver(self, driver: Process) -> None:
        """Says who the driver is."""
        write_json(self.driver_file, asdict(driver))

    def read_driver(self) -> Process:
        """Who the driver is.

        Raises:
            OSError, ValueError: That cannot be read.
        """
        return TypeAdapter(Process).validate_json(read_bytes(self.driver_file))

    def write_report(self, report: Report) -> None:
        """Says what was found so far."""
        write_json(self.report_file, asdict(report))

    def read_report(self) -> Report:
        """What the job has found so far; nothing where nothing was written yet."""
        try:
            return TypeAdapter(Report).validate_json(read_bytes(self.report_file))
        except (OSError, ValueError):
            return Report()

    def note(self, who: str, number: int) -> Path:
        """A file by which one side answers the other."""
        return self.folder / f"{who}-{number}"

    def write_note(self, who: str, number: int) -> None:
        """Makes it, with the time on this machine's clock."""
        write_text(self.note(who, number), repr(time.time()))

    def read_note(self, who: str, number: int, ends: Callable[[], bool]) -> float | None:
        """Waits for a file of the other side; the time in it, on its clock, and None if it never comes.

        As a sweep that looks for a record, it changes the folder before it looks: a network file system asks its server
        then, which it does only once in a while about files that were not there.
        """
        own = self.folder / f"look-{socket.gethostname()}-{os.getpid()}-{who}"
        while not ends():
            own.touch()
            own.unlink(missing_ok=True)
            try:
                return float(self.note(who, number).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                time.sleep(POLL_S)
        return None


def this_process(trackers: Mapping[str, str]) -> Process:
    """What this process is.

    Args:
        trackers: Where each tracker would show runs from here.
    """
    return Process(
        host=socket.gethostname(),
        uid=os.getuid(),
        gid=os.getgid(),
        versions=dict(versions()),
        package=str(_PACKAGE),
        source=_source(),
        trackers=dict(trackers),
    )


def python() -> str:
    """The interpreter of this process."""
    return printable(sys.executable)


def _source() -> str:
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(_PACKAGE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
