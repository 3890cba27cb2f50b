"""A job that its scheduler ends is queued again, until its run makes no progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest
from command import TINY
from rich.console import Console
from test_pause import completes

from benchmark.experiment.experiment import Tracking
from benchmark.files import write_json
from benchmark.job.begun import may_begin
from benchmark.launchers import Job
from benchmark.launchers.machine import MachineJob, MachineLauncher
from benchmark.launchers.places import Places
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.record import State
from benchmark.run.standing import Standing
from benchmark.run.starts import note_start, without_progress
from benchmark.run.state import Planned, look, look_again
from benchmark.sweep.base import Listed
from benchmark.sweep.ending import ask_to_stop
from benchmark.sweep.loop import Sweep, make_ready
from benchmark.sweep.progress import SweepProgress
from benchmark.sweep.watchers import LineWatcher


@dataclass
class Lost(MachineJob):
    """A job that has ended with its node."""

    why: str = "its node failed"
    outlives_driver = True

    def ended(self) -> bool:
        return True

    def exit_text(self) -> str:
        return "job 7: NODE_FAIL"

    def met_fault(self) -> bool:
        return False

    def cut_off(self) -> str:
        return self.why

    def cpu_seconds(self) -> None: ...
    def kill(self) -> None: ...


@dataclass
class Queue(MachineLauncher):
    """A cluster whose jobs end at once: as its acts say, then all complete."""

    acts: list[Callable[[RunFolder], Job]] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    flushed: int = 0
    name = "queue"
    shares_terminal = False
    prunes = True

    def __post_init__(self) -> None:
        self.pool = Places(1, threads=1, has_gpus=False)

    def obstacles(self, _gpus: object) -> list[str]:
        return []

    def submit(self, path: Path, _options: JobOptions) -> Job:
        self.submitted.append(path.name)
        return (self.acts.pop(0) if self.acts else completes)(RunFolder(path))

    def flush(self) -> None:
        self.flushed = len(self.submitted)

    def attach(self, *_: object) -> None: ...
    def close(self) -> None: ...


@pytest.fixture
def run(synthetic_data: Path, tmp_path: Path) -> Planned:
    return make_plan(Request(TINY, tmp_path / "results", data_root=synthetic_data)).runs[0]


def swept(run: Planned, *acts: Callable[[RunFolder], Job]) -> tuple[Queue, Planned, str]:
    launcher, console = Queue(list(acts)), Console(record=True, width=200)
    watcher = LineWatcher(console, SweepProgress(1))
    sweep = Sweep(launcher, partial(JobOptions, Tracking(mode="off")), watcher)
    (ended,) = sweep.run(Listed([run]))
    return launcher, ended, console.export_text()


def cut(folder: RunFolder) -> Job:
    return Lost()


def further(folder: RunFolder) -> Job:
    """A job that begins, and saves a checkpoint before its node fails."""
    note_start(folder, "job 7")
    folder.checkpoints.mkdir(exist_ok=True)
    (folder.checkpoints / f"iter_{len(list(folder.checkpoints.iterdir())) + 1}.pth").touch()
    return Lost()


def test_it_is_queued_again_and_completes(run: Planned) -> None:
    launcher, ended, said = swept(run, cut, cut)
    assert launcher.submitted == [run.spec.run_id] * 3
    assert launcher.flushed == 3
    assert ended.state is State.COMPLETE
    assert said.count("waits (its node failed; it is queued again)") == 2


def test_a_run_that_makes_no_progress_fails_with_that_as_its_cause(run: Planned) -> None:
    launcher, ended, _ = swept(run, *[cut] * 9)
    assert len(launcher.submitted) == 3
    assert ended.state is State.FAILED
    record = ended.folder.read_record()
    assert record.failure is not None
    assert record.failure.message.startswith("no progress over 3 starts")
    assert record.failure.message.endswith("the last one: its node failed")


def test_progress_counts_anew(run: Planned) -> None:
    launcher, ended, _ = swept(run, cut, cut, further, cut, further, cut, cut, cut)
    assert ended.state is State.FAILED
    assert len(launcher.submitted) == 8


def test_a_run_that_a_user_has_stopped_is_not_queued_again(run: Planned) -> None:
    def stopped(folder: RunFolder) -> Job:
        ask_to_stop(folder, "interrupted")
        return Lost()

    launcher, ended, _ = swept(run, stopped)
    assert (len(launcher.submitted), ended.state) == (1, State.INTERRUPTED)


def test_a_job_that_has_ended_by_itself_is_not_queued_again(run: Planned) -> None:
    def begun(folder: RunFolder) -> Job:
        note_start(folder, "job 7")
        return Lost(why="")

    launcher, ended, _ = swept(run, begun)
    assert (len(launcher.submitted), ended.state) == (1, State.LOST)


@pytest.fixture
def ready(run: Planned) -> Planned:
    prepare(run)
    return run


def test_a_job_gives_its_run_up_where_it_makes_no_progress(ready: Planned) -> None:
    options = JobOptions(Tracking(mode="off"), Resources((), 1), leased=True)
    assert [may_begin(ready.folder, options) for _ in range(4)] == [True, True, True, False]
    found = look_again(ready)
    assert found.state is State.FAILED
    assert found.record is not None and "no progress over 3 starts" in str(found.record.failure)


def test_what_the_scheduler_asked_is_over_when_a_job_begins(ready: Planned) -> None:
    options = JobOptions(Tracking(mode="off"), Resources((), 1), leased=True)
    write_json(ready.folder.stop_file, {"state": "interrupted", "again": True})
    may_begin(ready.folder, options)
    assert not ready.folder.stop_file.exists()
    ask_to_stop(ready.folder, "interrupted")
    may_begin(ready.folder, options)
    assert ready.folder.stop_file.exists()


def test_a_line_that_was_cut_is_no_start_and_the_next_one_counts(ready: Planned) -> None:
    note_start(ready.folder, "job 1")
    with ready.folder.starts_file.open("a") as file:
        file.write('{"job": "job 2", "rea')
    assert without_progress(ready.folder) == 1
    note_start(ready.folder, "job 3")
    assert without_progress(ready.folder) == 2


def test_a_run_that_goes_on_from_before_a_damaged_checkpoint_makes_progress(ready: Planned) -> None:
    def saves(name: str) -> int:
        ready.folder.checkpoints.mkdir(exist_ok=True)
        (ready.folder.checkpoints / name).touch()
        note_start(ready.folder, "job")
        return without_progress(ready.folder)

    # The fifth is damaged: trained again from the fourth, and saved on the way there.
    assert [saves(name) for name in ("epoch_4.pth", "epoch_5.pth")] == [1, 1]
    assert [saves(checkpoints.left(4, 30)), saves(checkpoints.left(4, 33))] == [1, 1]
    # The same again and again is none.
    assert [saves(checkpoints.left(4, 33)) for _ in range(2)] == [2, 3]


def test_a_run_that_is_asked_for_again_counts_its_starts_anew(ready: Planned) -> None:
    options = JobOptions(Tracking(mode="off"), Resources((), 1), leased=True)
    while may_begin(ready.folder, options):
        pass
    failed = look_again(ready)
    assert failed.state is State.FAILED
    make_ready(failed)  # as --retry failed does
    assert may_begin(ready.folder, options)
    assert without_progress(ready.folder) == 1


def test_a_complete_run_that_cannot_be_evaluated_on_test_keeps_its_record(
    ready: Planned,
) -> None:
    completes(ready.folder)
    before = ready.folder.record_file.read_bytes()
    launcher, ended, _ = swept(replace(look_again(ready), tests=True), *[cut] * 9)
    assert len(launcher.submitted) == 3
    assert ended.state is State.COMPLETE
    assert ready.folder.record_file.read_bytes() == before


@pytest.mark.parametrize(
    ("standing", "state"),
    [
        (Standing(queued=True, words="job 7: Resources"), State.QUEUED),
        (Standing(words="job 7 on n1"), State.RUNNING),
        (None, State.WAITING),
    ],
)
def test_a_run_is_where_its_job_stands(
    ready: Planned, standing: Standing | None, state: State
) -> None:
    found = look(ready.spec, ready.config, ready.folder, standing=lambda _: standing)
    assert found.state is state
    assert found.standing == (standing.words if standing else "")
