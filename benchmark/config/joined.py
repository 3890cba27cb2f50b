"""Further annotation files that a config trains on, beside those that it has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.config.tree import Config, Leaf, is_list, leaves, replaced
from benchmark.config.vocabulary.words import class_of
from benchmark.config.written import COUNTED_AS
from benchmark.data.dataset import Split

_Path = tuple[str | int, ...]
# It asks a data set for the classes of each image, which joined ones do not tell: they are joined around it.
_ASKS_CLASSES = "ClassBalancedDataset"


def joined(
    config: Config, splits: Sequence[Split], beside: Path | None = None, indices: object = None
) -> Config:
    """A config whose training reads further splits, in the way in which it reads the one that it has.

    They stand beside it in a ``ConcatDataset``, within whatever repeats or mixes it: images of all of them are mixed
    with each other, and an epoch is as many repetitions of all.

    Args:
        config: A composed config, not changed.
        splits: What is to be trained on, too.
        beside: The annotation file beside which they stand, where the config trains on several; the first of them if
            None, or if there is no such.
        indices: mmengine's ``indices`` of each of the splits: which images of it are taken; all of them if None.

    Returns:
        A config that shares with the other what is the same in both.
    """
    loader = config["train_dataloader"]
    found = list(leaves(loader["dataset"], ("dataset",)))
    leaf = next((one for one in found if one.node["ann_file"] == str(beside)), found[0])
    place = _place(loader, leaf)
    inner = leaf.path[len(place) :]
    copies = [
        replaced(_at(loader, place), inner, _leaf_of(leaf.node, split, indices)) for split in splits
    ]
    if len(place) > 1 and is_list(siblings := _at(loader, place[:-1])):
        both: object = [*siblings, *copies]
        longer: Config = replaced(config, ("train_dataloader", *place[:-1]), both)
        return longer
    both = {"type": "ConcatDataset", "datasets": [_at(loader, place), *copies]}
    made = replaced(config, ("train_dataloader", *place), both)
    return _counted_where_it_is(made, ("train_dataloader", *place))


def _place(loader: Config, leaf: Leaf) -> _Path:
    """What the splits stand beside: the data set itself, or the outermost of what asks it for classes."""
    for end in range(1, len(leaf.path)):
        if class_of(_at(loader, leaf.path[:end])) == _ASKS_CLASSES:
            return leaf.path[:end]
    return leaf.path


def _at(node: Any, path: _Path) -> Any:
    for key in path:
        node = node[key]
    return node


def _leaf_of(leaf: Config, split: Split, indices: object) -> Config:
    own = {key: value for key, value in leaf.items() if key != "indices"}
    chosen = {} if indices is None else {"indices": indices}
    place = {"ann_file": str(split.annotations), "data_prefix": {"img": f"{split.images}/"}}
    return {**own, "data_root": "", **place, **chosen}


def _counted_where_it_is(config: Config, place: _Path) -> Config:
    """What counts in the place of values within the data set that has moved a list deeper; see `COUNTED_AS`."""
    counted = config.get(COUNTED_AS)
    if not counted:
        return config
    old = ".".join(map(str, place))
    moved = {
        f"{old}.datasets.0{key[len(old) :]}" if key == old or key.startswith(f"{old}.") else key: v
        for key, v in counted.items()
    }
    return {**config, COUNTED_AS: moved}
