"""A training that goes on in the middle of an epoch: what was trained of it is passed over, and nothing of it loaded.

mmengine would begin the epoch anew, and so train longer than asked. Its loop over iterations passes over what was
trained, but loads all of it where the batches are not those of the plainest kind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import cast

from mmdet.datasets.samplers import (
    AspectRatioBatchSampler,
    ClassAwareSampler,
    MultiDataAspectRatioBatchSampler,
    MultiDataSampler,
    TrackAspectRatioBatchSampler,
    TrackImgSampler,
)
from mmengine import dist
from mmengine.dataset import DefaultSampler
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

# Their order is that of their seed and of the number of the epoch, and of nothing else: it can be gone through again.
_REPEATABLE = (DefaultSampler, ClassAwareSampler, MultiDataSampler, TrackImgSampler)
_IN_BATCHES = (
    BatchSampler,
    AspectRatioBatchSampler,
    MultiDataAspectRatioBatchSampler,
    TrackAspectRatioBatchSampler,
)


def begins_anew(runner: Runner) -> str:
    """Why a training cannot go on in the middle of an epoch, but only at its beginning; empty if it can."""
    loop, loader = runner.train_loop, runner.train_dataloader
    if type(loop) is IterBasedTrainLoop:
        return ""
    if type(loop) is not EpochBasedTrainLoop:
        return f"nobody knows what {type(loop).__name__} counts"
    batches = _whole(loader)
    for sampler, known in ((batches, _IN_BATCHES), (batches.sampler, _REPEATABLE)):
        if type(sampler) not in known:
            return f"nobody knows which images {type(sampler).__name__} would give again"
    return ""


def trained_of_epoch(runner: Runner) -> int:
    """How many batches of the present epoch are trained; of a loop that counts iterations 0."""
    loop = runner.train_loop
    return loop.iter - loop.epoch * len(loop.dataloader) if counts_epochs(runner) else 0


def counts_epochs(runner: Runner) -> bool:
    """Whether the training is a number of epochs, rather than of iterations."""
    return hasattr(runner.train_loop, "run_epoch")


def epoch_after(runner: Runner, iterations: int) -> float:
    """Passes over the training data after ``iterations``; iteration-based loops have no epoch of their own."""
    loader = runner.train_dataloader
    if counts_epochs(runner):
        return round(iterations / len(loader), 4)
    batch = loader.batch_size or loader.batch_sampler.batch_size
    images = iterations * int(batch) * int(dist.get_world_size())
    return round(images / len(loader.dataset), 4)


def pass_over_trained(runner: Runner, begin: Callable[[], None]) -> None:
    """Has a training that was resumed begin with the first batch that is not trained yet.

    Args:
        runner: It has loaded what it goes on from, and its loop has not begun.
        begin: Called when all that was trained is passed over, and the first batch is about to be loaded.
    """
    loop = runner.train_loop
    if type(loop) is EpochBasedTrainLoop and not begins_anew(runner):
        _pass_over_batches(loop, trained_of_epoch(runner), begin)
    elif type(loop) is IterBasedTrainLoop and not isinstance(
        loop.dataloader.dataset, IterableDataset
    ):
        _pass_over_iterations(loop, begin)


def _pass_over_batches(loop: EpochBasedTrainLoop, trained: int, begin: Callable[[], None]) -> None:
    """Begins the epoch that the loop is in at another batch, which has the number that it has in the whole epoch."""
    if not 0 < trained <= len(loop.dataloader):
        return
    whole, run_iter, epoch = loop.dataloader.batch_sampler, loop.run_iter, loop.epoch

    def remaining() -> Iterator[list[int]]:  # begun when the sampler knows the epoch
        batches = iter(whole)
        deque(islice(batches, trained), maxlen=0)
        begin()
        yield from batches

    def run_numbered(idx: int, data_batch: object) -> None:
        run_iter(idx + trained if loop.epoch == epoch else idx, data_batch)

    _begin_with(loop.dataloader, remaining())
    loop.run_iter = run_numbered


def _pass_over_iterations(loop: IterBasedTrainLoop, begin: Callable[[], None]) -> None:
    """Has the loop pass over what was trained, as mmengine does, but by the numbers of the images alone."""
    loader, endless = loop.dataloader, loop.dataloader_iterator
    whole = loader.batch_sampler
    own = loader.sampler if hasattr(loader.sampler, "set_epoch") else whole.sampler

    def skip(iterations: int) -> None:
        batches = iter(whole)
        for _ in range(iterations):
            if next(batches, None) is None:  # the end of the data: mmengine begins it anew
                endless._epoch += 1
                if hasattr(own, "set_epoch"):
                    own.set_epoch(endless._epoch)
                batches = iter(whole)
                next(batches)
        _begin_with(loader, _after(begin, batches))

    endless.skip_iter = skip


def _after(begin: Callable[[], None], batches: Iterator[list[int]]) -> Iterator[list[int]]:
    begin()
    yield from batches


def _whole(loader: DataLoader[object]) -> BatchSampler:
    """What gives a loader all of its batches."""
    found = cast("BatchSampler", loader.batch_sampler)
    return found.whole if isinstance(found, _Rest) else found


def _begin_with(loader: DataLoader[object], first: Iterator[list[int]]) -> None:
    """Has the next pass over a loader give other batches; torch does not let its sampler be replaced otherwise."""
    object.__setattr__(loader, "batch_sampler", _Rest(_whole(loader), first))


class _Rest(BatchSampler):
    """The batches of another sampler; the first pass over them begins where it is told, and later ones are whole.

    Args:
        whole: The other sampler.
        first: What the first pass gives.
    """

    def __init__(self, whole: BatchSampler, first: Iterator[list[int]]) -> None:
        self.whole = whole
        self._first: Iterator[list[int]] | None = first

    def __iter__(self) -> Iterator[list[int]]:
        # Not before the first batch is asked for: torch makes two iterators for its workers, and drops one.
        first, self._first = self._first, None
        yield from self.whole if first is None else first

    def __len__(self) -> int:
        return len(self.whole)

    def __getattr__(self, name: str) -> object:
        return getattr(self.whole, name)
