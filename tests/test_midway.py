"""A training goes on in the middle of an epoch, and loads nothing that it has trained before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mmdet.datasets.samplers import (
    AspectRatioBatchSampler,
    ClassAwareSampler,
    MultiDataSampler,
)
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, loops
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from benchmark.job import midway
from benchmark.run import checkpoints

IMAGES = 23


class Images(Dataset[int]):
    """Numbers that know which of them were loaded, of two kinds of shape and of three classes."""

    def __init__(self) -> None:
        self.metainfo = {"classes": ("a", "b", "c")}
        self.loaded: list[int] = []
        self.datasets = [range(10), range(13)]

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, number: int) -> int:
        self.loaded.append(number)
        return number

    def get_data_info(self, number: int) -> dict[str, int]:
        return {"width": 5, "height": 9 if number % 3 else 4}

    def get_cat_ids(self, number: int) -> list[int]:
        return [number % 3]


Sampled = Callable[[Images], Any]
SAMPLERS: dict[str, Sampled] = {
    "default": lambda images: DefaultSampler(images, seed=3),
    "classes": lambda images: ClassAwareSampler(images, seed=3),
    "several": lambda images: MultiDataSampler(images, dataset_ratio=[1, 3], seed=3),
    "endless": lambda images: InfiniteSampler(images, seed=3),
}


def loader_of(sampler: str, batches: type[BatchSampler], workers: int = 0) -> Any:
    images = Images()
    drawn = batches(SAMPLERS[sampler](images), 4, False)
    return DataLoader(images, batch_sampler=drawn, num_workers=workers, collate_fn=list)


@pytest.mark.parametrize("batches", [BatchSampler, AspectRatioBatchSampler])
@pytest.mark.parametrize("sampler", ["default", "classes", "several"])
def test_an_epoch_goes_on_with_its_next_batch(sampler: str, batches: type[BatchSampler]) -> None:
    for trained in range(7):
        loader = loader_of(sampler, batches)
        runner, seen = _epochs(loader)
        loop = runner.train_loop
        whole = _numbered(loop, seen, epochs=(1, 2))
        loader.dataset.loaded.clear()
        loop._epoch, loop._iter = 1, 6 + trained
        begun: list[None] = []
        midway.pass_over_trained(runner, partial(begun.append, None))
        assert _numbered(loop, seen, epochs=(1, 2)) == whole[trained:]
        assert len(begun) == min(trained, 1)
        assert loader.dataset.loaded == [number for _, batch in whole[trained:] for number in batch]


def _epochs(loader: Any) -> tuple[Any, list[Any]]:
    """A runner whose loop notes its batches."""
    seen: list[Any] = []
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    loop._dataloader, loop.dataloader, loop._epoch, loop._iter = loader, loader, 0, 0
    loop.run_iter = lambda idx, batch: seen.append((idx, batch))
    return SimpleNamespace(train_loop=loop, train_dataloader=loader), seen


def _numbered(loop: Any, seen: list[Any], epochs: tuple[int, ...]) -> list[Any]:
    """The batches of some epochs, with their numbers, as mmengine's loop goes through them."""
    seen.clear()
    for epoch in epochs:
        loop._epoch = epoch
        loop.dataloader.batch_sampler.sampler.set_epoch(epoch)
        for idx, batch in enumerate(loop.dataloader):
            loop.run_iter(idx, batch)
    return [*seen]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("sampler", "batches"),
    [("default", BatchSampler), ("endless", BatchSampler), ("endless", AspectRatioBatchSampler)],
)
def test_iterations_go_on_over_passes_over_the_data(
    sampler: str, batches: type[BatchSampler], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops.time, "sleep", lambda _: None)
    endless = loops._InfiniteDataloaderIterator(loader_of(sampler, batches))
    whole = [next(endless) for _ in range(20)]
    for trained in (1, 5, 6, 7, 12, 14) if not workers else (7,):
        loader = loader_of(sampler, batches, workers)
        loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
        loop.dataloader, loop._iter, loop._epoch = loader, trained, 0
        loop.dataloader_iterator = loops._InfiniteDataloaderIterator(loader)
        loop.fast_forward_on_resume = False
        runner = SimpleNamespace(train_loop=loop, train_dataloader=loader)
        midway.pass_over_trained(runner, lambda: None)
        loop.dataloader_iterator.skip_iter(trained)
        assert loader.dataset.loaded == []
        assert [next(loop.dataloader_iterator) for _ in range(20 - trained)] == whole[trained:]
        loop.dataloader_iterator._iterator = None  # ends its workers now, and not in a collection


class Own(DefaultSampler):
    """Nobody knows what it gives."""


class OwnLoop(EpochBasedTrainLoop):
    """Nobody knows what it counts."""


@pytest.mark.parametrize(
    ("sampler", "kind", "why"),
    [
        (DefaultSampler, EpochBasedTrainLoop, ""),
        (Own, EpochBasedTrainLoop, "nobody knows which images Own would give again"),
        (RandomSampler, EpochBasedTrainLoop, "nobody knows which images RandomSampler would give"),
        (DefaultSampler, OwnLoop, "nobody knows what OwnLoop counts"),
        (Own, IterBasedTrainLoop, ""),
    ],
)
def test_what_is_not_known_begins_its_epoch_anew(sampler: Any, kind: Any, why: str) -> None:
    loader = DataLoader(Images(), sampler=sampler(Images()), batch_size=4)
    runner = SimpleNamespace(train_loop=kind.__new__(kind), train_dataloader=loader)
    found = midway.begins_anew(runner)
    assert found.startswith(why)
    assert bool(found) == bool(why)


def test_checkpoints_that_were_left_stand_where_they_belong(tmp_path: Path) -> None:
    def files(*names: str) -> list[str]:
        for path in tmp_path.iterdir():
            path.unlink()
        for name in names:
            (tmp_path / name).touch()
        return [path.name for path in checkpoints.saved(tmp_path)]

    by_epoch = files(
        "epoch_2.pth", checkpoints.left(2, 15), "epoch_10.pth", checkpoints.left(9, 60)
    )
    assert by_epoch == [
        "epoch_10.pth",
        "left_epoch_9_iter_60.pth",
        "left_epoch_2_iter_15.pth",
        "epoch_2.pth",
    ]
    by_iteration = files(
        "iter_20.pth", checkpoints.left(0, 9), checkpoints.left(0, 30), "iter_10.pth"
    )
    assert by_iteration == [
        "left_epoch_0_iter_30.pth",
        "iter_20.pth",
        "iter_10.pth",
        "left_epoch_0_iter_9.pth",
    ]
    checkpoints.remove_old_left(tmp_path)
    assert len(files(*[path.name for path in tmp_path.iterdir()])) == 3
    files("selected_epoch_3.pth", "best_coco_bbox_mAP_epoch_2.pth", "left.pth", "epoch_x.pth")
    assert checkpoints.saved(tmp_path) == []
