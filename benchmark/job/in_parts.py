"""Batches that find no memory go through the model in parts, with one step of the optimizer a batch.

mmengine's own accumulation counts iterations: with twice as many of half the size every interval, schedule, warm-up and
average would mean another number of images, and so would a checkpoint. Here an iteration stays an iteration: the loader
gives the whole batch, which is padded and augmented as a whole, and its parts go forward and backward one after the
other. A training may leave and go on between any two iterations as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
from mmdet.models.losses import GHMC, GHMR
from mmdet.models.roi_heads import DynamicRoIHead
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import _BatchNorm

from benchmark.job.failures import is_out_of_memory
from benchmark.run.accumulation import Accumulation, read_accumulation, write_accumulation
from benchmark.run.memory import Lack

Logs = dict[str, torch.Tensor]
_Step = Callable[[object, OptimWrapper], Logs]
_PARTS = {"inputs", "data_samples"}


class InPartsHook(Hook):  # type: ignore[misc]
    """Trains in parts where the run's folder says so, and sees at which batch a training runs out of memory.

    Args:
        path: ``accumulation.json`` of the run.
    """

    priority = "LOWEST"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._accumulation = read_accumulation(path)
        self._whole = ""
        self._lacks: tuple[int, str] | None = None
        self._take: _Step

    def before_train(self, runner: Runner) -> None:
        """Puts itself in the place of the model's step.

        Raises:
            RuntimeError: Batches are to go through a model in parts that does not take them.
        """
        self._whole = why_whole(runner)
        self._take = runner.model.train_step
        if self._accumulation is not None:
            if self._whole:
                raise RuntimeError(f"batches cannot go through the model in parts: {self._whole}")
            self._take = _steps(runner.model, self._accumulation.images)
            begun = self._accumulation.begin(runner.iter, _has_batch_norm(runner.model))
            write_accumulation(self._path, begun)
            print(begun.words(), flush=True)
        runner.model.train_step = self._step

    def lack(self, message: str) -> Lack:
        """What is to be known of a training that has run out of memory."""
        if self._lacks is None:
            return Lack(message, whole="it was at no training step")
        batch, why = self._lacks
        at_once = min(batch, self._accumulation.images) if self._accumulation else batch
        return Lack(message, batch, at_once, self._whole or why)

    def _step(self, data: object, optim_wrapper: OptimWrapper) -> Logs:
        try:
            return self._take(data, optim_wrapper)
        except Exception as error:
            if is_out_of_memory(error):
                self._lacks = _images_of(data)
            raise


def _images_of(data: object) -> tuple[int, str]:
    """How many images a batch from the loader has, and why it cannot be divided; an empty text if it can."""
    if isinstance(data, Mapping) and data.keys() == _PARTS:
        inputs, samples = data["inputs"], data["data_samples"]
        if isinstance(inputs, list | torch.Tensor) and len(inputs) == len(samples):
            return len(inputs), ""
    return 0, "its batches are no plain lists of images"


def why_whole(runner: Runner) -> str:
    """Why a training's batches cannot go through its model in parts, in words; empty if they can."""
    model, wrapper = runner.model, runner.optim_wrapper
    if runner.distributed:
        return "several processes train together"
    if type(model).train_step is not BaseModel.train_step:
        return f"{type(model).__name__} takes steps of its own"
    if "train_step" in vars(model):
        return "its step is compiled as a whole"
    if getattr(type(wrapper), "update_params", None) is not OptimWrapper.update_params:
        return f"{type(wrapper).__name__} updates in a way of its own"
    counting = (type(one).__name__ for one in model.modules() if _counts_batches(one))
    name = next(counting, "")
    return f"{name} counts batches" if name else ""


def _counts_batches(module: torch.nn.Module) -> bool:
    of_losses = isinstance(module, GHMC | GHMR) and module.momentum > 0
    return of_losses or isinstance(module, DynamicRoIHead)


def _has_batch_norm(model: torch.nn.Module) -> bool:
    """Whether batch norm takes its statistics from what it sees, and not from what it has learnt before."""
    model.train()  # as mmengine does before each iteration; frozen layers stay as they are
    return any(isinstance(module, _BatchNorm) and module.training for module in model.modules())


def _steps(model: BaseModel, images: int) -> _Step:
    """A training step in parts of at most so many images, in the place of `mmengine.model.BaseModel.train_step`."""

    def step(data: object, optim_wrapper: OptimWrapper) -> Logs:
        with optim_wrapper.optim_context(model):
            whole = model.data_preprocessor(data, True)
        logs: Logs = {}
        for part, share, is_last in _parts(whole, images):
            with optim_wrapper.optim_context(model):
                losses = model._run_forward(part, mode="loss")
            loss, told = model.parse_losses(losses)
            for key, value in told.items():
                logs[key] = logs.get(key, 0) + value.detach() * share
            if is_last:
                optim_wrapper.update_params(loss * share)
            else:
                optim_wrapper.backward(optim_wrapper.scale_loss(loss * share))
                # It counts iterations, of which this is not the end.
                optim_wrapper._inner_count -= 1
        return logs

    return step


def _parts(
    whole: Mapping[str, object], images: int
) -> Iterator[tuple[dict[str, object], float, bool]]:
    """The parts of a batch, as even as can be: what the model is given, its share of the images, whether it is last."""
    inputs = cast("torch.Tensor", whole["inputs"])
    samples = cast("list[object]", whole["data_samples"])
    number, count = len(samples), -(-len(samples) // images)
    bounds = [number * part // count for part in range(count + 1)]
    for start, end in pairwise(bounds):
        part = {**whole, "inputs": inputs[start:end], "data_samples": samples[start:end]}
        yield part, (end - start) / number, end == number


def accumulation_after(lack: Lack, known: Accumulation | None) -> Accumulation:
    """How a training goes on that ran out of memory with nothing beside it."""
    return (known or Accumulation(lack.batch, lack.images)).halved
