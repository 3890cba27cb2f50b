"""Measures the iterations of a training, and ends it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from benchmark.run.folder import RunFolder
from benchmark.run.timed import Block, Timed, word_file, write_timed

_BLOCKS = 5
_LOOK_S = 0.02


class Enough(Exception):
    """All iterations were made that were to be measured."""


class TimingHook(Hook):  # type: ignore[misc]
    """Reads every image once, waits for the word to begin, and measures so many iterations after the first ones.

    A wait for images is the time from the end of an iteration, all other hooks included, to the moment at which the
    next has its batch. A GPU may still be at work then; at the ends of blocks it is waited for.

    Args:
        folder: Of the run.
        iterations: How many are measured.
        warm_up: How many come before.

    Attributes:
        found: What was measured so far.
    """

    priority = "LOWEST"  # what other hooks do after an iteration belongs to it

    def __init__(self, folder: RunFolder, iterations: int, warm_up: int) -> None:
        self.found = Timed(warm_up=warm_up)
        self._folder = folder
        count = min(_BLOCKS, iterations)
        self._ends = [warm_up + iterations * n // count for n in range(count + 1)]
        self._done = 0
        self._images = 0
        self._waited = self._began = self._ended = 0.0

    def before_train(self, runner: Runner) -> None:
        """Meets every image, so that neither the disk nor a cache is met for the first time in what is measured."""
        loader = runner.train_dataloader
        _meet_every_image(loader)
        self.found = replace(self.found, images=len(loader.dataset))
        dist.barrier()
        if dist.is_main_process():
            write_timed(self._folder, replace(self.found, ready=True))
        while not word_file(self._folder).exists():
            time.sleep(_LOOK_S)
        self._began = self._ended = time.perf_counter()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Counts how long its batch was waited for."""
        self._waited += time.perf_counter() - self._ended

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: object = None
    ) -> None:
        """Ends a block where it is time to.

        Raises:
            Enough: It was the last one.
        """
        self._done += 1
        self._images += images_of(data_batch)
        if self._done == 1 or self._done in self._ends:
            self._end()
        self._ended = time.perf_counter()
        if self._done == self._ends[-1]:
            raise Enough

    def _end(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        seconds = now - self._began
        if self._done == 1:
            self.found = replace(self.found, first_s=round(seconds, 3))
        if self._done in self._ends[1:]:
            self._add(seconds)
        if self._done in self._ends:
            self._began, self._images, self._waited = now, 0, 0.0

    def _add(self, seconds: float) -> None:
        place = self._ends.index(self._done)
        count = self._done - self._ends[place - 1]
        images = self._images * dist.get_world_size()
        block = Block(count, images, round(seconds, 6), round(self._waited, 6))
        self.found = replace(self.found, blocks=(*self.found.blocks, block))


def _meet_every_image(loader: DataLoader[Any]) -> None:
    """Has every image go through the pipeline once, by as many workers, in order.

    Not by the loader itself: mmengine's ``InfiniteSampler`` gives nothing more once a pass was left.
    """
    once: DataLoader[Any] = DataLoader(
        loader.dataset,
        num_workers=loader.num_workers,
        collate_fn=_nothing,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
    )
    for _ in once:
        pass


def _nothing(_images: object) -> None:
    """What workers hand over of images that nobody looks at."""


def images_of(batch: object) -> int:
    """How many images a batch has, in all branches of a semi-supervised training."""
    given = batch["inputs"] if isinstance(batch, Mapping) else batch
    parts = given.values() if isinstance(given, Mapping) else [given]
    return sum(len(part) for part in parts if isinstance(part, Sequence | torch.Tensor))
