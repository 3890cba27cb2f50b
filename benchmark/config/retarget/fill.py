"""A data set's files, images and classes in the place of the names that parts have for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.config.retarget.classes import fit_classes
from benchmark.config.sources import Names, RefusedError, Source
from benchmark.config.tree import Config, leaves
from benchmark.data.dataset import Dataset

_COCO_METRICS = ("CocoMetric", "mmdet.CocoMetric", "HotCocoMetric")


def fill_dataset(config: Config, dataset: Dataset, folder: Path) -> list[str]:
    """Gives a config the data set's annotation files, image folders, classes and number of classes, in place.

    A data set within the config that names a file of its own keeps it; see `benchmark.config.sources`.

    Args:
        config: Plain config.
        dataset: The experiment's data set.
        folder: Of the experiment file; names in the config may be relative to it.

    Returns:
        What cannot be filled in, a message each that names the key.
    """
    problems: list[str] = []
    for use in ("train", "val", "test"):
        names = Names(dataset, folder, use)
        problems += _fill_loader(config.get(f"{use}_dataloader"), names)
        problems += _fill_evaluators(config.get(f"{use}_evaluator"), names)
    if isinstance(config.get("model"), dict):
        fit_classes(config["model"], len(dataset.classes))
    return problems


@dataclass(frozen=True)
class _Found:
    """A data set within a config, and what it is to read."""

    key: str
    leaf: Config
    source: Source

    def filled(self, dataset: Dataset) -> Config:
        """What takes the place of the names."""
        return {
            "data_root": "",
            "ann_file": str(self.source.annotations),
            "data_prefix": {"img": f"{self.source.images}/"},
            "metainfo": {"classes": dataset.classes},
        }


def _fill_loader(loader: object, names: Names) -> list[str]:
    """Leaves the loader as it is where there are problems, so that they show again."""
    problems: list[str] = []
    found: list[_Found] = []
    for leaf in leaves(loader, (f"{names.use}_dataloader",)):
        try:
            found.append(_Found(leaf.key, leaf.node, names.source(leaf.node)))
        except RefusedError as error:
            problems.append(f"{leaf.key}: {error}")
    problems += _read_twice(found, names)
    for one in found if not problems else []:
        one.leaf.update(one.filled(names.dataset))
    return problems


def _read_twice(found: Sequence[_Found], names: Names) -> Iterator[str]:
    """Joined data sets of which two come to be the same one; scores are those of one file."""
    for i, one in enumerate(found[1:], 1):
        same = next((other for other in found[:i] if _are_same(one, other, names.dataset)), None)
        if names.use != "train":
            yield f"{one.key}: is joined with {found[0].key}; scores are those of one file: leave one out"
        elif same is not None:
            yield (
                f"{one.key}: reads {one.source.annotations}, as {same.key} does, so that everything would be learnt "
                "twice; leave one out (RepeatDataset repeats it), or name another file"
            )


def _are_same(one: _Found, other: _Found, dataset: Dataset) -> bool:
    """The same images in the same way; two placeholders of different names were meant to be two files."""
    if {**one.leaf, **one.filled(dataset)} == {**other.leaf, **other.filled(dataset)}:
        return True
    names = {str(found.leaf.get("ann_file") or "") for found in (one, other)}
    ours = not (one.source.own or other.source.own)
    return ours and len(names) == 2 and min(map(len, names)) > 1


def _fill_evaluators(evaluators: object, names: Names) -> Iterator[str]:
    key = f"{names.use}_evaluator"
    for evaluator in evaluators if isinstance(evaluators, list | tuple) else [evaluators]:
        if not isinstance(evaluator, dict):
            continue
        if "ann_file" not in evaluator and evaluator.get("type") not in _COCO_METRICS:
            continue
        try:
            evaluator["ann_file"] = str(names.file(str(evaluator.get("ann_file") or "")))
        except RefusedError as error:
            yield f"{key}.ann_file: {error}"


def dataset_leaves(node: object) -> Iterator[Config]:
    """The data sets that read annotation files, inside whatever repeats, joins or mixes them."""
    return (leaf.node for leaf in leaves(node))
