"""Run folders that go to nodes without the driver's disk, and come back, through a store."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import far_launcher
import pretend_job
import pytest
from command import TINY, Bench, here, variant, wait_until
from far_launcher import PretendLauncher
from s3_server import SECRET, s3_server
from toy_launcher import ToyJob

from benchmark.experiment.cluster import Cluster
from benchmark.experiment.experiment import Tracking
from benchmark.launchers import LAUNCHERS, Job, make_launcher
from benchmark.launchers.child import Surroundings, to_json
from benchmark.launchers.layout import APART
from benchmark.launchers.living import lives, living_job
from benchmark.launchers.local import LocalLauncher
from benchmark.launchers.mirror import node, object_store, stored_job, turn
from benchmark.launchers.mirror.fetching import Fetcher
from benchmark.launchers.mirror.listing import (
    Listing,
    Mirrored,
    newest_listing,
    put_listing,
    run_key,
)
from benchmark.launchers.mirror.scratch import scratch_folder
from benchmark.launchers.mirror.sending import Sender
from benchmark.launchers.mirror.sent import Sent
from benchmark.launchers.mirror.store import LEFT_S, Store, StoreTrouble, open_store, problem_with
from benchmark.launchers.mirror.stored_job import Home, StoredJob
from benchmark.launchers.mirror.turn import Claim
from benchmark.launchers.ray_cluster.capacity import Node
from benchmark.launchers.ray_cluster.launcher import RayLauncher
from benchmark.launchers.slurm.door import wrong_requests
from benchmark.launchers.stored import Stored
from benchmark.run import checkpoints
from benchmark.run.address import read_address
from benchmark.run.folder import RunFolder
from benchmark.run.journal import Journal
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.record import State
from benchmark.run.starts import starts
from benchmark.run.state import Planned, look_again
from benchmark.sweep.unbegun import remedy

HERE = Path(__file__).parent
OPTIONS = JobOptions(Tracking(mode="off"), Resources((), 1))


@pytest.fixture(scope="module", autouse=True)
def far_launchers() -> Iterator[None]:
    LAUNCHERS.update(far=far_launcher.FAR, pretend=far_launcher.PRETEND)
    yield
    del LAUNCHERS["far"], LAUNCHERS["pretend"]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(params=["path", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of each kind, of which a test may think that it is empty."""
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"
    (tmp_path / "store").mkdir()
    return str(tmp_path / "store")


@pytest.fixture
def node_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where jobs work that do not see the driver's disk."""
    folder = tmp_path / "node"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE.parent), str(HERE)]))
    return folder


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds in place of minutes, in this process; the times of a node, too."""
    for module in (turn, node, stored_job):
        for name in {"SILENT_S", "RENEW_S", "PUSH_S", "LOOK_S", "PATIENCE_S"} & vars(module).keys():
            monkeypatch.setattr(module, name, getattr(module, name))
    pretend_job.faster()
    monkeypatch.setattr(stored_job, "LOOK_S", 0.1)


def planned(data: Path, results: Path, **changes: Any) -> Planned:
    """The tiny experiment's row ``plain``, ready to start."""
    request = Request(TINY, results, data_root=data, rows=("plain",), **changes)
    (made,) = make_plan(request).runs
    prepare(made)
    return made


def stored(url: str) -> Stored:
    launcher = make_launcher("pretend", 1, Cluster(store=url))
    assert isinstance(launcher, Stored)
    return launcher


def end_of(job: Job) -> None:
    wait_until(job.ended, "the job's end", 40)


def kill_node(run: Planned) -> None:
    """Kills what runs on the node, with no word of farewell."""
    pid = int(json.loads(run.folder.job_file.read_text())["job"].partition(":")[0])
    os.killpg(pid, signal.SIGKILL)


def trained(folder: RunFolder) -> list[int]:
    return [
        point["iter"] for point in Journal(folder.metrics_file).points() if point["kind"] == "train"
    ]


def has_checkpoint(listing: Listing | None) -> bool:
    return listing is not None and any(name.startswith("checkpoints/") for name in listing.files)


@pytest.mark.slow
@pytest.mark.usefixtures("fast")
def test_a_run_moves_with_its_newest_checkpoint_and_comes_home_whole(
    url: str,
    synthetic_data: Path,
    tmp_path: Path,
    node_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRETEND_STANDS_AT", "20")
    run = planned(synthetic_data, tmp_path / "results")
    job = stored(url).submit(run.folder.path, OPTIONS)
    wait_until(lambda: not job.ended() and len(trained(run.folder)) > 12, "the journal", 30)
    key = run_key(run.folder.path.name, OPTIONS)
    wait_until(lambda: has_checkpoint(newest_listing(open_store(url), key)), "a checkpoint", 30)
    assert not list(run.folder.path.glob("checkpoints/*"))  # none of a training that goes on
    kill_node(run)
    end_of(job)
    assert look_again(run).state is State.LOST
    _, reached = checkpoints.done(checkpoints.saved(run.folder.checkpoints)[0])
    assert reached >= 5
    assert not lives(run.folder)
    prepare(run)
    end_of(stored(url).submit(run.folder.path, OPTIONS))
    assert look_again(run).state is State.COMPLETE
    assert f"goes on at {reached}," in run.folder.log_file.read_text()
    assert trained(run.folder) == [*range(1, pretend_job.ITERATIONS + 1)]
    assert [path.name for path in run.folder.checkpoints.iterdir()] == [checkpoints.FINAL]
    assert checkpoints.is_whole(run.folder.checkpoints / checkpoints.FINAL)
    assert starts(run.folder) == 2
    assert not list(node_folder.glob("detboard-*"))  # nor what the killed one has left


@pytest.mark.usefixtures("fast", "node_folder")
def test_another_driver_finds_the_job_and_its_end(
    url: str, synthetic_data: Path, tmp_path: Path
) -> None:
    run = planned(synthetic_data, tmp_path / "results")
    bench = Bench(synthetic_data, tmp_path / "results")
    stored(url).submit(run.folder.path, OPTIONS)
    found = living_job(run.folder)
    assert found is not None and found.outlives_driver
    assert "running" in bench.here("plan", "--rows", "plain").stdout
    # The first driver does not live to see the end.
    address = read_address(run.folder)
    assert address is not None
    wait_until(ToyJob(address.job, run.folder).ended, "the job's end", 30)
    assert not run.folder.finished
    plan = bench.here("plan", "--rows", "plain").stdout
    assert "complete" in plan and look_again(run).state is State.COMPLETE
    assert living_job(run.folder) is None


@pytest.mark.usefixtures("fast", "node_folder")
def test_runs_stop_reaches_a_job_without_any_driver(
    url: str, synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRETEND_ITERATIONS", "1000")
    run = planned(synthetic_data, tmp_path / "results")
    stored(url).submit(run.folder.path, OPTIONS)
    wait_until(lambda: lives(run.folder) and len(trained(run.folder)) > 3, "the journal", 30)
    results = ["--results", str(tmp_path / "results")]
    assert here(["runs", "stop", run.spec.run_id, *results]).returncode == 0
    wait_until(lambda: not lives(run.folder), "the job's end", 30)
    assert look_again(run).state is State.INTERRUPTED
    assert run.folder.log_file.read_text().endswith("stopped\n")
    assert len(trained(run.folder)) < 1000


@pytest.mark.trains
@pytest.mark.slow
def test_a_sweep_of_jobs_without_the_drivers_disk(
    bucket: str, synthetic_data: Path, tmp_path: Path, node_folder: Path
) -> None:
    url = f"{bucket}/sweep"
    experiment = variant(tmp_path, lambda content: content.update(cluster={"store": url}))
    bench = Bench(synthetic_data, tmp_path / "results", experiment)
    done = bench.here("sweep", "--rows", "plain", "--launcher", "far", "--wandb", "off")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = bench.folder("plain")
    record = bench.record("plain")
    assert record["state"] == "complete" and record["metrics"]["mAP50"] is not None
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["final.pth"]
    assert checkpoints.is_whole(folder / "checkpoints" / "final.pth")
    assert len(bench.points("plain", "val")) == 4
    files = {path.name for path in folder.iterdir() if path.is_file()}
    assert files >= {"predictions.json", "matches.npz", "bootstrap.npy", "samples.json", "log.txt"}
    assert "iteration 6/24" in done.stdout or "complete" in done.stdout
    assert (
        "1 of 1 runs to do" not in bench.here("sweep", "--rows", "plain", "--wandb", "off").stdout
    )
    for path in (*folder.rglob("*"), *node_folder.rglob("*")):  # nothing tells how to get in
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    assert not list(node_folder.glob("detboard-*"))


class Odd:
    """A store that is asked as usual, and may be away."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.url = store.url
        self.away: Callable[[str, str], bool] = lambda call, key: False
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, call: str) -> Callable[..., Any]:
        def asked(*given: Any) -> Any:
            key = str(given[1] if call == "send" else given[0])
            if self.away(call, key):
                raise StoreTrouble(self.url, "nobody is there")
            self.calls.append((call, key))
            return getattr(self.store, call)(*given)

        return asked


def test_of_jobs_that_come_at_once_one_goes_on(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "_LOOK_S", 0.1)
    held: list[turn.Turn] = []
    said: list[str] = []

    def take(number: int) -> None:
        held.append(turn.wait_for(open_store(url), "runs/a", f"job {number}", said.append))

    jobs = [threading.Thread(target=take, args=(number,), daemon=True) for number in range(6)]
    for job in jobs:
        job.start()
    wait_until(lambda: len(said) == 5, "five that wait", 20)
    assert [one.number for one in held] == [1]
    held[0].release()
    wait_until(lambda: len(held) == 2, "the next", 20)
    time.sleep(0.5)
    assert [one.number for one in held] == [1, 2]
    with pytest.raises(turn.Taken, match=r"job \d has taken the run over"):
        held[0].renew()


@pytest.mark.slow
@pytest.mark.usefixtures("fast")
def test_a_turn_that_is_renewed_stays_and_one_that_is_not_is_over(url: str) -> None:
    store = open_store(url)
    first = turn.take(store, "runs/a", "the first")
    assert first is not None
    waiting = threading.Thread(
        target=lambda: turn.wait_for(open_store(url), "runs/a", "the second", str).release()
    )
    waiting.start()
    end = time.monotonic() + 2 * turn.SILENT_S
    while time.monotonic() < end:
        first.renew(7.0)
        assert turn.is_held(store, "runs/a")
        time.sleep(0.2)
    assert waiting.is_alive()
    waiting.join(10 * turn.SILENT_S)
    assert not waiting.is_alive() and not turn.is_held(store, "runs/a")
    with pytest.raises(turn.Taken, match="the second has taken the run over"):
        first.renew()


class Pair:
    """A run folder on a node and the driver's, with a store between them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.store = Odd(open_store(url))
        self.here, self.there = RunFolder(folder / "here"), RunFolder(folder / "there")
        self.here.checkpoints.mkdir(parents=True)
        self.sender = Sender(self.store, "runs/a", 1, self.here.path)
        self.fetcher = Fetcher(self.store, "runs/a", self.there.path)

    def end(self) -> Listing:
        """The run ends, and is put."""
        save(self.here.checkpoints / "iter_5.pth")
        self.here.predictions_file.write_text("[]")
        self.here.record_file.write_text("{}")
        return self.sender.push()


@pytest.fixture
def pair(url: str, tmp_path: Path) -> Pair:
    return Pair(url, tmp_path)


def test_only_what_is_whole_is_put(pair: Pair) -> None:
    (pair.here.checkpoints / "iter_5.pth").write_bytes(b"half of a checkpoi")
    (pair.here.path / "job.lock").touch()
    (pair.here.path / ".spec.json.123.tmp").touch()
    pair.here.log_file.write_text("a line\n")
    pair.sender.push()
    pair.fetcher.bring(everything=True)
    assert [path.name for path in pair.there.path.rglob("*")] == ["log.txt"]
    pair.end()
    pair.fetcher.bring(everything=True)
    assert checkpoints.is_whole(pair.there.checkpoints / "iter_5.pth")


def test_a_log_is_put_in_parts_and_added_to(pair: Pair) -> None:
    """Whoever follows it reads what is new."""
    pair.here.log_file.write_bytes(b"x" * (5 << 19))  # two parts and a half
    pair.sender.push()
    pair.fetcher.bring(everything=False)
    inode = pair.there.log_file.stat().st_ino
    with pair.here.log_file.open("a") as log:
        log.write("more")
    pair.store.calls.clear()
    pair.sender.push()
    puts = [key.split("/")[2] for call, key in pair.store.calls if call == "write"]
    assert puts == ["objects", "listings"]
    pair.fetcher.bring(everything=False)
    assert pair.there.log_file.read_bytes() == pair.here.log_file.read_bytes()
    assert pair.there.log_file.stat().st_ino == inode
    pair.here.log_file.write_text("anew")
    pair.sender.push()
    pair.fetcher.bring(everything=False)
    assert pair.there.log_file.read_text() == "anew"


def test_the_record_is_never_there_before_what_it_speaks_of(pair: Pair) -> None:
    pair.sender.push()
    pair.store.calls.clear()
    listing = pair.end()
    puts = [key for call, key in pair.store.calls if call in ("write", "send")]
    assert puts[-1] == "runs/a/listings/000001.json"
    assert {key.rpartition("/")[2] for key in puts[:-1]} >= listing.parts
    pair.fetcher.bring(everything=False)  # of a job that is not known to have ended
    assert not pair.there.finished and not pair.there.checkpoints.exists()
    checkpoint = listing.files["checkpoints/iter_5.pth"].parts[0]
    pair.store.away = lambda call, key: call == "fetch" and key.endswith(checkpoint)
    with pytest.raises(StoreTrouble):
        pair.fetcher.bring(everything=True)
    assert not pair.there.finished
    pair.store.away = lambda call, key: False
    pair.fetcher.bring(everything=True)
    assert pair.there.finished and (pair.there.checkpoints / "iter_5.pth").exists()


def test_a_store_keeps_what_the_last_listings_name(pair: Pair) -> None:
    for text in ("[1]", "[2]", "[3]"):
        pair.here.predictions_file.write_text(text)
        last = pair.sender.push()
    kept = {key.rpartition("/")[2] for key in pair.store.keys("runs/a/objects")}
    assert last.parts < kept and len(kept) == 2  # one for whoever reads the listing before


def leave_as_killed(store: Store, root: Path) -> set[Path]:
    """Puts that end midway, as by a kill, and what they leave."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    puts: list[tuple[object, str, Callable[[], object]]] = [
        (os, "fsync", lambda: store.write("runs/a/objects/1", b"")),
        (os, "link", lambda: store.create("runs/a/leases/000001.json", b"")),
        (store, "written_s", lambda: turn.age_s(store, Claim(1, "", ""), "runs/a")),
        (store, "read", lambda: problem_with(str(root))),
    ]
    for owner, at, put in puts:
        with pytest.MonkeyPatch.context() as ends:
            ends.setattr(Path, "unlink", lambda *_, **__: None)
            ends.setattr(type(store) if owner is store else owner, at, killed)
            with pytest.raises(KeyboardInterrupt):
                put()
    return files_below(root)


def files_below(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if path.is_file()}


def test_what_killed_jobs_have_left_in_a_store_goes_with_the_next(tmp_path: Path) -> None:
    root, folder = tmp_path / "store", RunFolder(tmp_path / "a")
    root.mkdir()
    folder.path.mkdir()
    store = open_store(str(root))
    left = leave_as_killed(store, root)
    assert {path.parent.name for path in left} == {"objects", "leases", "clocks", "detboard-probe"}
    for path in left:
        os.utime(path, (0, path.stat().st_mtime - LEFT_S - 1))
    young = root / "runs/a/objects/.2.abcdefgh.tmp"  # another may be at it
    young.touch()
    assert not problem_with(str(root))
    held = turn.take(store, "runs/a", "the next")
    assert held is not None
    sender = Sender(store, "runs/a", held.number, folder.path)
    sender.push()
    assert not left & files_below(root) and young.exists()
    os.utime(young, (0, 0))
    sender.push(last=True)
    assert {path.name for path in files_below(root)} == {f"{held.number:06}.json"}


def test_a_job_that_was_replaced_removes_nothing_that_its_follower_names(
    pair: Pair, tmp_path: Path
) -> None:
    """It puts what it has before it next renews its lease, by which it would find itself replaced."""
    turn.take(pair.store, "runs/a", "the first")
    pair.here.predictions_file.write_text("[1]")
    pair.sender.push()
    assert turn.take(pair.store, "runs/a", "the second") is not None
    follower = RunFolder(tmp_path / "follower")
    begun = Fetcher(pair.store, "runs/a", follower.path).bring(everything=True)
    last = Sender(pair.store, "runs/a", 2, follower.path, begun)
    last.push()
    for text in ("[2]", "[3]"):
        pair.here.predictions_file.write_text(text)
        with pytest.raises(turn.Taken, match="the second has taken the run over"):
            pair.sender.push()
    follower.record_file.write_text("{}")
    last.push(last=True)
    pair.fetcher.bring(everything=True)
    assert pair.there.finished and pair.there.predictions_file.read_text() == "[1]"


def test_a_job_finds_itself_replaced_however_often_the_run_has_moved(url: str) -> None:
    store = open_store(url)
    first = turn.take(store, "runs/a", "the first")
    assert first is not None
    store.write("runs/a/leases/notes.json", b"[]")  # somebody's own, which is no holder's
    for moves in range(1, 6):
        turn.take(store, "runs/a", f"job {moves}")
        with pytest.raises(turn.Taken, match=f"job {moves} has taken the run over"):
            first.renew()


def save(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights", os.urandom(100))


def test_what_is_a_drivers_own_is_not_taken_from_a_store(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store = open_store(str(tmp_path / "store"))
    own = ("job.json", "stop", "store.json", "job.lock", "lease.json", "asked_by/x", "mmengine/x")
    files = dict.fromkeys([*own, "log.txt"], Mirrored(0, ()))
    put_listing(store, "runs/a", Listing(1, files))
    Fetcher(store, "runs/a", tmp_path / "there").bring(everything=True)
    assert [path.name for path in (tmp_path / "there").rglob("*")] == ["log.txt"]


def test_what_was_damaged_in_a_store_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    here_, there = RunFolder(tmp_path / "here"), RunFolder(tmp_path / "there")
    here_.checkpoints.mkdir(parents=True)
    save(here_.checkpoints / "iter_5.pth")
    here_.predictions_file.write_text("[]")
    store = open_store(str(tmp_path / "store"))
    files = Sender(store, "runs/a", 1, here_.path).push().files
    fetcher = Fetcher(store, "runs/a", there.path)
    store.write(f"runs/a/objects/{files['predictions.json'].parts[0]}", b"something else")
    with pytest.raises(StoreTrouble, match="is damaged"):
        fetcher.bring(everything=True)
    assert not there.predictions_file.exists()
    there.checkpoints.joinpath("iter_5.pth").unlink()
    store.write(f"runs/a/objects/{files['predictions.json'].parts[0]}", b"[]")
    store.write(f"runs/a/objects/{files['checkpoints/iter_5.pth'].parts[0]}", b"half of it")
    fetcher.bring(everything=True)
    assert fetcher.damaged == ["checkpoints/iter_5.pth"]  # the run may go on from the one before
    assert there.predictions_file.exists() and not list(there.checkpoints.glob("*"))


def test_a_folder_in_the_place_of_an_object_is_said_at_once_and_not_waited_for(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a store that does not answer waits for an hour; this only a user mends."""
    url = tmp_path / "store"
    run = planned(synthetic_data, tmp_path / "results")
    claim = url / turn.turn_key(f"runs/{run.spec.run_id}", 1)
    claim.mkdir(parents=True)
    monkeypatch.setenv("DETBOARD_PATIENCE_S", "600")
    options, local = replace(OPTIONS, store=str(url)), LocalLauncher()
    by_driver = partial(stored(str(url)).submit, run.folder.path, options)
    by_node = partial(node.run_mirrored, run.spec.run_id, options, local.submit)
    for ask in (by_driver, by_node):
        with pytest.raises(StoreTrouble, match="Is a directory") as told:
            ask()
        assert told.value.filename == str(claim)


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a//b", ""])
def test_a_listing_leads_nowhere_else(name: str, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store = open_store(str(tmp_path / "store"))
    content = {"files": {name: {"size": 0, "parts": []}}}
    store.write("runs/a/listings/000001.json", json.dumps(content).encode())
    with pytest.raises(StoreTrouble, match="is no listing of a run"):
        Fetcher(store, "runs/a", tmp_path / "there").bring(everything=True)


def test_what_is_wrong_with_a_store_is_said_before_anything_starts(
    bucket: str, synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    said = {
        "rel/runs": "write a whole path or a URL",
        str(tmp_path / "nowhere"): f"there is no folder {tmp_path}/nowhere",
        str(tmp_path / "file"): "there is no folder",
        "s3://another-bucket/x": "The specified bucket does not exist",
        "s3://": "names no bucket",
        "s3://key:word@bucket/x": "leave name and password out of it",
        "memory://runs": "put a file only where there is none",
        "simplecache::s3://bucket/x": "a chain of file systems",
        "gs://bucket/x": "pip install gcsfs",
    }
    for url, words in said.items():
        problem = problem_with(url)
        assert words in problem and problem.startswith("cluster.store: "), (url, problem)
        assert "word@" not in problem
    assert not problem_with(bucket)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert "pip install 'detboard[s3]'" in problem_with(bucket)
    change = {"cluster": {"store": "s3://bucket/x"}}
    experiment = variant(
        tmp_path, lambda content: content.update(change) or content["rows"][0].update(gpus=9)
    )
    done = Bench(synthetic_data, tmp_path / "results", experiment).here(
        "sweep", "--launcher", "far"
    )
    assert done.returncode == 2
    assert [word in done.stderr for word in ("8 GPUs", "detboard[s3]")] == [True, True]
    assert not list((tmp_path / "results").glob("runs/plain*"))


def test_without_credentials_that_is_what_is_said(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "Unable to locate credentials" in problem_with(bucket)


def test_a_store_that_takes_calls_and_never_answers_is_given_up(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "_LIMIT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        store = open_store(bucket)
        (tmp_path / "file").write_bytes(b"x")
        for ask in (
            lambda: store.read("a"),
            lambda: store.write("a", b""),
            lambda: store.create("a", b""),
            lambda: store.send(tmp_path / "file", "a"),
            lambda: store.keys("a"),
        ):
            with pytest.raises(StoreTrouble, match=r"no answer within 0\.5"):
                ask()


@pytest.mark.usefixtures("fast")
def test_a_job_whose_store_is_away_is_not_taken_to_be_silent(
    synthetic_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    run = planned(synthetic_data, tmp_path / "results")
    store = Odd(open_store(str(tmp_path / "store")))
    job = StoredJob(ToyJob("1:1", run.folder), Home(store, run.folder, Sent("", "runs/a", 0)))
    first = turn.take(store, "runs/a", "a job")
    assert first is not None
    first.renew(7.0)
    assert job.cpu_seconds() == 7.0
    store.away = lambda call, key: True
    before = job.cpu_seconds()
    time.sleep(0.1)
    assert 7.0 < before < job.cpu_seconds()


@pytest.mark.usefixtures("fast", "node_folder")
def test_a_node_without_the_data_says_which(synthetic_data: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    data = tmp_path / "data"
    shutil.copytree(synthetic_data, data)
    run = planned(data, tmp_path / "results")
    data.rename(tmp_path / "elsewhere")
    end_of(stored(str(tmp_path / "store")).submit(run.folder.path, OPTIONS))
    record = look_again(run).record
    assert record is not None and record.failure is not None and record.failure.again
    host = os.uname().nodename
    assert record.failure.message.startswith(
        f"{host} does not have {data}/train.json, {data}/images, "
    )
    assert "under the same paths" in record.failure.message


@pytest.mark.usefixtures("fast", "node_folder")
def test_runs_that_a_run_is_made_from_lie_beside_it(synthetic_data: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    run = planned(synthetic_data, tmp_path / "results")
    source = RunFolder(run.folder.path.with_name("source-s0-tiny-00000000"))
    source.checkpoints.mkdir(parents=True)
    save(source.checkpoints / "final.pth")
    run.folder.write_spec(replace(run.folder.read_spec(), made_from=(source.path.name,)))
    end_of(stored(str(tmp_path / "store")).submit(run.folder.path, OPTIONS))
    log = run.folder.log_file.read_text()
    assert f"beside ['{run.spec.run_id}', '{source.path.name}']" in log


@pytest.mark.slow
@pytest.mark.usefixtures("fast")
def test_a_store_that_is_away_for_a_while_costs_nothing(
    synthetic_data: Path, tmp_path: Path, node_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRETEND_ITERATIONS", "100")
    folder = tmp_path / "store"
    folder.mkdir()
    run = planned(synthetic_data, tmp_path / "results")
    job = stored(str(folder)).submit(run.folder.path, OPTIONS)
    wait_until(lambda: not job.ended() and len(trained(run.folder)) > 5, "the journal", 30)
    folder.rename(tmp_path / "away")
    time.sleep(1)
    assert not job.ended() and "does not answer" in job.standing().words
    (tmp_path / "away").rename(folder)
    end_of(job)
    assert look_again(run).state is State.COMPLETE
    assert trained(run.folder) == [*range(1, 101)]
    assert "the store answers again" in run.folder.log_file.read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("fast")
def test_what_a_store_never_takes_stays_on_the_node(
    synthetic_data: Path, tmp_path: Path, node_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRETEND_PATIENCE_S", "1")
    monkeypatch.setattr(stored_job, "PATIENCE_S", 1.0)
    folder = tmp_path / "store"
    folder.mkdir()
    run = planned(synthetic_data, tmp_path / "results")
    job = stored(str(folder)).submit(run.folder.path, OPTIONS)
    wait_until(lambda: not job.ended() and len(trained(run.folder)) > 3, "the journal", 30)
    folder.rename(tmp_path / "away")
    end_of(job)
    assert job.met_fault() and "there is no folder" in job.exit_text()
    (kept,) = node_folder.glob(f"detboard-kept-{run.spec.run_id}-*")
    assert (kept / "record.json").exists()
    assert (
        f"stays on {os.uname().nodename} in {kept}"
        in PretendLauncher.log(kept.parent / run.spec.run_id).read_text()
    )


class Copies:
    """Jobs of one run, in threads of this process, each with the store as it sees it."""

    def __init__(self, url: str, run: Planned) -> None:
        self.run, self.where = run, f"runs/{run.spec.run_id}"
        self.options = replace(OPTIONS, store=url)
        self.stores = [Odd(open_store(url)) for _ in range(2)]
        self.ends: dict[int, int] = {}
        self.jobs = [
            threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(2)
        ]

    def work(self, number: int) -> None:
        name = self.run.spec.run_id
        self.ends[number] = node.run_mirrored(name, self.options, pretend_job.PretendJob)

    def newest(self) -> Listing:
        found = newest_listing(self.stores[1], self.where)
        assert found is not None
        return found


@pytest.mark.slow
@pytest.mark.usefixtures("fast")
def test_a_job_that_was_replaced_ends_and_spoils_nothing(
    synthetic_data: Path, tmp_path: Path, node_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut off from its store, another takes the run over, and it is there again."""
    (tmp_path / "store").mkdir()
    run = planned(synthetic_data, tmp_path / "results")
    two = Copies(str(tmp_path / "store"), run)
    first, second = two.stores
    Sender(first, two.where, 1, run.folder.path).push()
    waiting = [second, first]
    monkeypatch.setattr(node, "open_store", lambda _: waiting.pop())
    monkeypatch.setattr(pretend_job, "ITERATIONS", 120)
    two.jobs[0].start()
    wait_until(lambda: any("iter_10" in name for name in two.newest().files), "a checkpoint", 20)
    first.away = lambda call, key: True
    two.jobs[1].start()
    wait_until(lambda: two.newest().number == 2, "the second", 20)
    first.away = lambda call, key: False
    two.jobs[0].join(60)
    assert two.ends == {0: 1}
    two.jobs[1].join(60)
    assert two.ends == {0: 1, 1: 0} and two.newest().number == 2
    Fetcher(second, two.where, run.folder.path).bring(everything=True)
    assert trained(run.folder) == [*range(1, 121)] and run.folder.finished
    assert not list(node_folder.glob("detboard-*"))


@pytest.mark.usefixtures("fast", "node_folder")
def test_a_run_that_another_results_folder_has_at_work_is_watched(
    url: str, synthetic_data: Path, tmp_path: Path
) -> None:
    first, second = (planned(synthetic_data, tmp_path / name) for name in ("first", "second"))
    job = stored(url).submit(first.folder.path, OPTIONS)
    wait_until(lambda: not job.ended() and len(trained(first.folder)) > 3, "the journal", 30)
    other = stored(url).submit(second.folder.path, OPTIONS)
    assert not second.folder.job_file.exists()  # nothing was submitted
    wait_until(lambda: job.ended() and other.ended(), "both ends", 30)
    assert [look_again(run).state for run in (first, second)] == [State.COMPLETE] * 2
    assert first.folder.record_file.read_text() == second.folder.record_file.read_text()
    assert starts(second.folder) == 1


def test_jobs_of_ray_take_their_runs_from_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.launchers.ray_cluster import node as ray_node

    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(ray_node, "gpus", lambda: ())

    def mirrored(name: str, told: JobOptions, start: object) -> int:
        asked.append((name, told.store))
        return 7

    monkeypatch.setattr(ray_node, "run_mirrored", mirrored)
    options = to_json(replace(OPTIONS, store="s3://bucket/x"))
    around = ray_node.surroundings_json(Surroundings())
    assert ray_node.run("/no/such/disk/runs/a", options, around) == 7
    assert asked == [("a", "s3://bucket/x")]
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert isinstance(make_launcher("ray", 1, Cluster(store="s3://bucket/x")), Stored)
    assert not isinstance(make_launcher("local", 1, Cluster(store="s3://bucket/x")), Stored)


def test_slurm_refuses_a_store() -> None:
    said = wrong_requests(Cluster(store="s3://bucket/x"), {}, [])
    assert any(
        one.startswith("cluster.store: s3://bucket/x: jobs of Slurm work in") for one in said
    )


def test_a_node_that_does_not_reach_the_store_is_said_to(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    Sent("s3://bucket/x", "runs/a", 1).note(folder)
    assert remedy(folder, "").startswith(
        "it has put nothing into the store: see that its node reaches"
    )


def test_what_would_be_submitted_names_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PretendLauncher, "script", lambda *_: "a script")
    said = stored("s3://bucket/x").script(Path("runs/a"), OPTIONS)
    assert said == "a script; its run folder goes through s3://bucket/x"


def test_a_row_over_several_nodes_of_ray_needs_a_shared_file_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    asked = Cluster(store="s3://bucket/x", gpus_per_node=4)
    launcher = RayLauncher(None, asked)
    nodes = [Node(name, {"CPU": 32.0, "GPU": 4.0}) for name in "ab"]
    monkeypatch.setitem(vars(launcher), "_nodes", nodes)
    assert launcher.obstacles({"wide": 8, "narrow": 4}) == [f"row wide: gpus: 8: {APART}"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_only_ones_own_folders_that_jobs_have_left_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("own", "another"):
        (folder := tmp_path / f"detboard-job-{name}").mkdir(mode=0o700)
        (folder / "lock").touch()
    os.chown(tmp_path / "detboard-job-another", 12345, -1)
    with scratch_folder("run"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["detboard-job-another"]


def test_nothing_of_a_job_that_is_ended_stays_on_its_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt), scratch_folder("run") as path:
        (path / "final.pth").write_bytes(b"weights")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
