"""Fewer images in an epoch, in batches no larger than it."""

from __future__ import annotations

import math

from benchmark.config.shrink.limits import Limits
from benchmark.config.tree import Config, dicts, is_list, leaves

_EVALUATION = ("val_dataloader", "test_dataloader")


def shrink_data(config: Config, bounds: Limits, changes: list[str]) -> None:
    """Limits the images of every data set of a config, in place.

    Args:
        config: A merged config.
        bounds: How many.
        changes: Takes a line for each thing that is more than a number of images.
    """
    loader = config.get("train_dataloader") or {}
    _shrink_batch(loader, bounds.images, changes)
    batch = batch_size(loader)
    if _passed_over(loader, bounds.images, batch):
        _repeat_less(loader, bounds.images, batch, changes)
    limit_images(loader, bounds.images)
    for name in _EVALUATION:
        held_out = list(leaves((config.get(name) or {}).get("dataset")))
        for _, leaf, _ in held_out:
            _limit(leaf, max(bounds.val_images // len(held_out), 1))


def limit_images(loader: Config, images: int) -> None:
    """Has an epoch of a training loader be so many of the first images, in place; whole batches, if fewer.

    Args:
        loader: A training loader; each of several data sets gives as many.
        images: How many, repetitions included.
    """
    batch = batch_size(loader)
    found = list(leaves(loader.get("dataset")))
    for _, leaf, times in found:
        _limit(leaf, _whole_batches(images // len(found), times, batch))


def batch_size(loader: Config) -> int:
    """Images in a batch of a loader."""
    return int(loader.get("batch_size") or 1)


def images_per_epoch(config: Config) -> int:
    """Training images in an epoch of a config that `shrink_data` has been at, repetitions included."""
    dataset = (config.get("train_dataloader") or {}).get("dataset")
    counts = ((leaf["indices"], times) for _, leaf, times in leaves(dataset))
    return sum((len(n) if is_list(n) else n) * times for n, times in counts)


def _shrink_batch(loader: Config, images: int, changes: list[str]) -> None:
    batch = batch_size(loader)
    if batch > images:
        loader["batch_size"] = images
        changes.append(f"train_dataloader.batch_size: {batch} -> {images}, the images of an epoch")


def _passed_over(loader: Config, images: int, batch: int) -> bool:
    """Whether whole batches of repeated images would be more than twice what was asked for."""
    found = list(leaves(loader.get("dataset")))
    made = sum(
        _whole_batches(images // len(found), leaf.times, batch) * leaf.times for leaf in found
    )
    return made > 2 * images


def _repeat_less(loader: Config, images: int, batch: int, changes: list[str]) -> None:
    """Repetitions say how long an epoch is, which is said otherwise here."""
    for node in dicts(loader.get("dataset")):
        times, fewer = node.get("times"), max(images // batch, 1)
        if isinstance(times, int) and times > fewer:
            node["times"] = fewer
            changes.append(
                f"{node.get('type')}.times: {times} -> {fewer}, so that {images} images are an epoch"
            )


def _whole_batches(images: int, times: int, batch: int) -> int:
    """Images that make whole batches when repeated: batch norm cannot train on one small image."""
    step = batch // math.gcd(times, batch)
    return max(images // times // step, 1) * step


def _limit(leaf: Config, images: int) -> None:
    given = leaf.get("indices")
    if isinstance(given, list | tuple):
        leaf["indices"] = list(given)[:images]
    else:
        leaf["indices"] = min(given, images) if isinstance(given, int) and given > 0 else images
