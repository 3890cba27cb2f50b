"""SIGTERM, which a scheduler sends to all processes of a job: it asks to leave, and costs no data loader's worker."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from benchmark.job.told import ask_to_come_back, leave_on_term, spare_loader_workers
from benchmark.run.folder import RunFolder


def goes_on(loader: DataLoader[int]) -> None:
    """All batches come, though a scheduler has told the whole job to end."""
    seen = []
    for batch in loader:
        seen += batch.tolist()
        if len(seen) == 4:
            workers = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
            assert len(workers) >= 2
            for pid in (*map(int, workers), os.getpid()):
                _tell_from_elsewhere(pid)
    assert seen == list(range(24))


def ends_in_the_middle(loader: DataLoader[int]) -> None:
    """A job that leaves with batches on their way does not wait for its workers."""
    iterator = iter(loader)
    next(iterator)
    raise SystemExit(3)


class _Blocked(Dataset[bool]):
    """Whether the process that reads it has SIGTERM blocked."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> bool:
        return signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def blocked_where_forked(_: DataLoader[int]) -> None:
    """A worker that is spawned does not know of ours, and nothing but SIGTERM would end one that hangs."""
    resource_tracker.ensure_running()  # it would unblock the signal as it starts, before the first one is spawned
    for context, blocked in (("fork", True), ("spawn", False)):
        loader = DataLoader(_Blocked(), num_workers=1, multiprocessing_context=context)
        assert [batch.tolist() for batch in loader] == [[blocked]], context
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def _tell_from_elsewhere(pid: int) -> None:
    other = os.fork()
    if other == 0:
        os.kill(pid, signal.SIGTERM)
        os._exit(0)
    os.waitpid(other, 0)


def _start_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(100,), daemon=True).start()


@pytest.mark.parametrize(
    ("happens", "status"), [(goes_on, 0), (ends_in_the_middle, 3), (blocked_where_forked, 0)]
)
def test_a_job_that_is_told_to_end_keeps_its_workers(
    tmp_path: Path, happens: Callable[[DataLoader[int]], None], status: int
) -> None:
    def job() -> None:
        torch.set_num_threads(1)
        os.register_at_fork(after_in_child=_start_a_thread)  # as reporting libraries do
        leave_on_term(RunFolder(tmp_path))
        spare_loader_workers()
        happens(DataLoader(range(24), batch_size=2, num_workers=2))  # type: ignore[arg-type]

    process = multiprocessing.get_context("fork").Process(target=job)
    began = time.monotonic()
    process.start()
    process.join(60)
    assert process.exitcode == status
    assert time.monotonic() - began < 30
    stop = tmp_path / "stop"
    assert stop.exists() == (happens is goes_on)
    if stop.exists():
        assert json.loads(stop.read_text()) == {"state": "interrupted", "again": True}


def test_what_a_job_is_asked_already_stands(tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    stop.write_text('{"state": "pruned"}')
    ask_to_come_back(stop)
    assert stop.read_text() == '{"state": "pruned"}'
    ask_to_come_back(tmp_path / "gone" / "stop")  # a folder that is away: nothing is raised
