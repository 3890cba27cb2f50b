"""A run's config for a few iterations of its training: as many images, no validation, and nothing is saved."""

from __future__ import annotations

from benchmark.config.shrink.data import batch_size, limit_images
from benchmark.config.tree import LOADERS, Config

_STEADY = 2  # iterations after which memory is allocated and kernels are chosen
_PREFETCHED = 2  # torch's default
_WITHOUT_END = 10**6
_EVALUATION = ("val_cfg", "val_evaluator", "test_cfg", "test_evaluator", *LOADERS[1:])


def shortened(content: Config, iterations: int, processes: int) -> tuple[Config, int, int]:
    """The config of a training that goes on until it is ended, over no more images than are wanted.

    An epoch has as many images as all iterations take, of the first ones of each data set; a data set that has fewer
    comes round several times.

    Args:
        content: Plain values of a run's config; its training loader is changed.
        iterations: How many are measured.
        processes: How many train together.

    Returns:
        It; how many iterations come before those that are measured: as many as it takes to use up what loader workers
        have ready, which were idle while the first iteration chose its kernels; and how many images they all take.
    """
    loader = content["train_dataloader"]
    warm_up = _STEADY + _ready(loader)
    images = (warm_up + iterations) * batch_size(loader) * processes
    limit_images(loader, images)
    hooks = {**(content.get("default_hooks") or {}), "checkpoint": None}
    loop = _endless(content["train_cfg"])
    changed = {**dict.fromkeys(_EVALUATION), "train_cfg": loop, "default_hooks": hooks}
    return {**content, **changed}, warm_up, images


def _ready(loader: Config) -> int:
    """Batches that workers make before they are asked for."""
    ahead = loader.get("prefetch_factor") or _PREFETCHED
    return int(loader.get("num_workers") or 0) * int(ahead)


def _endless(loop: Config) -> Config:
    ends = {key: _WITHOUT_END for key in ("max_epochs", "max_iters") if loop.get(key) is not None}
    return {**loop, **ends}
