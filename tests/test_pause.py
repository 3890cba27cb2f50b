"""A fault of the machine is none of the run: the job says so, the sweep waits, and goes on with the same run."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from boards import make_record
from command import TINY, Bench
from disks import fill, remount, small_disk

from benchmark.data.annotations import read_annotations
from benchmark.errors import MachineError, fault_of
from benchmark.experiment.experiment import Tracking
from benchmark.files import read_jsonl
from benchmark.job.failures import last_words, of_machine, read_last_words
from benchmark.job.job import _Training, run_job
from benchmark.job.measure import measuring
from benchmark.job.resuming import newest_own
from benchmark.job.several import GONE, TOLD
from benchmark.job.together import main as torchrun
from benchmark.launchers.child import _ending_with_fault
from benchmark.launchers.machine import MachineJob, MachineLauncher, MachinePool
from benchmark.locks import PATIENCE_VARIABLE
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.state import Planned
from benchmark.sweep import pause
from benchmark.sweep.base import Listed
from benchmark.sweep.loop import Sweep
from benchmark.yaml_file import read_yaml

OFF = JobOptions(Tracking(mode="off"), Resources((), 1))
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, "2500k") as folder:
        yield folder


@pytest.mark.slow
@pytest.mark.trains
def test_a_sweep_waits_for_room_and_goes_on_with_the_same_run(
    disk: Path, synthetic_data: Path
) -> None:
    bench = Bench(synthetic_data, disk / "results")
    sweep = bench.start("sweep", "--rows", "plain", "--wandb", "off")
    said: list[str] = []
    assert sweep.stdout is not None
    for line in sweep.stdout:
        said.append(line)
        if "paused:" in line:  # its checkpoint does not fit
            assert not list(disk.rglob("record*.json"))
            remount(disk, "size=200m")
    assert sweep.wait() == 0, said
    text = "".join(said)
    assert re.search(r"waits \(disk full: \S+/epoch_\d.pth: No space left on device\)", text)
    assert text.count("paused:") == text.count("takes writes again: going on") == 1
    assert "Traceback" not in text and "lost" not in text
    assert bench.record("plain")["state"] == "complete"
    log = (bench.folder("plain") / "log.txt").read_text()
    assert "No space left on device: no record; the run is to be continued" in log
    assert [p.name for p in bench.folder("plain").glob("record*")] == ["record.json"]


@pytest.fixture
def runs(synthetic_data: Path, tmp_path: Path) -> list[Planned]:
    """Two runs that are ready to start."""
    return list(make_plan(Request(TINY, tmp_path / "results", data_root=synthetic_data)).runs[:2])


@dataclass
class Ended(MachineJob):
    """A job that has ended."""

    fault: bool = False
    killed: bool = False

    def ended(self) -> bool:
        return True

    def exit_text(self) -> str:
        return "exit status 74"

    def met_fault(self) -> bool:
        return self.fault

    def cpu_seconds(self) -> None: ...

    def kill(self) -> None:
        self.killed = True


@dataclass
class Scripted(MachineLauncher):
    """A launcher whose jobs end at once: as its acts say, then all complete."""

    acts: list[Callable[[RunFolder], Ended]] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    name = "scripted"
    shares_terminal = False
    prunes = True

    def __post_init__(self) -> None:
        self.pool = MachinePool(1)

    def obstacles(self, _gpus: object) -> list[str]:
        return []

    def submit(self, path: Path, _options: JobOptions) -> Ended:
        self.submitted.append(path.name)
        return (self.acts.pop(0) if self.acts else completes)(RunFolder(path))

    def attach(self, *_: object) -> None: ...
    def close(self) -> None: ...


def completes(folder: RunFolder) -> Ended:
    spec = folder.read_spec()
    record = make_record(spec.row, spec.seed, 0.4, run_id=spec.run_id, profile=spec.profile)
    folder.write_record(record)
    return Ended()


def meets_a_full_disk(folder: RunFolder) -> Ended:
    folder.log_file.write_text(f"Traceback\n{last_words(FULL)}\n")
    return Ended(fault=True)


@dataclass
class Told:
    """A watcher that remembers what it was told."""

    said: list[str] = field(default_factory=list)
    ticked: Callable[[], object] = lambda: None

    def started(self, run: Planned) -> None: ...

    def ended(self, run: Planned, cause: str) -> None:
        self.said.append(f"{run.state.value} {cause}".strip())

    def stands(self, run: Planned) -> None: ...

    def put_back(self, run: Planned, cause: str) -> None:
        self.said.append(f"waits ({cause})")

    def say(self, text: str) -> None:
        self.said.append(text)

    def tick(self) -> None:
        self.ticked()


def swept(launcher: Scripted, watcher: Told, runs: list[Planned]) -> list[Planned]:
    return Sweep(launcher, partial(JobOptions, Tracking(mode="off")), watcher).run(Listed(runs))


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is said to be free, in bytes: the last of these."""
    free = [2 << 20]
    monkeypatch.setattr(pause, "_free", lambda _: free[-1])
    monkeypatch.setattr(pause, "_LOOK_AGAIN_S", 0.0)
    return free


def test_no_job_is_started_until_there_is_room(runs: list[Planned], room: list[int]) -> None:
    launcher, told = Scripted([meets_a_full_disk]), Told()
    ticks = iter(range(1000))
    told.ticked = lambda: room.append(3 << 20) if next(ticks) == 3 else None
    ended = swept(launcher, told, runs)
    first, second = (run.spec.run_id for run in runs)
    assert launcher.submitted == [first, first, second]
    assert [run.state.value for run in ended] == ["complete", "complete"]
    waits, paused, again, *rest = told.said
    assert waits == "waits (disk full: No space left on device)"
    assert paused.startswith("paused: jobs cannot write to ") and "2.0 MiB free" in paused
    assert again.endswith("takes writes again: going on")
    assert rest == ["complete"] * 2


def test_without_room_the_sweep_ends_in_one_line(
    runs: list[Planned], room: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, "0.3")
    launcher = Scripted([meets_a_full_disk])
    with pytest.raises(MachineError, match=r"disk full \(2.0 MiB free\); finished runs stay"):
        swept(launcher, Told(), runs)
    assert launcher.submitted == [runs[0].spec.run_id]
    assert not runs[0].folder.finished


def test_where_files_are_too_many_that_is_told_and_fewer_are_room(
    tmp_path: Path, synthetic_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are bytes enough, and inodes for a few more files alone: what is free in bytes stays as it was."""
    monkeypatch.setattr(pause, "_LOOK_AGAIN_S", 0.0)
    said: list[str] = []
    with small_disk(tmp_path, "1m,nr_inodes=10") as disk:
        run = make_plan(Request(TINY, disk, data_root=synthetic_data)).runs[0]
        run.folder.path.parent.mkdir()
        waits = pause.Pause(said.append, 60)
        waits.put_back(run, "disk full")
        waits.look(jobs_run=False)
        assert waits.lasts and "but inodes for 8 further files alone" in said[0]
        remount(disk, "nr_inodes=100")
        waits.look(jobs_run=False)
        assert not waits.lasts and said[1].endswith("takes writes again: going on")


def test_a_run_that_meets_faults_all_the_time_ends_the_sweep(
    runs: list[Planned], room: list[int]
) -> None:
    """The disk of the results takes writes; that of a cache does not, say."""
    room.append(1 << 40)
    launcher = Scripted([meets_a_full_disk] * 9)
    with pytest.raises(MachineError, match="3 times a job could not go on: disk full"):
        swept(launcher, Told(), runs)
    assert len(launcher.submitted) == 3


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.EIO, os.strerror(errno.EIO), "/data/train/1.jpg"),
        OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/data/train/1.jpg"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/torch_7"),
    ],
)
def test_a_fault_elsewhere_is_not_called_a_full_results_folder(
    fault: OSError, runs: list[Planned], room: list[int]
) -> None:
    def meets_it(folder: RunFolder) -> Ended:
        folder.log_file.write_text(f"Traceback\n{last_words(fault)}\n")
        return Ended(fault=True)

    told = Told()
    with pytest.raises(MachineError, match=f"could not go on: .*{fault.strerror}") as found:
        swept(Scripted([meets_it] * 3), told, runs)
    assert "MiB free" not in str(found.value)
    ended = swept(Scripted([meets_it]), told, runs)
    assert [run.state.value for run in ended] == ["complete", "complete"]
    assert not [line for line in told.said if "cannot write" in line]


def test_what_the_driver_cannot_write_waits_too(disk: Path, synthetic_data: Path) -> None:
    runs = [make_plan(Request(TINY, disk / "results", data_root=synthetic_data)).runs[0]]
    (disk / "results" / "runs").mkdir(parents=True)
    fill(disk)
    told = Told()
    told.ticked = lambda: (disk / "filler").unlink(missing_ok=True)
    (run,) = swept(Scripted(), told, runs)
    assert run.state == "complete"
    assert told.said[0].startswith("waits (disk full: ")


def test_a_job_that_cannot_be_asked_to_stop_is_killed(disk: Path, synthetic_data: Path) -> None:
    runs = [make_plan(Request(TINY, disk / "results", data_root=synthetic_data)).runs[0]]
    job = Ended()
    job.ended = lambda: job.killed  # type: ignore[method-assign]

    def interrupted() -> None:
        fill(disk)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        swept(Scripted([lambda _: job]), Told(ticked=interrupted), runs)
    assert job.killed


def _refusing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a file of a run folder not be written: no space is left."""
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)


# One of each kind: those of measurements go one way.
WRITES = ("epoch_1.pth", "metrics.jsonl", "final.pth", "bootstrap.npy", "record.json")


@pytest.mark.slow
@pytest.mark.trains
def test_a_job_goes_on_after_a_full_disk_at_each_of_its_writes(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Request(
        TINY,
        tmp_path / "results",
        data_root=synthetic_data,
        rows=("plain",),
        overrides={"train_cfg.max_epochs": 2},
    )
    (run,) = make_plan(asked).runs
    prepare(run)
    for name in WRITES:
        with monkeypatch.context() as full:
            _refusing(name, full)
            with pytest.raises((OSError, RuntimeError)) as found:
                run_job(run.folder.path, OFF)
        fault = fault_of(found.value)
        assert fault is not None and Path(fault.filename).name == name
        assert not run.folder.finished
        assert not list(run.folder.path.rglob("*.tmp"))
    run_job(run.folder.path, OFF)
    record, points = run.folder.read_record(), read_jsonl(run.folder.metrics_file)
    assert record.state == "complete" and record.missing is None
    done = [point["iter"] for point in points if point["kind"] == "val"]
    assert done == sorted(set(done))
    last = [point for point in points if point["kind"] == "val"][-1]
    assert record.score("mAP50") == last["mAP50"]


@pytest.mark.parametrize("ends_as", ["complete", "failed"])
def test_a_record_that_cannot_be_written_leaves_the_run_unfinished(
    ends_as: str, runs: list[Planned], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(job: _Training) -> None:
        if ends_as == "failed":
            raise ValueError("a bug")
        job.evaluated = {"kind": "val", "iter": 1, "epoch": 1.0, "mAP50": 0.5}

    folder = runs[0].folder
    prepare(runs[0])
    monkeypatch.setattr(_Training, "work", train)
    with monkeypatch.context() as full:
        _refusing("record.json", full)
        with pytest.raises(OSError, match="No space left") as found:
            run_job(folder.path, OFF)
    assert found.value.filename == str(folder.record_file)
    assert not folder.finished
    run_job(folder.path, OFF)
    assert folder.read_record().state == ends_as


def test_what_is_cleared_away_after_the_record_changes_nothing(
    runs: list[Planned], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    prepare(runs[0])
    monkeypatch.setattr(checkpoints, "remove_all_but_final", refuse)
    point = {"kind": "val", "iter": 1, "epoch": 1.0, "mAP50": 0.5}
    monkeypatch.setattr(_Training, "work", lambda job: setattr(job, "evaluated", point))
    run_job(runs[0].folder.path, OFF)
    assert runs[0].folder.read_record().state == "complete"


@pytest.mark.parametrize(
    "number",
    [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.EUCLEAN],
)
def test_a_fault_costs_no_run_its_record(
    number: int, runs: list[Planned], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(_: _Training) -> None:
        raise OSError(number, os.strerror(number))

    prepare(runs[0])
    monkeypatch.setattr(_Training, "work", train)
    with pytest.raises(OSError, match=os.strerror(number)):
        run_job(runs[0].folder.path, OFF)
    assert not runs[0].folder.finished


@pytest.mark.parametrize(
    "read", [read_annotations, partial(read_yaml, kind="an experiment")], ids=["json", "yaml"]
)
def test_a_disk_that_fails_while_inputs_are_read_is_no_wrong_input(
    read: Callable[[Path], object],
    runs: list[Planned],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither of the user, nor of a run whose job reads the annotations."""

    def fails(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    path = tmp_path / "x"
    path.touch()
    for name in ("read_bytes", "read_text", "open"):
        monkeypatch.setattr(Path, name, fails)
    with pytest.raises(MachineError, match="x: cannot be read: Input/output error; look") as found:
        read(path)
    assert of_machine(found.value, runs[0].folder) is not None


def test_access_that_is_denied_is_the_machines_in_the_runs_folder_alone(
    runs: list[Planned], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = runs[0].folder
    denied = [str(folder.metrics_file), "/data/train/1.jpg"]

    def train(_: _Training) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", denied.pop(0))

    prepare(runs[0])
    monkeypatch.setattr(_Training, "work", train)
    with pytest.raises(PermissionError):
        run_job(folder.path, OFF)
    assert not folder.finished
    run_job(folder.path, OFF)
    assert folder.read_record().state == "failed"


def test_a_measurement_is_not_missing_for_a_full_disk(
    runs: list[Planned], monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass
    class Trained:
        folder: RunFolder
        evaluation = SimpleNamespace(image_ids=np.zeros(0, np.int64))

    def measure(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(measuring, "_function", lambda _: measure)
    with pytest.raises(OSError, match="No space left"):
        measuring.measure(Trained(runs[0].folder), cost=False)  # type: ignore[arg-type]


def test_last_words_are_read_from_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert read_last_words(log) == ""
    log.write_text("an epoch\nstopped early: pruned\n")
    assert read_last_words(log) == ""
    with log.open("a") as file:
        print(last_words(OSError(errno.EIO, "Input/output error", "a\nb")), file=file)
    assert read_last_words(log) == "a\\nb: Input/output error"


def _ends(folder: RunFolder, log: Path) -> None:
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    with _ending_with_fault(folder):
        print("training", flush=True)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("log", ["log.txt", "/dev/full"])
def test_a_job_that_meets_a_fault_ends_with_a_status_of_its_own(log: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    job = multiprocessing.get_context("fork").Process(target=_ends, args=(folder, tmp_path / log))
    job.start()
    job.join()
    assert job.exitcode == os.EX_IOERR
    if log == "log.txt":
        assert read_last_words(folder.log_file) == "disk full: No space left on device"


@pytest.mark.parametrize(
    ("code", "status"), [(os.EX_IOERR, os.EX_IOERR), (TOLD, TOLD), (GONE, GONE), (1, None)]
)
def test_torchrun_ends_with_the_status_of_its_processes(
    code: int, status: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

    def fails() -> None:
        raise ChildFailedError("job", {0: ProcessFailure(0, 1, code, "none.json")})

    monkeypatch.setattr(run, "main", fails)
    with pytest.raises(SystemExit if status else ChildFailedError) as found:
        torchrun()
    assert getattr(found.value, "code", None) == status


def test_a_disk_that_fails_says_nothing_of_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To pass it over would begin a training anew that has gone on for days."""
    (tmp_path / "epoch_3.pth").write_bytes(b"PK")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(zipfile, "ZipFile", fail)
    with pytest.raises(OSError, match="Input/output error"):
        newest_own(tmp_path, ("a-run",), {})
