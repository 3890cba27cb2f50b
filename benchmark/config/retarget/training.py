"""Loops, norms and settings of a config that belong to the machine or the tools that it was written for."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.tree import Config, dicts
from benchmark.config.vocabulary.words import class_of, mapping_of

# Made by a run itself; a config that mmdet's tools have dumped into a work folder has them.
_OF_TOOLS = {"launcher": "none", "resume": False, "work_dir": None}


def retarget_training(config: Config) -> list[str]:
    """Mends what would end a run of a config, or keep it from its validation, in place.

    Returns:
        What was changed.
    """
    return [*_loop(mapping_of(config.get("train_cfg"))), *_norms(config["model"]), *_tools(config)]


def _loop(loop: Config) -> Iterator[str]:
    if "type" in loop:
        loop.pop("by_epoch", None)  # mmengine takes either
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


def _tools(config: Config) -> Iterator[str]:
    for key, default in _OF_TOOLS.items():
        value = config.pop(key, default)
        if value not in (default, None):
            yield f"{key} dropped: a run has its own"
