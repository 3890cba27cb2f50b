"""Jobs on a real Ray cluster of two nodes: as locally, and on when a node, a worker or the driver is gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

import pytest
import ray_cluster
from command import Bench, alive, kill_group, wait_until
from ray_cluster import RayCluster

from benchmark.errors import UserError
from benchmark.experiment.cluster import Cluster
from benchmark.launchers import make_launcher
from benchmark.launchers.ray_cluster import reaching, session
from benchmark.launchers.ray_cluster.capacity import Ask, Node, ask_of, bytes_of, obstacle
from benchmark.run.address import JobAddress


def test_an_address_where_nobody_answers_is_one_message_at_once(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself tries for two minutes, and then ends the process."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    began = time.monotonic()
    done = Bench(synthetic_data, tmp_path / "results").here("sweep", "--launcher", "ray")
    assert done.returncode == 2
    assert (
        "--launcher ray: nobody answers at 127.0.0.1:1 (cluster.address, or RAY_ADDRESS)"
        in done.stderr
    )
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - began < 30
    assert not list((tmp_path / "results").glob("runs/plain*"))


def test_a_port_of_something_else_is_no_cluster() -> None:
    """As a dashboard's, or a database's: Ray itself tries for minutes, and prints its own lines."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{other.server_port}"
        for address in (host, f"ray://{host}", f"http://{host}", "127.0.0.1:99999"):
            with pytest.raises(UserError, match=r"nobody answers at .* as a Ray head does"):
                reaching.check_answers(address)
        other.shutdown()


class Head(Thread):
    """Takes connections and says what each is to hear first, after a while; whatever it is asked it never answers.

    Args:
        first: What that is: a frame of HTTP/2, as of a head that has died behind something that speaks for it.
        after_s: Seconds before it does.
    """

    def __init__(self, first: bytes, after_s: float = 0.0) -> None:
        super().__init__(daemon=True)
        self._first = first
        self._after_s = after_s
        self._taken: list[socket.socket] = []
        self._listener = socket.create_server(("0.0.0.0", 0))
        self.port = self._listener.getsockname()[1]

    def run(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                taken, _ = self._listener.accept()
                self._taken.append(taken)
                Timer(self._after_s, lambda to=taken: to.sendall(self._first)).start()

    def close(self) -> None:
        for each in (self._listener, *self._taken):
            each.close()


SETTINGS = b"\0\0\0\4\0\0\0\0\0"


@pytest.fixture
def head() -> Iterator[Callable[..., Head]]:
    with ExitStack() as stack:

        def made(first: bytes, after_s: float = 0.0) -> Head:
            one = Head(first, after_s)
            stack.callback(one.close)
            one.start()
            return one

        yield made


@pytest.mark.slow
def test_a_head_that_is_dead_is_one_message_and_not_a_quarter_of_an_hour(
    head: Callable[..., Head], synthetic_data: Path, tmp_path: Path
) -> None:
    """Of Ray's own tries, 20 of 32 s each, there is one; here it is of 8 s."""
    if lacking := ray_cluster.obstacle():
        pytest.skip(lacking)
    address = f"127.1.2.3:{head(SETTINGS).port}"
    variables = {"RAY_ADDRESS": address, "RAY_py_gcs_connect_timeout_s": "8"}
    bench = Bench(synthetic_data, tmp_path / "results")
    asked = bench.run("sweep", "--launcher", "ray", **variables)
    assert asked.returncode == 2
    assert (
        f"waiting for the Ray cluster at {address}, which has not answered for 5 s" in asked.stderr
    )
    assert f"error: --launcher ray: the cluster at {address} cannot be joined: " in asked.stderr
    assert "ray start --head" in asked.stderr
    assert "Traceback" not in asked.stderr


def test_a_client_server_that_takes_calls_and_answers_none_is_given_up(
    head: Callable[..., Head], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(reaching, "PATIENCE_S", 0.5)
    with pytest.raises(
        UserError, match=r"cannot be joined: .* \(Deadline Exceeded\): see how it is"
    ):
        reaching.check_client(f"ray://127.0.0.1:{head(SETTINGS).port}")


def test_a_head_that_is_slow_is_waited_for_with_a_word(
    head: Callable[..., Head], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reaching, "_SLOW_S", 0.1)
    slow, silent = f"127.0.0.1:{head(SETTINGS, 0.5).port}", f"127.0.0.1:{head(b'').port}"
    reaching.check_answers(slow)
    assert f"waiting for the Ray cluster at {slow}, which has not" in capsys.readouterr().err
    monkeypatch.setattr(reaching, "PATIENCE_S", 0.5)
    with pytest.raises(UserError, match="nobody answers"):
        reaching.check_answers(silent)


def test_auto_of_a_cluster_that_is_gone_is_one_message_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray notes the last cluster of a machine, and asks a dead one for a quarter of an hour."""
    ray = pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray._private.services, "find_gcs_addresses", set)
    monkeypatch.setattr(ray._private.services, "find_bootstrap_address", lambda _: "127.1.2.3:1")
    with pytest.raises(
        UserError, match=r"nobody answers at 127.1.2.3:1 \(where Ray looks for auto"
    ):
        session.join("auto")
    monkeypatch.setattr(ray._private.services, "find_bootstrap_address", lambda _: None)
    with pytest.raises(UserError, match="there is no Ray cluster at auto: "):
        session.join("auto")


def test_a_loopback_address_is_asked_where_ray_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray takes it for this machine's own: a port that is forwarded to a cluster elsewhere does not listen there."""
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray._private.services, "get_node_ip_address", lambda: "127.1.2.3")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        Thread(target=lambda: listener.accept()[0].sendall(SETTINGS), daemon=True).start()
        words = rf"nobody answers at 127.1.2.3:{port} \(where Ray looks for 127.0.0.1:{port}"
        with pytest.raises(UserError, match=words):
            session.join(f"127.0.0.1:{port}")


def test_a_cluster_that_does_not_answer_is_asked_once_for_all_run_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    asked: list[str] = []

    def nobody(address: str) -> bool:
        asked.append(address)
        return False

    monkeypatch.setattr(reaching, "answers", nobody)
    launcher = make_launcher("ray", None, Cluster(address="127.1.2.3:1"))
    for number in range(3):
        where = JobAddress("ray", f"127.1.2.3:1 keeper-1 {number}", "here")
        assert launcher.attach(tmp_path / str(number), where) is None
    assert asked == ["127.1.2.3:1"]


def test_without_ray_it_is_said_what_to_install(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    bench = Bench(synthetic_data, tmp_path / "results")
    done = bench.here("sweep", "--launcher", "ray")
    assert done.returncode == 2
    assert "pip install 'detboard[ray]'" in done.stderr
    assert not list((tmp_path / "results").glob("runs/plain*"))


NODES = [
    Node("cpu", {"CPU": 16.0, "memory": 2.0**35}),
    Node("gpu", {"CPU": 32.0, "GPU": 4.0, "memory": 2.0**37, "accelerator_type:A100": 1.0}),
]


@pytest.mark.parametrize(
    ("asked", "processes", "slots", "ask"),
    [
        ({}, 1, None, Ask(4, 1)),
        ({}, 4, None, Ask(16, 4)),
        ({"cpus": 8, "gpus": "a100", "memory": "32G"}, 2, None, Ask(16, 2, "A100", 32 << 30)),
        ({"gpus": "none"}, 2, None, Ask(8, 0)),
        ({}, 1, 24, Ask(2, 1)),  # 24 runs share 48 CPUs
        ({"cpus": 6}, 1, 24, Ask(6, 1)),
    ],
)
def test_a_row_asks_for_what_its_processes_need(
    asked: dict[str, Any], processes: int, slots: int | None, ask: Ask
) -> None:
    assert ask_of(Cluster(**asked), processes, NODES, slots) == ask


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (Ask(4, 4), ""),
        (
            Ask(4, 5),
            "asks for 5 GPUs, 4 CPUs on one node; the largest node of C has 4 GPUs, 32 CPUs",
        ),
        (Ask(40, 1), "asks for 1 GPU, 40 CPUs on one node"),
        (Ask(4, 1, "h100"), "cluster.gpus: h100: C has no such GPUs; there are A100"),
        (Ask(4, 0, "", 1 << 40), "asks for 4 CPUs, 1024 GiB of memory on one node"),
    ],
)
def test_what_no_node_has_is_said_before_anything_starts(ask: Ask, words: str) -> None:
    found = obstacle("plain", ask, NODES, "C")
    assert words in found
    assert bool(found) == bool(words)


def test_memory_is_written_as_for_sbatch() -> None:
    sizes = {"32G": 32 << 30, "4000": 4000 << 20, "1t": 1 << 40, "64GB": 64 << 30, "much": 0}
    assert {text: bytes_of(text) for text in sizes} == sizes
    wrong = make_launcher("ray", cluster=Cluster(memory="much"))
    assert wrong.obstacles({"plain": 1}) == [
        "cluster.memory: much: write a number with K, M, G or T: 32G"
    ]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    if lacking := ray_cluster.obstacle():
        pytest.skip(lacking)
    with ray_cluster.ray_cluster() as made:
        yield made


class Forks(Thread):
    """Notes which process has forked each run's, while that lives: a worker's come from one server."""

    def __init__(self, runs: Path) -> None:
        super().__init__(daemon=True)
        self.runs = runs
        self.servers: dict[int, int] = {}
        self.over = Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            for holder in self.runs.glob("plain-*/job.lock.holder"):
                with suppress(OSError, ValueError):
                    pid = int(json.loads(holder.read_text())["pid"])
                    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    self.servers.setdefault(pid, int(stat[1]))  # it may be an orphan later

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to all runs that live."""
        for pid in self.servers:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def left(self) -> list[int]:
        """Processes of runs, and those that have forked them, that live."""
        return [pid for pid in {*self.servers, *self.servers.values()} if alive(pid)]


def points(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [point for line in lines if (point := json.loads(line))["kind"] == kind]


def validated(runs: Path) -> int:
    """How many runs have come to a validation."""
    return sum('"val"' in path.read_text() for path in runs.glob("plain-*/metrics.jsonl"))


EPOCHS = ("--rows", "plain", "--set", "train_cfg.max_epochs=12")


@dataclass
class Story:
    """What became of three runs, one of them queued, whose driver was killed, and after the next one came a node.

    Attributes:
        planned: What `detboard plan` has said while there was no driver.
        output: What the second driver has said.
        status: Its exit status.
        folders: The runs' folders.
        forks: The runs' processes.
    """

    planned: str
    output: str
    status: int
    folders: list[Path]
    forks: Forks

    def points(self, kind: str) -> list[list[dict[str, Any]]]:
        """Points of the journals, of each run."""
        return [points(folder, kind) for folder in self.folders]


@pytest.fixture(scope="module")
def story(
    cluster: RayCluster, synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    bench = Bench(synthetic_data, tmp_path_factory.mktemp("ray") / "results")
    runs = bench.results / "runs"
    seeds = (*EPOCHS, "--seeds", "0,1,2", "--launcher", "ray")
    sweep = ("sweep", *seeds, "--wandb", "off", "--slots", "3")
    forks = Forks(runs)
    forks.start()
    driver = bench.start(*sweep, **cluster.environment)
    wait_until(lambda: validated(runs) == 2, "a run on each node")
    forks.send(signal.SIGSTOP)  # until there is another driver, however long that takes here
    kill_group(driver)
    planned = bench.run("plan", *seeds, **cluster.environment).stdout
    again = bench.start(*sweep, **cluster.environment)
    for _ in range(3):
        wait_until(lambda: "Ray task" in again.stdout.readline(), "the runs to be found")
    forks.send(signal.SIGCONT)
    cluster.kill_node()
    output, _ = again.communicate(timeout=300)
    forks.over.set()
    return Story(planned, output, again.returncode, sorted(runs.glob("plain-*")), forks)


@pytest.mark.slow
@pytest.mark.trains
class TestRunsSurvive:
    """Their driver, and their node."""

    def test_while_there_is_no_driver_plan_shows_where_they_are(self, story: Story) -> None:
        assert story.planned.count("running, Ray task on ") == 2, story.planned
        assert story.planned.count("queued, Ray task: waits for ") == 1, story.planned

    def test_the_next_driver_finds_them_and_all_are_finished(self, story: Story) -> None:
        assert story.status == 0, story.output
        assert "done: 3 complete" in story.output
        # What Ray prints by itself of a node's death would come in the middle of a table.
        assert "Raylet" not in story.output and "node id" not in story.output

    def test_only_the_run_of_the_dead_node_was_begun_again_and_no_iteration_twice(
        self, story: Story
    ) -> None:
        assert sorted(len(begun) for begun in story.points("start")) == [1, 1, 2]
        assert max(begun[-1]["iter"] for begun in story.points("start")) > 0
        for trained in story.points("train"):
            steps = [point["iter"] for point in trained]
            assert steps == sorted(set(steps))

    def test_a_worker_imports_once_for_all_of_its_runs(self, story: Story) -> None:
        processes, servers = story.forks.servers, set(story.forks.servers.values())
        assert (len(processes), len(servers)) == (4, 2)

    def test_the_records_are_those_of_the_local_launcher(
        self, story: Story, synthetic_data: Path, tmp_path: Path
    ) -> None:
        local = Bench(synthetic_data, tmp_path)
        done = local.here("sweep", *EPOCHS, "--wandb", "off")
        assert done.returncode == 0, done.stderr
        here = local.record("plain")
        (folder,) = [path for path in story.folders if path.name == here["run_id"]]
        there = json.loads((folder / "record.json").read_text())
        assert there["metrics"] == here["metrics"]

    def test_in_the_end_no_process_is_left(self, story: Story) -> None:
        wait_until(lambda: not story.forks.left(), "the workers' end", 60)
