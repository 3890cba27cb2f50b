"""A run that found no memory beside others is started again alone; who shared a device is told in its folder."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from command import TINY
from rich.console import Console
from test_pause import completes

from benchmark.experiment.experiment import Tracking
from benchmark.launchers import Job
from benchmark.launchers.fitting import make_fitting_pool
from benchmark.launchers.local import exit_text
from benchmark.launchers.machine import MachineJob, MachineLauncher, MachinePool
from benchmark.run.company import read_company
from benchmark.run.devices import Room
from benchmark.run.folder import RunFolder
from benchmark.run.memory import Lack, Memory, read_memory, write_memory
from benchmark.run.options import JobOptions
from benchmark.run.plan import Request, make_plan
from benchmark.run.record import State
from benchmark.run.state import Planned
from benchmark.sweep.base import Listed
from benchmark.sweep.loop import Sweep
from benchmark.sweep.progress import SweepProgress
from benchmark.sweep.watchers import LineWatcher


@dataclass
class Made(MachineJob):
    """A job that ends when a test says so; without a record unless it was made to complete."""

    over: Callable[[], bool] = lambda: True
    status: int = 0

    def ended(self) -> bool:
        return self.over()

    def exit_text(self) -> str:
        return exit_text(self.status)

    def met_fault(self) -> bool:
        return False

    def cpu_seconds(self) -> None: ...
    def kill(self) -> None: ...


Act = Callable[[RunFolder], Job]


@dataclass
class Acting(MachineLauncher):
    """Starts jobs as its acts say, in order; all further ones complete."""

    pool: MachinePool
    acts: list[Act] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    name = "acting"
    shares_terminal = False
    prunes = True

    def obstacles(self, _gpus: object) -> list[str]:
        return []

    def submit(self, path: Path, options: JobOptions) -> Job:
        folder = RunFolder(path)
        self.pool.begin(options.resources, folder)
        self.submitted.append(folder.read_spec().row)
        return (self.acts.pop(0) if self.acts else completes)(folder)

    def attach(self, *_: object) -> None: ...
    def close(self) -> None: ...


def on_cpus(fitting: bool = True) -> MachinePool:
    if not fitting:
        return MachinePool(slots=2, cpus=2)
    pool = make_fitting_pool((), 2)
    pool.of_machine = lambda: Room(9000, 9000)
    return pool


@pytest.fixture
def runs(synthetic_data: Path, tmp_path: Path) -> list[Planned]:
    """Of the rows ``plain`` and ``momentum``."""
    return list(make_plan(Request(TINY, tmp_path / "results", data_root=synthetic_data)).runs[:2])


def swept(runs: list[Planned], launcher: Acting) -> tuple[dict[str, Planned], str]:
    console = Console(record=True, width=200)
    watcher = LineWatcher(console, SweepProgress(len(runs)))
    ended = Sweep(launcher, partial(JobOptions, Tracking(mode="off")), watcher).run(Listed(runs))
    return {run.spec.row: run for run in ended}, console.export_text()


def beside(launcher: Acting) -> Act:
    """A job that says what it takes, and completes when another has been started."""

    def act(folder: RunFolder) -> Job:
        write_memory(folder.memory_file, Memory(10, host_mib=100))
        return Made(lambda: len(launcher.submitted) > 1 and not completes(folder).met_fault())

    return act


def killed(_folder: RunFolder) -> Job:
    return Made(status=-signal.SIGKILL)


def lacking(lack: Lack) -> Act:
    def act(folder: RunFolder) -> Job:
        write_memory(folder.memory_file, Memory(lack=lack))
        return Made()

    return act


def test_a_job_that_the_system_kills_beside_others_is_started_again_alone(
    runs: list[Planned],
) -> None:
    launcher = Acting(on_cpus())
    launcher.acts = [beside(launcher), killed]
    ended, said = swept(runs, launcher)
    assert launcher.submitted == ["plain", "momentum", "momentum"]
    assert {run.state for run in ended.values()} == {State.COMPLETE}
    why = (
        "killed by the system, for want of memory perhaps, beside others; it is started again alone"
    )
    assert f"waits ({why})" in said
    assert [read_company(run.folder.company_file) for run in ended.values()] == [1, 1]


def test_one_that_is_killed_alone_is_lost_as_ever(runs: list[Planned]) -> None:
    launcher = Acting(on_cpus(), [killed])
    ended, _ = swept(runs[:1], launcher)
    assert launcher.submitted == ["plain"]
    assert ended["plain"].state is State.LOST
    assert read_company(ended["plain"].folder.company_file) is None


def test_a_number_of_slots_is_the_users_word(runs: list[Planned]) -> None:
    launcher = Acting(on_cpus(fitting=False))
    launcher.acts = [beside(launcher), killed]
    ended, _ = swept(runs, launcher)
    assert launcher.submitted == ["plain", "momentum"]
    assert ended["momentum"].state is State.LOST
    assert read_company(ended["momentum"].folder.company_file) == 1


@pytest.mark.parametrize(
    ("lack", "told"),
    [
        (
            Lack("no room", 8, 8, "its step is compiled as a whole"),
            "its batches cannot go through the model in parts: its step is compiled as a whole; "
            "try train_dataloader.batch_size=4",
        ),
        (Lack("no room", whole="it was at no training step"), "parts: it was at no training step"),
        (Lack("no room", 8, 1), "one image at once finds no memory either"),
    ],
)
def test_what_no_division_helps_has_failed_and_says_why(
    runs: list[Planned], lack: Lack, told: str
) -> None:
    launcher = Acting(on_cpus(), [lacking(lack)])
    ended, _ = swept(runs[:1], launcher)
    assert launcher.submitted == ["plain"]
    failure = ended["plain"].folder.read_record().failure
    assert failure is not None and failure.kind == "oom"
    assert failure.message.startswith("no room (nothing ran beside it, and ")
    assert told in failure.message


def test_what_a_job_before_has_said_is_not_taken_for_the_next_ones(runs: list[Planned]) -> None:
    run = runs[0]
    run.folder.path.mkdir(parents=True)
    write_memory(run.folder.memory_file, Memory(lack=Lack("of an earlier sweep", 8, 8)))
    launcher = Acting(on_cpus(), [lambda _: Made(status=1)])
    ended, _ = swept([run], launcher)
    assert launcher.submitted == ["plain"]
    assert ended["plain"].state is State.LOST
    assert read_memory(run.folder.memory_file) is None
