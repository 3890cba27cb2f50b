from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.launchers.machine import MachinePool, make_pool
from benchmark.locks import patience_s
from benchmark.run import devices
from benchmark.run.devices import memory_bytes, memory_room, visible_gpus
from benchmark.run.options import Resources


def test_each_run_gets_a_gpu_of_its_own() -> None:
    pool = MachinePool(slots=2, gpus=("0", "1"), cpus=8)
    first, second = pool.acquire(1), pool.acquire(1)
    assert (first, second) == (Resources(("0",), 4), Resources(("1",), 4))
    assert pool.acquire(1) is None
    pool.release(first)
    assert pool.acquire(1) == first


def test_more_slots_than_gpus_share_them_evenly() -> None:
    pool = MachinePool(slots=4, gpus=("0", "1"), cpus=8)
    taken = [pool.acquire(1) for _ in range(4)]
    assert sorted(gpu for resources in taken if resources for gpu in resources.gpus) == list("0011")
    assert pool.acquire(1) is None


def test_a_run_of_several_processes_waits_for_as_many_gpus() -> None:
    pool = MachinePool(slots=3, gpus=("0", "1", "2"), cpus=6)
    one = pool.acquire(1)
    assert pool.acquire(3) is None
    pair = pool.acquire(2)
    assert pair == Resources(("1", "2"), 1, 2)
    pool.release(one)
    pool.release(pair)
    assert pool.acquire(3) == Resources(("0", "1", "2"), 1, 3)


def test_without_gpus_the_threads_are_shared_out() -> None:
    pool = MachinePool(slots=2, cpus=8)
    assert pool.acquire(1) == Resources((), 4)
    assert pool.acquire(2) == Resources((), 2, 2)
    assert pool.acquire(1) is None
    assert MachinePool(slots=4, cpus=2).acquire(1) == Resources((), 1)


@pytest.mark.parametrize(
    ("allowed", "found"),
    [
        (None, ("0", "1", "2")),
        ("", ()),
        ("2,0", ("2", "0")),
        ("1,-1,2", ("1",)),
        ("GPU-1a,GPU-2b", ("GPU-1a", "GPU-2b")),
    ],
)
def test_gpus_that_may_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str | None, found: tuple[str, ...]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0\\n1\\n2\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if allowed is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert visible_gpus() == found
    assert make_pool(None).slots == max(1, len(found))
    assert make_pool(5).slots == 5


def test_no_driver_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert visible_gpus() == ()


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, 60.0), ("", 60.0), ("0.5", 0.5), ("120", 120.0)]
)
def test_patience_can_be_set(
    monkeypatch: pytest.MonkeyPatch, text: str | None, seconds: float
) -> None:
    if text is None:
        monkeypatch.delenv("DETBOARD_PATIENCE_S", raising=False)
    else:
        monkeypatch.setenv("DETBOARD_PATIENCE_S", text)
    assert patience_s() == seconds


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_patience_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DETBOARD_PATIENCE_S", text)
    with pytest.raises(UserError, match=f"DETBOARD_PATIENCE_S={text}: write a number of seconds"):
        patience_s()


@pytest.mark.parametrize(
    ("group", "folder", "limit", "used"),
    [
        ("0::/", "", "memory.max", "memory.current"),  # a container's own namespace
        ("0::/docker/0123", "", "memory.max", "memory.current"),  # of which only the top is seen
        ("0::/jobs/7", "jobs", "memory.max", "memory.current"),
        ("4:cpu,memory:/jobs/7", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ],
)
def test_memory_is_what_the_control_group_is_held_to(
    group: str,
    folder: str,
    limit: str,
    used: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "groups").write_text(f"{group}\n3:cpuset:/\n")
    (held := tmp_path / "limits" / folder).mkdir(parents=True)
    (held / limit).write_text(f"{16 << 20}\n")
    (held / used).write_text(f"{12 << 20}\n")
    (held / "memory.stat").write_text(f"anon 1\ninactive_file {2 << 20}\nactive_file 0\n")
    monkeypatch.setattr(devices, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(devices, "_LIMITS", tmp_path / "limits")
    assert memory_bytes() == 16 << 20
    assert memory_room() == devices.Room(16, 6)
    (held / limit).write_text("max\n")
    assert memory_bytes() > 16 << 20
