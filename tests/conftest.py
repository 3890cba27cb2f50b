from __future__ import annotations

import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import postgresql
import pytest
import slurm_cluster
import typer.main
import typer.testing
from command import TINY
from sites import drive, site
from stores import store

from benchmark import garbage, ops
from benchmark.data.synthesize import synthesize
from benchmark.job.decoded.folder import Folder
from benchmark.leaderboard.outputs import OUTPUTS
from benchmark.run.plan import Request, make_plan

__all__ = ["drive", "site", "store"]  # fixtures

_CLUSTERS = {"slurm", "ray", "cluster", "nodes"}  # fixtures

garbage.collect_seldom()
ops.install()  # before any test imports mmdet's models


def pytest_configure() -> None:
    """Gives each worker a CPU of its own: threads that outnumber the CPUs slow torch tenfold."""
    # Ignored in the background of a script, or under nohup: commands that are started here would ignore them, too.
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[int(worker.removeprefix("gw")) % len(cpus)]})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts long files first, so that no worker is left with one at the end: on clusters, then those that train."""
    training = [item for item in items if item.get_closest_marker("trains")]
    number = Counter(item.path for item in training)
    clustered = {
        item.path
        for item in training
        if not _CLUSTERS.isdisjoint(getattr(item, "fixturenames", ()))
    }
    items.sort(key=lambda item: (item.path not in clustered, -number[item.path]))


def pytest_collection_finish() -> None:
    """Has the garbage collector pass over what has been imported by now."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _commands_are_made_once() -> Iterator[None]:
    """Of all functions and their types Typer makes the commands anew for each call, for 20 ms."""
    make = lru_cache(typer.main.get_command)
    with (
        patch.object(typer.main, "get_command", make),
        patch.object(typer.testing, "_get_command", make),
    ):
        yield


@pytest.fixture(scope="session", autouse=True)
def _quick_trains_nothing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Fails ``make quick`` if a job has trained: the test that the folder is named after lacks the mark ``trains``."""
    yield
    if "not trains" in request.config.getoption("markexpr"):
        logs = tmp_path_factory.getbasetemp().rglob("runs/*/log.txt")
        trained = [log for log in logs if "(train)" in log.read_text(errors="replace")]
        assert not trained, f"pytest.mark.trains is missing: {trained}"


@pytest.fixture(autouse=True, scope="module")
def _variables_as_before() -> Iterator[None]:
    """Variables of the environment that a file changes are as they were for the next one."""
    before = dict(os.environ)
    yield
    for name in {*os.environ, *before} - {"PYTEST_CURRENT_TEST"}:
        if name not in before:
            del os.environ[name]
        elif os.environ.get(name) != before[name]:
            os.environ[name] = before[name]


@contextmanager
def _threads_as_before() -> Iterator[None]:
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch is not None else None
    yield
    if torch is not None:
        torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def _file_leaves_threads() -> Iterator[None]:
    """A job that a file runs in this process sets torch's threads, on which the last digits of sums depend."""
    with _threads_as_before():
        yield


@pytest.fixture(autouse=True)
def _test_leaves_threads() -> Iterator[None]:
    with _threads_as_before():
        yield


@pytest.fixture(scope="session")
def synthetic_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set; tests share it and must not write into it."""
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    return synthesize(folder, train=24, val=12, size=112)


@pytest.fixture
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images find room on disk, however full that of this machine is."""
    monkeypatch.setattr(Folder, "_free", lambda _: (1 << 40, 1 << 30))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Each device in turn; CUDA where there is one."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without plots, which take most of their time: for tests of what else they write."""
    monkeypatch.delitem(OUTPUTS, "plots")


@pytest.fixture(autouse=True)
def _trains_without_plots(request: pytest.FixtureRequest) -> None:
    """Tests that train are about runs: the command that ends one draws no plots, which takes as long as to train it."""
    if request.node.get_closest_marker("trains"):
        request.getfixturevalue("no_plots")


@pytest.fixture(scope="module")
def mmdet_on_one_thread() -> Iterator[None]:
    """mmdet's registries are filled, and torch computes on one thread."""
    import torch
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tiny_config(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The mmdet config of the tiny experiment's row ``plain``, on the synthetic data."""
    from mmengine import ConfigDict

    results = tmp_path_factory.mktemp("tiny") / "results"
    request = Request(TINY, results, data_root=synthetic_data, rows=("plain",))
    return ConfigDict(make_plan(request).runs[0].config)


@pytest.fixture
def model(tiny_config: Any, device: str) -> Any:
    """The tiny experiment's detector, with random weights, on each device."""
    from mmdet.registry import MODELS

    return MODELS.build(tiny_config.model).to(device)


@pytest.fixture
def dataset(tiny_config: Any) -> Any:
    """The tiny experiment's validation images."""
    from mmdet.registry import DATASETS

    return DATASETS.build(tiny_config.val_dataloader.dataset)


@pytest.fixture(scope="session")
def metric_type() -> type:
    """Our metric, as mmdet's registry has it."""
    from mmdet.registry import METRICS

    from benchmark.job.metric import HotCocoMetric

    assert METRICS.get("HotCocoMetric") is HotCocoMetric
    return HotCocoMetric


@pytest.fixture
def clean_wandb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No login, no settings and no service process of the machine that the tests run on."""
    import wandb

    for name in list(os.environ):
        if name.startswith("WANDB_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture(scope="session")
def postgresql_programs() -> Path:
    """The folder of PostgreSQL's programs."""
    found = postgresql.binaries()
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="the extra detboard[postgresql] is not installed")
    return found


@pytest.fixture(scope="session")
def postgresql_url(postgresql_programs: Path) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, in a server of its own."""
    with postgresql.server(postgresql_programs) as running:
        yield running.url


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm_cluster.SlurmCluster]:
    """A Slurm cluster of two nodes, of the test file's own."""
    obstacle = slurm_cluster.obstacle()
    if obstacle:
        pytest.skip(f"no Slurm cluster: {obstacle}")
    with slurm_cluster.slurm_cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running
