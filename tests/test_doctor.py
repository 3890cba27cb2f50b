"""`detboard doctor --launcher NAME`: a job looks at its node, and driver and job at the folder that they share."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command import here
from far_launcher import FAR

from benchmark.job import looks, node_check
from benchmark.launchers import LAUNCHERS
from benchmark.run import node
from benchmark.run.address import write_address
from benchmark.run.finding import Finding
from benchmark.run.folder import RunFolder
from benchmark.sweep.unbegun import remedy


def lines(shown: str) -> dict[str, str]:
    """What was found, by what was looked at; of what has several lines, all of them."""
    found: dict[str, str] = {}
    for line in shown.splitlines():
        what, _, text = line.partition("  ")
        name = what.strip() or next(reversed(found), "")
        found[name] = f"{found.get(name, '')} {text.strip()}".strip()
    return found


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out what imports torch: the job runs in this process."""
    monkeypatch.setattr(looks, "gpus", lambda: [Finding("GPU", "none")])
    monkeypatch.setattr(node_check._Looks, "_imports", lambda _: [])


def doctor(results: Path) -> tuple[int, dict[str, str]]:
    done = here(["doctor", "--launcher", "inprocess", "--results", str(results)])
    assert not done.stderr, done.stderr
    assert not results.exists(), "something of the check is left"
    return done.returncode, lines(done.stdout)


@pytest.mark.usefixtures("light")
def test_driver_and_job_see_what_the_other_writes(tmp_path: Path) -> None:
    status, found = doctor(tmp_path / "results")
    assert status == 0
    assert found["locks"] == "the driver's is seen on the node"
    assert found["new files"] == "of two that make one, one alone does"
    assert "see each other's new files: an answer took 0." in found["results folder"]
    assert found["renaming"].startswith("atomic: replaced 200 times, read whole ")
    assert found["clocks"].startswith("0.0")
    assert found["user"] == f"{os.getuid()} of group {os.getgid()}, as here"
    assert "all packages as here" in found["packages"]
    assert found["benchmark"].endswith("as here")
    assert found["inprocess"].startswith("this process")


def of_node(monkeypatch: pytest.MonkeyPatch, **other: Any) -> None:
    """Has the job be another process than the driver."""

    def changed(trackers: dict[str, str]) -> node.Process:
        return replace(node.this_process(trackers), **other)

    monkeypatch.setattr(node_check, "this_process", changed)


@pytest.mark.usefixtures("light")
def test_what_differs_on_the_node_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = node.this_process({}).versions
    other: dict[str, str | None] = {**versions, "torch": "2.0.1", "numpy": None}
    of_node(
        monkeypatch,
        versions=other,
        package="/old/benchmark",
        source="0",
        uid=7,
        trackers={"W&B": "online: for the test"},
    )
    ahead = SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + 3600)
    monkeypatch.setattr(node_check, "time", ahead)
    status, found = doctor(tmp_path / "results")
    assert status == 1
    assert found["torch"].startswith(f"2.0.1; the driver has {versions['torch']}")
    assert found["numpy"].startswith("not installed; the driver has")
    assert "to do: the job's Python is" in found["numpy"]
    assert found["benchmark"].startswith("/old/benchmark: its modules are not those of")
    assert found["user"].startswith(f"7 of group {os.getgid()}; the driver is {os.getuid()} of")
    assert "the driver is off" in found["W&B"] and "to do: set its variables" in found["W&B"]
    assert "the node's is 3600 s ahead" in found["clocks"] and "NTP" in found["clocks"]


@pytest.mark.usefixtures("light")
def test_a_file_system_without_locks_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refused)
    status, found = doctor(tmp_path / "results")
    assert status == 0
    assert found["locks"].startswith("the file system has none: No locks available")
    assert "leases" in found["locks"]


@pytest.mark.usefixtures("light")
def test_a_look_that_fails_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> Iterator[Finding]:
        raise ImportError("libcuda.so.1: cannot open shared object file")
        yield

    monkeypatch.setattr(looks, "gpus", failing)
    status, found = doctor(tmp_path / "results")
    assert status == 1
    assert found["GPU"].startswith("ImportError: libcuda.so.1")


@pytest.mark.usefixtures("light")
def test_files_that_are_not_replaced_whole_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_place(path: Path, text: str) -> None:
        path.write_text(text[:4])

    monkeypatch.setattr(node_check, "write_text", in_place)
    status, found = doctor(tmp_path / "results")
    assert status == 1
    assert found["renaming"].startswith("a file that is replaced was cut short in ")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (None, "does not see the run folder"),
        ("slurm_script: line 5: module: command not found\n", "reads no .bashrc"),
        ("slurm_script: 5: module: not found\n", "reads no .bashrc"),
        ("line 4: /venv/bin/python: No such file or directory\n", "has not the environment"),
        ("exec: /venv/bin/python3: not found\n", "has not the environment"),
        ("/v/bin/python: can't open file '/code/detboard_start.py'\n", "has not the environment"),
        ("ModuleNotFoundError: No module named 'yaml'\n", "has not the environment"),
        ("python: /lib/libm.so.6: version `GLIBC_2.38' not found\n", "has not the environment"),
        ("line 3: source: /envs/det/bin/activate: No such file or directory\n", "environment"),
        ("mkdir: cannot create '/scratch/x': Disk quota exceeded\n", "make room"),
        ("line 3: modul: command not found\n", "'cluster: setup'"),
        ("", "'cluster: setup'"),
        ("detboard: job 4 on n1: this node does not see /r/runs/a: it must\n", "--results"),
        ("detboard: job 4 on n1: this node has no /venv/bin/python: it must\n", "environment"),
    ],
)
def test_what_to_do_of_a_job_that_ends_before_it_begins(
    tmp_path: Path, log: str | None, said: str
) -> None:
    folder = RunFolder(tmp_path)
    write_address(folder, "slurm", "7")
    if log is not None:
        folder.log_file.write_text(log)
    assert said in remedy(folder, "")


def test_what_its_launcher_says_counts_like_its_log(tmp_path: Path) -> None:
    said = "its Ray task has ended: ModuleNotFoundError: No module named 'mmdet'"
    write_address(RunFolder(tmp_path), "ray", "7")
    assert "has not the environment" in remedy(RunFolder(tmp_path), said)


def test_a_job_that_its_scheduler_refuses_leaves_no_log(tmp_path: Path) -> None:
    write_address(RunFolder(tmp_path), "slurm", "")
    assert "did not take it" in remedy(RunFolder(tmp_path), "")


def test_an_experiment_is_read_for_its_cluster_alone(tmp_path: Path) -> None:
    done = here(["doctor", str(tmp_path / "any.yaml")])
    assert done.returncode == 2
    assert "add --launcher NAME" in done.stderr


def test_a_ray_cluster_that_nobody_answers_for_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    done = here(["doctor", "--launcher", "ray", "--results", str(tmp_path / "results")])
    assert done.returncode == 1
    assert "nobody answers at 127.0.0.1:1" in done.stdout and "ray start --head" in done.stdout


def test_a_folder_that_takes_no_files_is_said_before_any_job(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    done = here(["doctor", "--launcher", "local", "--results", str(tmp_path / "results")])
    assert done.returncode in (1, 2)
    assert done.stderr.count("error:") == 1 and "cannot be written" in done.stderr


@pytest.mark.slow
def test_a_job_that_does_not_see_the_folder_looks_at_its_node_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run is a process of the local launcher's, on a node that takes the folder from a store."""
    monkeypatch.setitem(LAUNCHERS, "far", FAR)
    (tmp_path / "store").mkdir()
    (tmp_path / "cluster.yaml").write_text(f"store: {tmp_path / 'store'}")
    monkeypatch.setenv("DETBOARD_CLUSTER", str(tmp_path / "cluster.yaml"))
    results = tmp_path / "results"
    done = here(["doctor", "--launcher", "far", "--results", str(results)])
    assert done.returncode == 0, done.stdout + done.stderr
    found = lines(done.stdout)
    assert found["store"] == str(tmp_path / "store")
    assert found["mmcv ops"].startswith("torchvision: carafe, deform_conv")
    assert found["imports"] == "loaded before the job begins"
    assert found["GPU"].startswith("none: runs use")
    assert not {"locks", "new files", "clocks", "results folder", "renaming"} & set(found)
    assert not results.exists()
