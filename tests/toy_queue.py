"""A cluster with a queue, in a folder: jobs start when a test says so, outlive their driver, and train nothing.

A job writes three validations and then waits: for a `stop` in its run folder, or for the test to have all of them end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import locks
from benchmark.experiment.cluster import Cluster
from benchmark.launchers import Job
from benchmark.launchers.machine import MachineLauncher
from benchmark.launchers.places import Places
from benchmark.launchers.processes import kill_group, process_id
from benchmark.run.address import JobAddress, write_address
from benchmark.run.folder import RunFolder
from benchmark.run.journal import Journal
from benchmark.run.options import JobOptions
from benchmark.run.record import State
from benchmark.run.standing import Standing
from benchmark.run.starts import note_start
from benchmark.run.state import stop_state

HERE = Path(__file__).parent
NAME = "toyqueue"
PLACE = "TOY_QUEUE"  # the folder that the cluster is
DIES = "TOY_DIES"  # the driver is killed once a job is in the queue, before its number is noted
MOST = "TOY_MOST"  # so many jobs the cluster takes of a user
WITH_QUEUE = f"""
from benchmark.launchers import LAUNCHERS
LAUNCHERS["{NAME}"] = "toy_queue:ToyQueue"
from detboard_start import main
main()
"""
"""The command of a program that has added the launcher."""


@dataclass(frozen=True)
class ToyCluster:
    """What a test does to the cluster."""

    folder: Path

    def entries(self) -> dict[str, dict[str, Any]]:
        """Every job that was ever submitted, by its number, oldest first."""
        files = sorted(self.folder.glob("*.job"), key=lambda path: int(path.stem))
        return {path.stem: json.loads(path.read_text()) for path in files}

    def entry(self, number: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / f"{number}.job").read_text()))

    def note(self, number: str, **changes: Any) -> None:
        """Changes what is known of a job, in one step."""
        path = self.folder / f"{number}.job"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.with_suffix(".new").write_text(json.dumps({**known, **changes}))
        path.with_suffix(".new").replace(path)

    def states(self) -> list[str]:
        return [entry["state"] for entry in self.entries().values()]

    def start(self, number: str) -> None:
        """Has a node take a job."""
        folder = Path(self.entry(number)["folder"])
        with RunFolder(folder).log_file.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, __file__, str(folder), str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])},
            )
        self.note(number, state="running", pid=process_id(process.pid))

    def end(self, number: str, why: str = "") -> None:
        """Ends a job, as its scheduler does."""
        entry = self.entry(number)
        self.note(number, state="ended", why=why)
        if entry["pid"]:
            kill_group(int(entry["pid"].partition(":")[0]))
            with suppress(ChildProcessError):
                os.waitpid(int(entry["pid"].partition(":")[0]), 0)

    def finish(self) -> None:
        """Has every job that runs come to its end."""
        (self.folder / "finish").touch()

    def close(self) -> None:
        """Ends all."""
        for number in self.entries():
            self.end(number)


@dataclass
class QueueJob:
    """A job of the cluster; without a number it was not sent yet."""

    cluster: ToyCluster
    number: str
    outlives_driver = True

    @property
    def _entry(self) -> dict[str, Any]:
        return self.cluster.entry(self.number)

    def ended(self) -> bool:
        if not self.number:
            return False
        state, pid = self._entry["state"], self._entry["pid"]
        gone = bool(pid) and process_id(int(pid.partition(":")[0])) != pid
        return state == "ended" or (state == "running" and gone)

    def exit_text(self) -> str:
        return f"toy job {self.number}: ended"

    def met_fault(self) -> bool:
        return False

    def standing(self) -> Standing:
        if not self.number:
            return Standing(True, "toy: no room")
        if self._entry["state"] == "queued":
            return Standing(True, f"toy job {self.number}: Resources")
        return Standing(False, f"toy job {self.number} on t1")

    def cut_off(self) -> str:
        return str(self._entry["why"])

    def cpu_seconds(self) -> None: ...

    def kill(self) -> None:
        if self.number:
            self.cluster.end(self.number, "cancelled")


class ToyQueue(MachineLauncher):
    """Puts jobs into the queue of the cluster in the folder that ``TOY_QUEUE`` names."""

    name = NAME
    shares_terminal = False
    prunes = True
    outlives_driver = True

    def __init__(self, slots: int | None = None, _cluster: Cluster | None = None) -> None:
        self.pool = Places(slots or 9, threads=1, has_gpus=False)
        self.cluster = ToyCluster(Path(os.environ[PLACE]))
        self._collected: list[tuple[Path, QueueJob]] = []

    def obstacles(self, gpus: Mapping[str, int]) -> list[str]:
        return [f"row {row}: a toy has 1 GPU" for row, number in gpus.items() if number > 1]

    def submit(self, folder: Path, options: JobOptions) -> Job:
        job = QueueJob(self.cluster, "")
        write_address(RunFolder(folder), self.name, "")
        self._collected.append((folder, job))
        return job

    def flush(self) -> None:
        while self._collected and self._open() < int(os.environ.get(MOST, "99")):
            folder, job = self._collected.pop(0)
            number = str(len(self.cluster.entries()) + 1)
            entry = {"folder": str(folder.resolve()), "state": "queued", "pid": "", "why": ""}
            self.cluster.note(number, **entry)
            if os.environ.get(DIES) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            job.number = number
            write_address(RunFolder(folder), self.name, number)

    def _open(self) -> int:
        return sum(not QueueJob(self.cluster, number).ended() for number in self.cluster.entries())

    def script(self, folder: Path, options: JobOptions) -> str:
        return f"toy-submit --processes {options.resources.processes} {folder.name}"

    def attach(self, folder: Path, address: JobAddress) -> Job | None:
        if not self.cluster.folder.is_dir():
            return None  # another cluster's machine
        found = {entry["folder"]: number for number, entry in self.cluster.entries().items()}
        number = address.job or found.get(str(folder.resolve()))
        return QueueJob(self.cluster, number) if number else None

    def close(self) -> None:
        """Nothing is held."""


def work(folder: RunFolder, cluster: Path) -> None:
    """What a job does."""
    from boards import make_record

    note_start(folder, "toy")
    lock, spec = locks.acquire(folder.lock_file), folder.read_spec()
    journal = Journal(folder.metrics_file)
    journal.start(0, 9)
    value = 0.1 if spec.trial else 0.5  # all trials but the first are worse
    for step in (1, 2, 3):
        journal.write({"kind": "val", "iter": step, "epoch": float(step), "mAP50": value})
    tests = os.getppid()
    while not (folder.stop_file.exists() or (cluster / "finish").exists()):
        if os.getppid() != tests:
            return  # they were killed
        time.sleep(0.05)
    state = State.COMPLETE
    if folder.stop_file.exists():
        if stop_state(folder.stop_file) != State.PRUNED.value:
            return
        state = State.PRUNED
    known = {"run_id": spec.run_id, "profile": spec.profile, "state": state}
    folder.write_record(make_record(spec.row, spec.seed, value, **known))
    folder.stop_file.unlink(missing_ok=True)
    lock.release()


if __name__ == "__main__":
    work(RunFolder(Path(sys.argv[1])), Path(sys.argv[2]))
