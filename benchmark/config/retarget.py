"""A config made for another data set: its paths, classes and heads."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.tree import Config, leaves
from benchmark.data.dataset import Dataset


def fill_dataset(config: Config, dataset: Dataset) -> None:
    """Gives a config the data set's annotation files, image folders, classes and number of classes, in place."""
    for name, split in (("train", dataset.train), ("val", dataset.val), ("test", dataset.val)):
        for leaf in dataset_leaves(config.get(f"{name}_dataloader")):
            leaf["data_root"] = ""
            leaf["ann_file"] = str(split.annotations)
            leaf["data_prefix"] = {"img": f"{split.images}/"}
            leaf["metainfo"] = {"classes": dataset.classes}
        evaluators = config.get(f"{name}_evaluator") or []
        for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
            if "ann_file" in evaluator:
                evaluator["ann_file"] = str(split.annotations)
    for head in _classifiers(config.get("model")):
        head["num_classes"] = len(dataset.classes)


def _classifiers(node: object) -> Iterator[Config]:
    """The heads that tell classes apart; a backbone's own ``num_classes`` is none of them."""
    if isinstance(node, list | tuple):
        for item in node:
            yield from _classifiers(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("bbox_head", "mask_head"):
                heads = value if isinstance(value, list) else [value]
                yield from (head for head in heads if isinstance(head, dict))
            else:
                yield from _classifiers(value)


def dataset_leaves(node: object) -> Iterator[Config]:
    """The data sets that read annotation files, inside whatever repeats, joins or mixes them."""
    for leaf, _ in leaves(node, 1):
        yield leaf
