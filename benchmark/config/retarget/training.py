"""Loops and norms of a config that would end a run, or leave it without a score."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.tree import Config, dicts
from benchmark.config.vocabulary.words import class_of, mapping_of


def retarget_training(config: Config) -> list[str]:
    """Mends what would end a run of a config, or keep it from its validation, in place.

    Returns:
        What was changed.
    """
    return [*_loop(mapping_of(config.get("train_cfg"))), *_norms(config["model"])]


def _loop(loop: Config) -> Iterator[str]:
    if "type" in loop and "by_epoch" in loop:
        loop.pop("by_epoch")
        yield "train_cfg.by_epoch dropped: mmengine takes it, or a type"
    interval = loop.get("val_interval")
    if isinstance(interval, float):
        loop["val_interval"] = round(interval)
    length = loop.get("max_epochs", loop.get("max_iters"))
    begin = loop.get("val_begin")
    if isinstance(length, int) and isinstance(begin, int) and begin > length:
        loop["val_begin"] = length
        yield f"train_cfg.val_begin: {begin} -> {length}: the end is validated"


def _norms(model: Config) -> Iterator[str]:
    for node in dicts(model):
        if class_of(node) == "MMSyncBN":
            node["type"] = "SyncBN"
            yield "MMSyncBN -> SyncBN: that of mmcv is built by several processes alone"
