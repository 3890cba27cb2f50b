"""Which images of the data a shortened config takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config.overrides import key_path
from benchmark.config.tree import LOADERS, Config, Leaf, leaves, replaced
from benchmark.config.written import COUNTED_AS, SHRUNK, SPREAD
from benchmark.data.dataset import Dataset
from benchmark.data.memory import Memory

if TYPE_CHECKING:  # a plan of whole data sets needs no numpy
    from benchmark.data.spread import Taken, Wanted


def sampled(
    config: Config, dataset: Dataset, overridden: Mapping[str, object], memory: Memory
) -> Config | None:
    """A shortened config that takes images which hold objects, where the first ones do not show all classes.

    Numbers of ``indices`` become lists. What they were, and the rule, count into the run id: the lists follow from
    the annotations, which count there, too.

    Args:
        config: A composed config, not changed.
        dataset: What it was made for.
        overridden: Values by key path that the row or ``--set`` have set; ``indices`` among them stay.
        memory: Remembers what is in large annotation files.

    Returns:
        The config itself where it takes the first images, or is not shortened; None where the data is not there, or
        is no longer what it was, so that nobody knows.
    """
    if not config.get(SHRUNK):
        return config
    counted: dict[str, object] = {}
    made = config
    for loader in LOADERS:
        split = dataset.train if loader == "train_dataloader" else dataset.val
        for path, leaf, times in _limited(config, loader, overridden):
            if leaf["ann_file"] != str(split.annotations):
                continue  # a file of its own, of which the first images are taken
            found = _found(split.annotations, _wanted(config, loader, leaf, times), memory)
            if found is None or found.sha256 != split.sha256:
                return None
            if found.indices is not None:
                counted[".".join(map(str, (*path, "indices")))] = leaf["indices"]
                made = replaced(made, (*path, "indices"), found.indices)
    return with_rule(made, counted) if counted else config


def with_rule(config: Config, counted: Mapping[str, object] | None = None) -> Config:
    """A shortened config whose run id counts the rule for images; one whose data is not there has no lists."""
    from benchmark.data.spread import RULE

    known = config.get(COUNTED_AS, {})
    return {**config, COUNTED_AS: {**known, **(counted or {}), SPREAD: RULE}}


def _limited(config: Config, loader: str, overridden: Mapping[str, object]) -> list[Leaf]:
    """The data sets that a loader takes the first images of."""
    if any(_sets_indices(key, value, loader) for key, value in overridden.items()):
        return []
    found = leaves((config.get(loader) or {}).get("dataset"), (loader, "dataset"))
    return [leaf for leaf in found if isinstance(leaf.node.get("indices"), int)]


def _sets_indices(key: str, value: object, loader: str) -> bool:
    first, *others = key_path(key).split(".")
    return first == loader and ("indices" in others or "'indices'" in repr(value))


def _wanted(config: Config, loader: str, leaf: Config, times: int) -> Wanted:
    learns = loader == "train_dataloader"
    from benchmark.data.keep import ImageFilter
    from benchmark.data.spread import Wanted

    batch = int((config.get(loader) or {}).get("batch_size") or 1)
    step = batch // math.gcd(times, batch) if learns else 1
    return Wanted(learns, ImageFilter.of(leaf), leaf["indices"], step)


def _found(path: Path, wanted: Wanted, memory: Memory) -> Taken | None:
    from benchmark.data.spread import taken

    return taken(path, wanted, memory) if path.is_file() else None
