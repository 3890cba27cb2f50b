"""A job that gives no sign of life is told, and ended after a patience; one that is merely slow is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from command import Bench, alive, run, variant, wait_until

from benchmark.errors import UserError
from benchmark.experiment.experiment import load_experiment
from benchmark.launchers.processes import cpu_seconds, kill_group
from benchmark.run.devices import Room
from benchmark.run.folder import RunFolder
from benchmark.run.standing import Standing
from benchmark.sweep import silence
from benchmark.sweep.silence import Listener, Pulse

HERE = Path(__file__).parent
WITH_HUNG = """
from benchmark.launchers import LAUNCHERS
LAUNCHERS["hung"] = "hung_launcher:HungLauncher"
if __name__ == "__main__":
    from benchmark.cli import main
    main()
"""


def test_a_sweep_ends_a_job_that_hangs(synthetic_data: Path, tmp_path: Path) -> None:
    experiment = variant(tmp_path, lambda content: content.update(patience_min=0.03))
    bench = Bench(synthetic_data, tmp_path / "results", experiment)
    _, _, _, *sweep = bench.arguments("sweep", "--rows", "plain", "--wandb", "off")
    script = tmp_path / "detboard.py"
    script.write_text(WITH_HUNG)
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    done = run([sys.executable, str(script), *sweep, "--launcher", "hung"], PYTHONPATH=path)
    folder = bench.folder("plain")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{folder.name}: no sign of life for " in done.stdout
    assert (
        "so that the sweep ended it; its log ends:\n    \\x1b[31mwaits for a batch" in done.stdout
    )
    assert (
        f"{folder.name}: lost (no sign of life for 2 s, so that the sweep ended it" in done.stdout
    )
    assert not alive(int((folder / "pid").read_text()))
    log = (folder / "log.txt").read_text()
    assert log.count("waits for a batch") == 1
    assert "so that the sweep ended it: no record; the next sweep continues the run" in log
    assert not (folder / "record.json").exists()  # nobody's fault but the machine's


@pytest.mark.parametrize("value", ["0", "-1", ".inf", "soon"])
def test_a_patience_is_a_number_of_minutes(tmp_path: Path, value: str) -> None:
    experiment = variant(tmp_path, lambda content: None)
    experiment.write_text(f"{experiment.read_text()}patience_min: {value}\n")
    with pytest.raises(UserError, match="patience_min"):
        load_experiment(experiment)


@dataclass
class FakeJob:
    """A job of which only the CPU time counts."""

    outlives_driver: bool = False
    queued: bool = False
    cpu_s: float | None = None
    killed: list[bool] = field(default_factory=list)

    def ended(self) -> bool:
        return bool(self.killed)

    def exit_text(self) -> str:
        return ""

    def met_fault(self) -> bool:
        return False

    def standing(self) -> Standing:
        return Standing(self.queued)

    def cut_off(self) -> str:
        return ""

    def cpu_seconds(self) -> float | None:
        return self.cpu_s

    def kill(self) -> None:
        self.killed.append(True)


@dataclass
class Watched:
    """A job in a folder, the clock by which it is watched, and what was said."""

    folder: Path
    job: FakeJob
    time_s: float = 0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "log.txt").write_text("first\nlast\n")
        self.pulse = Pulse(self.job, RunFolder(self.folder), lambda: self.time_s)
        self.listener = Listener(self.said.append, patience_s=600)

    def passes(self, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> bool:
        """Whether the job was given up in this time."""
        end = self.time_s + seconds
        while self.time_s < end:
            self.time_s += 1
            meanwhile()
            if self.listener.gives_up(self.pulse, "run"):
                return True
        return False

    def uses(self, cpu: float) -> None:
        self.job.cpu_s = (self.job.cpu_s or 0) + cpu

    def appends(self, name: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        with (self.folder / name).open("a") as file:
            file.write("more\n")


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path, FakeJob())


def test_silence_is_told_once_and_then_given_up(watched: Watched) -> None:
    assert not watched.passes(590)
    assert watched.said == [
        f"run: no sign of life for 2 min; it is ended after 10 min; see {watched.folder}/log.txt"
    ]
    assert watched.passes(20)
    assert len(watched.said) == 1


def test_who_gives_a_sign_again_is_heard(watched: Watched) -> None:
    watched.passes(300)
    watched.appends("log.txt")
    assert not watched.passes(590)
    assert [line.partition(" ")[2][:14] for line in watched.said] == [
        "no sign of lif",
        "gives signs of",
        "no sign of lif",
    ]


@pytest.mark.parametrize("name", ["log.txt", "metrics.jsonl", "checkpoints/.epoch_1.pth.x.tmp"])
def test_whatever_the_job_writes_is_a_sign(watched: Watched, name: str) -> None:
    assert not watched.passes(2000, lambda: watched.appends(name))
    assert watched.said == []


@pytest.mark.parametrize("name", ["wandb/run-1.wandb", "stop", "job.lock.holder"])
def test_what_others_write_is_none(watched: Watched, name: str) -> None:
    assert watched.passes(700, lambda: watched.appends(name))


@pytest.mark.parametrize(("cpus", "given_up"), [(1.0, False), (0.15, False), (0.02, True)])
def test_work_of_a_cpu_is_a_sign(watched: Watched, cpus: float, given_up: bool) -> None:
    watched.job.cpu_s = watched.pulse._cpu_s = 5.0
    assert watched.passes(1000, lambda: watched.uses(cpus)) == given_up


def test_a_job_that_waits_in_a_queue_is_not_silent(tmp_path: Path) -> None:
    watched = Watched(tmp_path, FakeJob(outlives_driver=True))
    assert not watched.passes(10_000)
    watched.appends("log.txt")  # it has begun
    assert watched.passes(700)


def test_time_in_which_the_driver_stood_still_does_not_count(watched: Watched) -> None:
    watched.passes(30)
    watched.time_s += 100_000
    assert not watched.passes(100)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Room(64, 1), True),
        (Room(64, 32), False),
        (None, False),
    ],
)
def test_a_full_dev_shm_is_named(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, found: Room | None, told: bool
) -> None:
    monkeypatch.setattr(silence, "shared_memory_room", lambda: found)
    watched.passes(700)
    words = watched.listener.end(watched.pulse, "run")
    assert ("/dev/shm is full: 64 MiB" in words) == told
    assert watched.said[-1] == f"run: {words}; its log ends:\n    first\n    last"
    assert watched.job.killed


def test_a_worker_that_found_no_room_in_dev_shm_is_named(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "shared_memory_room", lambda: Room(64, 64))
    with (watched.folder / "log.txt").open("a") as log:
        log.write("RuntimeError: unable to allocate shared memory(shm) for file </torch_1_2>\n")
    watched.passes(700)
    assert "/dev/shm is full: 64 MiB" in watched.listener.end(watched.pulse, "run")


def test_a_log_that_is_not_there_is_no_error(watched: Watched) -> None:
    watched.passes(700)
    (watched.folder / "log.txt").unlink()
    (watched.folder / "log.txt").mkdir()
    assert "no sign of life for 10 min" in watched.listener.end(watched.pulse, "run")


def test_the_cpu_time_of_children_counts() -> None:
    busy = "import time\nwhile time.process_time() < 60: pass"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    before = cpu_seconds(process.pid)
    assert before is not None
    wait_until(lambda: (cpu_seconds(process.pid) or 0) > before + 0.3, "the child's work")
    kill_group(process.pid)
    process.wait()
    assert cpu_seconds(process.pid) is None
