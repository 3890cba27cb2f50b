"""How long a model takes for one image: the whole way from the file on disk to boxes in the image's own pixels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel

from benchmark.job.measure.trained import Images, Trained
from benchmark.run.provenance import device_name
from benchmark.run.record import Latency


def latency_of(trained: Trained) -> Latency:
    """Times a run's model on the images of its validation, in its precision."""
    with trained.precision():
        return measure(trained.model, trained.images)


def measure(model: BaseModel, dataset: Images, images: int = 20, warm_up: int = 3) -> Latency:
    """Times the predict path at batch 1, one image after the other, in the calling process.

    In it: reading the image from disk and the dataset's test pipeline (decode, resize, pack, and its annotations if
    the pipeline loads them), collating, the move to the device, normalising and padding, the forward pass, decoding,
    NMS, and scaling the boxes back to the original image. On a GPU the clock waits for it before and after.

    Not in it: data-loader workers, which would hide the loading; the copy of the boxes to the host; drawing, metrics
    and batching. The first ``warm_up`` predictions are not counted: they pay for memory, kernels and caches. An image
    that was read before is likely still in the operating system's cache. Whatever else runs on the machine slows
    the measurement: compare numbers only where that was the same.

    Args:
        model: An mmdet detector, or its distributed wrapper, on the device that it is to be timed on.
        dataset: An mmengine dataset in test mode; an item has ``inputs``, a uint8 tensor (3, H, W), and
            ``data_samples``.
        images: Number of timed predictions, at least 1. The images are spread evenly over the dataset; one with
            fewer images is gone through again.
        warm_up: Number of predictions before them.

    Returns:
        Milliseconds an image; the 95th percentile is interpolated linearly.

    Raises:
        ValueError: The dataset is empty.
    """
    if len(dataset) == 0:
        raise ValueError("the dataset has no images")
    step = max(1, len(dataset) // images)
    chosen = [i * step % len(dataset) for i in range(images)]
    with predicting(model):
        for i in range(warm_up):
            _predict_ms(model, dataset, chosen[i % images])
        times = [_predict_ms(model, dataset, index) for index in chosen]
    median, p95 = np.percentile(times, (50, 95))
    return Latency(round(float(median), 3), round(float(p95), 3), images, device_name())


def _predict_ms(model: BaseModel, dataset: Images, index: int) -> float:
    _wait_for_gpu()
    start = time.perf_counter()
    model.test_step(pseudo_collate([dataset[index]]))
    _wait_for_gpu()
    return (time.perf_counter() - start) * 1000


def _wait_for_gpu() -> None:
    # Whether there is one would be asked of its driver, within the time that is measured; a model on one has begun it.
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()


@contextmanager
def predicting(model: torch.nn.Module) -> Iterator[None]:
    """Without gradients and in eval mode; afterwards every module is in the mode that it was in."""
    # Each on its own: in a detector that trains, frozen stages are in eval mode.
    training = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in training:
            module.training = mode
