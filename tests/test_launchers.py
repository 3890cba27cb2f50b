"""What every launcher keeps to, and what a new one costs: a file, and a line in `LAUNCHERS`."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any

import pytest
import ray_cluster
from command import TINY, Bench, alive, kill_group, run, study, variant, wait_until
from rich.console import Console
from slurm_cluster import SlurmCluster
from toy_launcher import ToyJob, ToyLauncher
from typer.testing import CliRunner, Result

from benchmark import locks, temporary
from benchmark.cli.app import app
from benchmark.errors import UserError
from benchmark.experiment.experiment import Tracking
from benchmark.job.job import run_job
from benchmark.launchers import LAUNCHERS, Job, Launcher, make_launcher
from benchmark.launchers.child import Surroundings
from benchmark.launchers.living import lives, living_job
from benchmark.launchers.local import LocalLauncher
from benchmark.launchers.processes import ProcessOfDriver, process_id
from benchmark.run.address import JobAddress, read_address
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.record import State
from benchmark.run.state import Planned, look_again
from benchmark.sweep.base import Listed
from benchmark.sweep.holders import end_orphans
from benchmark.sweep.loop import Sweep
from benchmark.sweep.progress import SweepProgress
from benchmark.sweep.watchers import LineWatcher, LiveWatcher, make_watcher

HERE = Path(__file__).parent
ON_THIS_MACHINE = ("local", "inprocess")
EVERY = [*LAUNCHERS, "toy"]
TOY = "toy_launcher:ToyLauncher"
# As a user's own launcher would be added, without a change of the package.
WITH_TOY = f"""
from benchmark.launchers import LAUNCHERS
LAUNCHERS["toy"] = "{TOY}"
if __name__ == "__main__":
    from benchmark.cli import main
    main()
"""


@pytest.fixture(scope="module", autouse=True)
def toy_is_a_launcher() -> Iterator[None]:
    LAUNCHERS["toy"] = TOY
    yield
    del LAUNCHERS["toy"]


def planned(data: Path, results: Path, epochs: int) -> Planned:
    """A run of the tiny experiment that is ready to start."""
    overrides = {"train_cfg.max_epochs": epochs}
    request = Request(TINY, results, data_root=data, rows=("plain",), overrides=overrides)
    (made,) = make_plan(request).runs
    prepare(made)
    return made


def submitted(launcher: Launcher, made: Planned) -> tuple[Job, Resources]:
    resources = launcher.pool.acquire(1)
    assert resources is not None
    job = launcher.submit(made.folder.path, JobOptions(Tracking(mode="off"), resources))
    launcher.flush()
    return job, resources


def wait_for(job: Job) -> None:
    wait_until(job.ended, "the job's end")


class Observer(threading.Thread):
    """Looks from outside, as another driver would, whether the run's job lives; a job may block its own driver."""

    def __init__(self, made: Planned) -> None:
        super().__init__(daemon=True)
        self.made = made
        self.seen: set[bool] = set()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.seen.add(living_job(self.made.folder) is not None)
            time.sleep(0.05)


@pytest.fixture
def reached(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher's scheduler is there."""
    if name == "slurm":
        cluster: SlurmCluster = request.getfixturevalue("slurm")
        for key, value in cluster.environment.items():
            monkeypatch.setenv(key, value)
    if name == "ray":  # on a cluster of this process's own
        if lacking := ray_cluster.obstacle():
            pytest.skip(lacking)
        monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.usefixtures("reached")
@pytest.mark.parametrize("name", EVERY)
class TestEveryLauncher:
    """The contract of `benchmark.launchers.base`."""

    def test_says_what_it_is(self, name: str) -> None:
        made = make_launcher(name)
        assert made.name == name
        assert made.pool.slots >= 1
        told = (made.shares_terminal, made.prunes, made.outlives_driver)
        assert {type(one) for one in told} == {bool}
        assert made.obstacles({"plain": 1}) == []
        made.close()

    def test_says_what_of_it_is_here(self, name: str) -> None:
        first, *_ = make_launcher(name).about()
        assert first.found and first.what == name
        assert not first.problem

    def test_hands_out_its_slots_and_takes_them_back(self, name: str) -> None:
        pool = make_launcher(name, 2).pool
        first, second = pool.acquire(1), pool.acquire(1)
        assert pool.slots == 2
        assert first is not None and second is not None
        assert pool.acquire(1) is None
        pool.release(first)
        assert pool.acquire(1) == first
        assert pool.acquire(1) is None

    @pytest.mark.trains
    def test_runs_a_folder_that_others_can_watch(
        self, name: str, synthetic_data: Path, tmp_path: Path
    ) -> None:
        launcher = make_launcher(name, 1)
        made = planned(synthetic_data, tmp_path / "results", epochs=1)
        observer = Observer(made)
        observer.start()
        job, resources = submitted(launcher, made)
        wait_for(job)
        observer.over.set()
        observer.join()
        launcher.pool.release(resources)
        launcher.close()
        log = made.folder.log_file.read_text()
        assert look_again(made).state is State.COMPLETE, log
        assert f"run {made.spec.run_id}" in log
        assert observer.seen >= {True}
        # A scheduler is asked once a second: another launcher may have been told just before.
        wait_until(lambda: not lives(made.folder), "the end of its job for all", 10)
        address = read_address(made.folder)
        assert address is not None
        assert (address.launcher, address.host) == (name, socket.gethostname())
        again = make_launcher(name).attach(made.folder.path, address)
        assert again is not None and again.ended()
        again.kill()  # which costs nobody anything
        job.kill()
        assert job.exit_text()


@pytest.mark.trains
@pytest.mark.usefixtures("reached")
@pytest.mark.parametrize("name", [name for name in EVERY if name != "inprocess"])
def test_ends_a_job_that_another_driver_has_submitted(
    name: str, synthetic_data: Path, tmp_path: Path
) -> None:
    launcher = make_launcher(name, 1)
    made = planned(synthetic_data, tmp_path / "results", epochs=100)
    job, _ = submitted(launcher, made)
    wait_until(lambda: made.folder.metrics_file.exists(), "the training")
    address = read_address(made.folder)
    assert address is not None
    found = make_launcher(name).attach(made.folder.path, address)
    assert found is not None
    assert not found.ended() and not job.ended()
    assert found.outlives_driver == job.outlives_driver
    found.kill()
    assert found.ended()
    wait_for(job)
    launcher.close()
    assert not lives(made.folder)
    assert look_again(made).state is State.LOST
    assert found.exit_text()


@pytest.mark.parametrize("name", ON_THIS_MACHINE)
def test_jobs_of_another_machine_cannot_be_asked(name: str, tmp_path: Path) -> None:
    elsewhere = JobAddress(name, f"{os.getpid()}:1", "elsewhere")
    assert make_launcher(name).attach(tmp_path, elsewhere) is None


@pytest.mark.parametrize("name", ON_THIS_MACHINE)
def test_a_process_that_was_given_a_dead_jobs_number_is_left_alone(
    name: str, tmp_path: Path
) -> None:
    here = JobAddress(name, f"{os.getpid()}:1", socket.gethostname())
    found = make_launcher(name).attach(tmp_path, here)
    assert found is not None and found.ended()
    found.kill()


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


TOO_MUCH = [
    ("local", 3, "row plain: asks for 3 GPUs; this machine has 2"),
    ("inprocess", 2, "row plain: --launcher inprocess runs one process: use local for a row"),
    ("toy", 9, "row plain: the cluster has 8 GPUs"),
    ("ray", 3, "on one node; this machine has 2 GPUs"),
]


@pytest.mark.parametrize(("name", "gpus", "problem"), TOO_MUCH)
@pytest.mark.parametrize("verb", ["plan", "sweep", "tune"])
@pytest.mark.usefixtures("two_gpus")
def test_what_a_launcher_cannot_run_is_said_before_anything_starts(
    verb: str, name: str, gpus: int, problem: str, synthetic_data: Path, tmp_path: Path
) -> None:
    done = asked(verb, name, gpus, synthetic_data, tmp_path)
    assert isinstance(done.exception, UserError)
    assert problem in str(done.exception)
    assert not list((tmp_path / "results").glob("runs/*-s0-*"))


@pytest.mark.parametrize(("name", "gpus"), [("local", 2), ("inprocess", 1), ("toy", 8)])
@pytest.mark.usefixtures("two_gpus")
def test_gpus_of_this_machine_count_for_what_runs_here_only(
    name: str, gpus: int, synthetic_data: Path, tmp_path: Path
) -> None:
    done = asked("plan", name, gpus, synthetic_data, tmp_path)
    assert done.exception is None, done.output


def asked(verb: str, launcher: str, gpus: int, data: Path, folder: Path) -> Result:
    """A command on the row ``plain``, which asks for so many GPUs."""

    def ask(content: dict[str, Any]) -> None:
        content["rows"] = [{**content["rows"][0], "gpus": gpus}]

    experiment = variant(folder, ask)
    file = study(folder) if verb == "tune" else experiment
    options = ["--data-root", str(data), "--results", str(folder / "results")]
    return CliRunner().invoke(app, [verb, str(file), *options, "--launcher", launcher])


def test_a_launcher_that_cannot_look_at_its_jobs_shares_no_study(
    synthetic_data: Path, tmp_path: Path
) -> None:
    storage = ["--storage", "postgresql://nobody@127.0.0.1:1/none", "--launcher", "inprocess"]
    options = ["--data-root", str(synthetic_data), "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(app, ["tune", str(study(tmp_path)), *options, *storage])
    assert isinstance(done.exception, UserError)
    assert "--launcher inprocess gives no sign of life" in str(done.exception)


@pytest.mark.parametrize(
    ("name", "terminal", "watcher"),
    [
        ("local", True, LiveWatcher),
        ("local", False, LineWatcher),
        ("inprocess", True, LineWatcher),  # a debugger could not be used under a table
        ("toy", True, LiveWatcher),
    ],
)
def test_the_table_is_drawn_where_no_job_prints(name: str, terminal: bool, watcher: type) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal)
    shared = make_launcher(name).shares_terminal
    assert type(make_watcher(console, SweepProgress(1), [], shared)) is watcher


@pytest.fixture
def held(synthetic_data: Path, tmp_path: Path) -> Iterator[tuple[Planned, int]]:
    """A run folder as version 0.1 left it while its job ran: a lock, and the name of its holder."""
    made = planned(synthetic_data, tmp_path / "results", epochs=1)
    code = "import sys, time; from pathlib import Path; from benchmark import locks\n"
    code += "held = locks.acquire(Path(sys.argv[1])); print('held', flush=True); time.sleep(600)"
    command = [sys.executable, "-c", code, str(made.folder.lock_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        yield made, holder.pid
        holder.kill()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETBOARD_PATIENCE_S", "0.5")


@pytest.mark.usefixtures("impatient")
def test_a_folder_without_a_jobs_address_is_judged_by_its_lock(held: tuple[Planned, int]) -> None:
    made, pid = held
    assert read_address(made.folder) is None
    assert lives(made.folder)
    assert look_again(made).state is State.RUNNING
    end_orphans([made])
    wait_until(lambda: not alive(pid), "the job's end")
    assert look_again(made).state is State.LOST


@pytest.mark.usefixtures("impatient")
def test_a_job_that_cannot_be_reached_is_named(held: tuple[Planned, int]) -> None:
    made, pid = held
    holder = made.folder.lock_file.with_name("job.lock.holder")
    holder.write_text(json.dumps({"pid": pid, "host": "elsewhere"}))
    assert lives(made.folder)
    message = f"its job .process {pid} on elsewhere. still runs: end it first"
    with pytest.raises(UserError, match=message):
        end_orphans([made])
    assert alive(pid)


@pytest.mark.usefixtures("impatient")
def test_a_job_does_not_wait_for_ever_for_another_jobs_folder(held: tuple[Planned, int]) -> None:
    made, pid = held
    began = time.monotonic()
    with pytest.raises(locks.Held, match=f"process {pid} on"):
        run_job(made.folder.path, JobOptions(Tracking(mode="off"), Resources((), 1)))
    assert time.monotonic() - began < 30  # 60 s without DETBOARD_PATIENCE_S


class Deaf(ToyLauncher):
    """Starts jobs that do not hear that they are to stop."""

    def submit(self, folder: Path, options: JobOptions) -> Job:
        process = subprocess.Popen(
            ["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL
        )
        self.job: ProcessOfDriver = ProcessOfDriver(process_id(process.pid), RunFolder(folder))
        print("asleep", flush=True)
        return self.job


class Interrupted:
    """A watcher that sees Ctrl-C as soon as a job has started."""

    def started(self, run: Planned) -> None: ...
    def ended(self, run: Planned, cause: str) -> None: ...
    def stands(self, run: Planned) -> None: ...
    def put_back(self, run: Planned, cause: str) -> None: ...
    def say(self, text: str) -> None: ...
    def tick(self) -> None:
        raise KeyboardInterrupt


@pytest.mark.usefixtures("impatient")
def test_a_job_that_does_not_stop_after_ctrl_c_is_killed(
    synthetic_data: Path, tmp_path: Path
) -> None:
    made = planned(synthetic_data, tmp_path / "results", epochs=1)
    launcher = Deaf(1)
    sweep = Sweep(launcher, partial(JobOptions, Tracking(mode="off")), Interrupted())
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        sweep.run(Listed([made]))
    assert 0.5 <= time.monotonic() - began < 30  # it was asked first, and given its time
    assert json.loads(made.folder.stop_file.read_text()) == {"state": "interrupted"}
    assert launcher.job.ended()


class DeafAndLasting(Deaf):
    """And whose jobs outlive their driver."""

    def submit(self, folder: Path, options: JobOptions) -> Job:
        super().submit(folder, options)
        self.job = ToyJob(self.job.job, self.job.folder)
        return self.job


@pytest.mark.parametrize("leaves", [None, True, False])
@pytest.mark.usefixtures("impatient")
def test_a_job_that_outlives_its_driver_may_be_left_alone(
    synthetic_data: Path, tmp_path: Path, leaves: bool | None
) -> None:
    made = planned(synthetic_data, tmp_path / "results", epochs=1)
    launcher = DeafAndLasting(1)
    asked: list[Planned] = []

    def answer(runs: Sequence[Planned]) -> bool:
        asked.extend(runs)
        return bool(leaves)

    options = partial(JobOptions, Tracking(mode="off"))
    sweep = Sweep(launcher, options, Interrupted(), leaves=None if leaves is None else answer)
    with pytest.raises(KeyboardInterrupt):
        sweep.run(Listed([made]))
    assert launcher.job.ended() == (leaves is False)
    assert made.folder.stop_file.exists() == (leaves is False)
    assert len(asked) == (leaves is not None)
    launcher.job.kill()


DEAF = """
from benchmark.launchers import LAUNCHERS
LAUNCHERS["deaf"] = "test_launchers:Deaf"
from detboard_start import main
main()
"""


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGINT, "interrupted"), (signal.SIGHUP, "the terminal is gone")]
)
def test_a_second_ctrl_c_ends_a_job_that_hangs(
    number: signal.Signals, words: str, synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results")
    arguments = bench.arguments("sweep", "--rows", "plain", "--launcher", "deaf", "--wandb", "off")
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    driver = subprocess.Popen(
        [sys.executable, "-c", DEAF, *arguments[3:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert driver.stdout is not None and driver.stderr is not None
    wait_until(lambda: "asleep" in driver.stdout.readline(), "the job")  # type: ignore[union-attr]
    time.sleep(0.5)  # until the driver knows it, too
    driver.send_signal(number)
    name = bench.folder("plain").name
    waits = f"{words}: waiting up to 60 s for 1 job to end ({name}); Ctrl-C ends that at once\n"
    assert driver.stderr.readline() == waits
    time.sleep(0.2)  # two at once are one
    driver.send_signal(signal.SIGINT)
    _, told = driver.communicate(timeout=20)
    # Its job did not begin: there is nothing to continue.
    assert told == f"{name}: waiting\n{words}: the same command continues where it was\n"
    assert driver.returncode == 128 + number


def test_ctrl_c_while_the_forkserver_loads_is_one_line(
    synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results")
    # A variable of Python's makes it a new process (see `warm.can_start`), whose server has everything to load.
    driver = bench.start("sweep", "--rows", "plain", "--wandb", "off", PYTHONUNBUFFERED="1")
    server = Path(f"/proc/{driver.pid}/task/{driver.pid}/children")
    wait_until(lambda: len(server.read_text().split()) == 2, "the server, and multiprocessing's")
    servers = [int(pid) for pid in server.read_text().split()]
    time.sleep(0.3)
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does
    output, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130
    told = "interrupted: the same command continues where it was"
    name = bench.folder("plain").name
    assert output.splitlines()[-2:] == [f"{name}: waiting", told]
    assert "Traceback" not in output
    wait_until(lambda: not any(map(alive, servers)), "the server to notice", 30)


def with_toy(bench: Bench, verb: str, *more: str) -> list[str]:
    """A command of a program that has added the toy launcher."""
    arguments = bench.arguments(verb, *more, "--launcher", "toy")
    return [sys.executable, "-c", WITH_TOY, *arguments[3:]]


def _validated(bench: Bench) -> bool:
    return bool(list(bench.results.glob("runs/plain-s*")) and bench.points("plain", "val"))


@pytest.mark.trains
def test_a_job_that_outlives_its_driver_is_taken_over(synthetic_data: Path, tmp_path: Path) -> None:
    bench = Bench(synthetic_data, tmp_path / "results")
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    command = with_toy(bench, "sweep", "--set", "train_cfg.max_epochs=8", "--wandb", "off")
    environment = {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""}
    output = subprocess.PIPE
    driver = subprocess.Popen(
        command,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=environment,
    )
    wait_until(lambda: _validated(bench), "a validation")
    kill_group(driver)
    folder = bench.folder("plain")
    address = json.loads((folder / "job.json").read_text())
    pid = int(address["job"].split(":")[0])
    assert address["launcher"] == "toy"
    assert alive(pid)
    assert not (folder / "record.json").exists()
    planned_now = run(with_toy(bench, "plan", "--set", "train_cfg.max_epochs=8"), PYTHONPATH=path)
    assert "running" in planned_now.stdout, planned_now.stderr

    again = run(command, PYTHONPATH=path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 complete" in again.stdout
    assert len(bench.points("plain", "start")) == 1  # it was never interrupted
    assert [point["epoch"] for point in bench.points("plain", "val")] == list(range(1, 9))
    assert json.loads((folder / "job.json").read_text()) == address
    assert bench.record("momentum")["state"] == "complete"


@pytest.mark.slow
def test_the_forkserver_asks_for_gpus_without_opening_cuda(tmp_path: Path) -> None:
    """A process that has asked CUDA itself, as mmengine does when it is imported, forks none that may use a GPU."""
    code = """
import torch
asked = []
torch.cuda._is_compiled = lambda: True
torch.cuda._device_count_nvml = lambda: 1
torch._C._cuda_getDeviceCount = lambda: asked.append("CUDA") or 1
torch.cuda._lazy_init = lambda: asked.append("initialised")
import benchmark.launchers.preload
from mmengine.device.utils import DEVICE
assert DEVICE == "cuda" and not asked, (DEVICE, asked)
import gc
assert gc.isenabled() and gc.get_freeze_count()  # its forks collect garbage, but not among what it has loaded
import sys
from benchmark.job.measure import MEASUREMENTS
measuring = {one.function.partition(":")[0] for one in MEASUREMENTS.values() if one.function}
assert measuring <= {*sys.modules}, measuring  # no fork has that to import
unused = {"imgaug", "numba", "pandas", "scipy.stats", "sklearn", "wandb"} & {*sys.modules}
assert not unused, unused
import benchmark.launchers.preload_trackers
assert "wandb" in sys.modules and gc.get_threshold()[0] == 700
import os, tempfile
from pathlib import Path
assert Path(tempfile.mkdtemp()).parent == Path(os.environ["TMPDIR"])  # what jobs make is where the user wants it
os.kill(os.getpid(), 9)
"""
    (of_driver := tmp_path / "of_driver").mkdir()
    (usual := tmp_path / "usual").mkdir()
    places = {temporary.OF_DRIVER: str(of_driver), "TMPDIR": str(usual)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **places},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    # What W&B has made is in the folder that goes with the driver.
    assert [*of_driver.glob("*wandb*")] and not [*usual.glob("*wandb*")]


def test_what_the_forkserver_leaves_goes_with_its_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Begun(Exception):
        pass

    def begin() -> None:
        raise Begun(os.environ[temporary.OF_DRIVER])

    monkeypatch.setattr(forkserver, "ensure_running", begin)
    options = JobOptions(Tracking(mode="off"), Resources((), 1))
    with pytest.raises(Begun, match=re.escape(util.get_temp_dir())):
        LocalLauncher().start(tmp_path, options, Surroundings())
    assert temporary.OF_DRIVER not in os.environ
