"""The small pieces of a job: its journal, its checkpoints, the cause of a failure."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch

from benchmark import checkpoints, locks
from benchmark.job import _kind
from benchmark.journal import Journal, Tail
from benchmark.training import Diverged


def _raised_in_data() -> Exception:
    from mmcv.transforms import LoadImageFromFile

    try:
        LoadImageFromFile()({"img_path": "/no/such/image.jpg"})
    except Exception as error:
        return error
    raise AssertionError("a missing image was loaded")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9e9 bytes"), "oom"),
        (MemoryError(), "oom"),
        (Diverged("loss is nan at iteration 3"), "diverged"),
        (RuntimeError("Caught FileNotFoundError in DataLoader worker process 0."), "data"),
        (_raised_in_data(), "data"),
        (ValueError("shapes do not match"), "error"),
    ],
)
def test_kind_of_a_failure(error: Exception, kind: str) -> None:
    assert _kind(error).value == kind


def test_journal_drops_what_is_trained_again_and_carries_its_clock(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [
        {"kind": "start", "iter": 0, "max_iters": 9, "time": "2026-01-01", "elapsed_s": 0.0},
        {"kind": "train", "iter": 3, "elapsed_s": 5.0},
        {"kind": "val", "iter": 3, "mAP50": 0.5, "elapsed_s": 7.0},
        {"kind": "train", "iter": 5, "elapsed_s": 9.0},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "tra')
    journal = Journal(path)
    journal.start(3, 9)
    points = [json.loads(line) for line in path.read_text().splitlines()]
    assert [point["iter"] for point in points] == [0, 3, 3, 3]
    assert journal.elapsed_s >= 7.0
    assert journal.started_at() == "2026-01-01"
    validation = journal.last_validation()
    assert validation is not None
    assert validation["mAP50"] == 0.5


def test_journal_writes_json_that_others_can_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    heard: list[object] = []
    journal.listen(heard.append)
    journal.write({"kind": "val", "iter": 1, "mAP_l": float("nan"), "deep": {"x": float("inf")}})
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    point = json.loads(line, parse_constant=pytest.fail)
    assert point["mAP_l"] is None
    assert point["deep"] == {"x": None}
    assert heard == [point]


def test_tail_gives_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = Tail(path)
    assert tail.new_points() == []
    path.write_text('{"iter": 1}\n{"iter"')
    assert tail.new_points() == [{"iter": 1}]
    with path.open("a") as file:
        file.write(": 2}\n")
    assert tail.new_points() == [{"iter": 2}]
    path.write_text('{"iter": 1}\n')  # a resume has dropped the second
    assert tail.new_points() == [{"iter": 1}]


def test_newest_checkpoint_that_is_whole(tmp_path: Path) -> None:
    for number in (8, 9, 10, 11):
        torch.save({"state_dict": torch.arange(1000)}, tmp_path / f"epoch_{number}.pth")
    torch.save({}, tmp_path / "final.pth")
    (tmp_path / "epoch_11.pth").write_bytes((tmp_path / "epoch_11.pth").read_bytes()[:-300])
    damaged = bytearray((tmp_path / "epoch_10.pth").read_bytes())
    with zipfile.ZipFile(tmp_path / "epoch_10.pth") as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    damaged[largest.header_offset + 2000] ^= 0xFF
    (tmp_path / "epoch_10.pth").write_bytes(damaged)
    assert checkpoints.newest_good(tmp_path) == tmp_path / "epoch_9.pth"
    checkpoints.remove_all_but_final(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["final.pth"]


def test_lock_names_its_holder(tmp_path: Path) -> None:
    import os

    path = tmp_path / "a.lock"
    assert not locks.is_held(path)
    held = locks.acquire(path)
    with pytest.raises(locks.Held, match=f"process {os.getpid()} on "):
        locks.acquire(path)
    assert locks.is_held(path)
    held.release()
    assert not locks.is_held(path)
