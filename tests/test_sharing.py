"""Batches of data loader workers where shared memory is small: in a container it has 64 MiB."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from multiprocessing import queues, reduction
from pathlib import Path

import pytest
import torch
from command import Bench
from torch.multiprocessing.reductions import reduce_storage
from torch.utils.data import DataLoader, Dataset

from benchmark.job import sharing
from benchmark.run.devices import Room


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Room | None], None]]:
    """Sets how much shared memory workers find."""
    monkeypatch.setattr(queues.Queue, "_on_queue_feeder_error", None)
    sharing.survive_little_shared_memory()
    yield lambda room: monkeypatch.setattr(sharing, "shared_memory_room", lambda: room)
    reduction.ForkingPickler.register(torch.UntypedStorage, reduce_storage)


class Images(Dataset[object]):
    """Two batches of two: a large tensor, one without elements, and one that is a part of another."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> object:
        boxes = torch.arange(8, dtype=torch.float32).reshape(2, 4)[1] + index
        return torch.full((3, 64, 64), index, dtype=torch.uint8), torch.zeros(0, 4), boxes


class Unsendable(Images):
    def __getitem__(self, index: int) -> object:
        return lambda: index


def batches(data: Dataset[object]) -> list[list[torch.Tensor]]:
    loader = DataLoader(data, batch_size=2, num_workers=1, collate_fn=list, timeout=60)
    return [sample for batch in loader for sample in batch]


@pytest.mark.parametrize(
    ("room", "shared"),
    [(None, True), (Room(1024, 512), True), (Room(64, 8), False), (Room(0, 0), False)],
)
def test_a_batch_is_the_same_whichever_way_it_comes(
    small: Callable[[Room | None], None], room: Room | None, shared: bool
) -> None:
    small(room)
    for index, (image, empty, boxes) in enumerate(batches(Images())):
        assert image.is_shared() == shared
        assert image.dtype == torch.uint8 and (image == index).all()
        assert empty.shape == (0, 4)
        assert boxes.tolist() == [4 + index, 5 + index, 6 + index, 7 + index]
        boxes += 1  # it may be written to


def test_where_another_worker_was_quicker_the_batch_comes_all_the_same(
    small: Callable[[Room | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_storage: object) -> object:
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    small(Room(1024, 512))
    monkeypatch.setattr(sharing, "reduce_storage", full)
    assert [int(image[0, 0, 0]) for image, *_ in batches(Images())] == [0, 1, 2, 3]


@pytest.mark.usefixtures("small")
def test_a_batch_that_cannot_be_handed_over_is_an_error_of_the_training() -> None:
    with pytest.raises(AttributeError, match=r"which could not hand over a batch[\s\S]*lambda"):
        batches(Unsendable())


def _may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    mounts = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/dev/shm"]
    return subprocess.run(mounts, capture_output=True, check=False).returncode == 0


@pytest.mark.trains
@pytest.mark.slow
def test_a_sweep_trains_with_workers_on_a_small_dev_shm(
    synthetic_data: Path, tmp_path: Path
) -> None:
    if not _may_mount():
        pytest.skip("only root may mount a /dev/shm of its own")
    bench = Bench(synthetic_data, tmp_path / "results")
    more = ["--set", "train_dataloader.num_workers=1", "--set", "train_cfg.max_epochs=1"]
    command = bench.arguments("sweep", "--rows", "plain", "--wandb", "off", *more)
    # Room for the semaphores of the workers, and not for one of the batches.
    mounted = 'mount -t tmpfs -o size=64k none /dev/shm && exec "$@"'
    arguments = ["unshare", "-m", "sh", "-c", mounted, "sh", *command]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert bench.record("plain")["state"] == "complete"
