from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import postgresql
import pytest

from benchmark import ops
from benchmark.data.synthesize import synthesize

ops.install()  # before any test imports mmdet's models


def pytest_configure() -> None:
    """Gives each worker a CPU of its own: threads that outnumber the CPUs slow torch tenfold."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[int(worker.removeprefix("gw")) % len(cpus)]})


@pytest.fixture(scope="session")
def synthetic_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set; tests share it and must not write into it."""
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    return synthesize(folder, train=24, val=12, size=112)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Each device in turn; CUDA where there is one."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param


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
