"""The data sets of a config: a COCO data set in the place of each, within what repeats or mixes it."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.config_file import plain
from benchmark.config.tree import Config, is_list
from benchmark.config.vocabulary.companions import OF_JOINED
from benchmark.config.vocabulary.words import class_of, mapping_of
from benchmark.data.dataset import Dataset
from benchmark.errors import few

# What a data set keeps: how images are read and which are left out, none of it about the files themselves.
_KEPT = ("pipeline", "max_refetch", "serialize_data")
_FILTERS = ("filter_empty_gt", "min_size", "bbox_min_size")
# What says where the data is, which is replaced in any case.
_PLACES = frozenset({"ann_file", "data_prefix", "data_root", "metainfo", "type"})
_SILENT = frozenset({"backend_args", "filter_cfg", "test_mode", *_KEPT, *_PLACES})
_DATASETS = ("CocoDataset",)


def retarget_data(config: Config, dataset: Dataset) -> list[str]:
    """Puts a data set in the place of those that a config reads, in place.

    Training data stays within ``RepeatDataset``, which says how long an epoch is, and ``MultiImageMixDataset``. Of
    joined data sets one is left, since each would be the same; ``ClassBalancedDataset`` goes, whose threshold is made
    for other classes. Evaluated images are read once each.

    Args:
        config: A config with a training loader, and one of validation or test.
        dataset: The data set.

    Returns:
        What was changed.
    """
    changes: list[str] = []
    if not config.get("val_dataloader"):
        config["val_dataloader"] = plain(config["test_dataloader"])
        changes.append("no val_dataloader -> that of the test")
    if not isinstance(config.get("test_dataloader"), dict):
        # mmengine takes loader, loop and evaluator of a test all or none, and profiles know a test loader.
        config["test_dataloader"] = plain(config["val_dataloader"])
        changes.append("no test_dataloader -> that of validation")
    for use in ("train", "val", "test"):
        loader = config.get(f"{use}_dataloader")
        if isinstance(loader, dict) and loader.get("dataset"):
            evaluated = use != "train"
            loader["dataset"] = _retargeted(loader["dataset"], dataset, evaluated, changes)
            changes += _evaluated_once(loader) if evaluated else _sampled(loader, config)
    return changes


def _retargeted(node: Config, dataset: Dataset, evaluated: bool, changes: list[str]) -> Config:
    name, joined, inner = class_of(node), node.get("datasets"), node.get("dataset")
    if is_list(joined) and joined:
        if len(joined) > 1:
            changes.append(f"{name} of {len(joined)} -> one data set")
        return _retargeted(mapping_of(joined[0]), dataset, evaluated, changes)
    if not isinstance(inner, dict):
        return _leaf(node, dataset, evaluated, changes)
    within = _retargeted(inner, dataset, evaluated, changes)
    if evaluated or name == "ClassBalancedDataset":
        changes.append(f"{name} dropped")
        return within
    return {**node, "dataset": within}


def _leaf(node: Config, dataset: Dataset, evaluated: bool, changes: list[str]) -> Config:
    changes += _told(node, dataset)
    split = dataset.val if evaluated else dataset.train
    leaf: Config = {
        "type": "CocoDataset",
        "data_root": "",
        "ann_file": str(split.annotations),
        "data_prefix": {"img": f"{split.images}/"},
        "metainfo": {"classes": dataset.classes},
        **{key: node[key] for key in _KEPT if key in node},
        "backend_args": None,
    }
    filters = mapping_of(node.get("filter_cfg"))
    if evaluated:
        if filters and not node.get("test_mode"):
            changes.append("filter_cfg of validation dropped: every image is evaluated")
        leaf["test_mode"] = True
    elif kept := {key: filters[key] for key in _FILTERS if key in filters}:
        leaf["filter_cfg"] = kept
    return leaf


def _told(node: Config, dataset: Dataset) -> Iterator[str]:
    """What a data set loses: another name for it, its classes, and what mmdet's CocoDataset does not take."""
    name, dropped = class_of(node), sorted(map(str, node.keys() - _SILENT))
    without = f"without {few(dropped)}" if dropped else ""
    if name and name not in _DATASETS:
        yield ", ".join(filter(None, [f"{name} -> CocoDataset", without]))
    elif without:
        yield f"CocoDataset {without}"
    classes = mapping_of(node.get("metainfo")).get("classes") or ()
    names = [str(one) for one in classes] if is_list(classes) else [str(classes)]
    if names and tuple(names) != dataset.classes:
        yield f"class names: {few(names)} -> those of {dataset.name}"
    place = str(node.get("data_root") or node.get("ann_file") or "")
    ours = (str(dataset.train.annotations), str(dataset.val.annotations))
    if place and place not in ours:
        yield f"data: {place} -> {dataset.name}"


def _sampled(loader: Config, config: Config) -> Iterator[str]:
    """Samplers of one data set in the place of those that draw from several, or that never come to an end."""
    yield from _batched(loader, "training")
    for key, instead in (
        ("sampler", {"type": "DefaultSampler", "shuffle": True}),
        ("batch_sampler", None),
    ):
        name, given = class_of(loader.get(key)), loader.get(key)
        if name in OF_JOINED or (key == "sampler" and given is None):
            yield f"{name or 'no sampler'} -> {class_of(instead) or 'none'}: there is one data set"
            loader[key] = instead
    endless = class_of(loader["sampler"]) == "InfiniteSampler"
    counted = "max_epochs" in mapping_of(config.get("train_cfg"))
    if endless and counted and not loader.get("num_batch_per_epoch"):
        loader["sampler"] = {"type": "DefaultSampler", "shuffle": True}
        yield "InfiniteSampler -> DefaultSampler: epochs are counted, and end"


def _evaluated_once(loader: Config) -> Iterator[str]:
    yield from _batched(loader, "validation")
    given = loader.get("sampler")
    if class_of(given) != "DefaultSampler" or mapping_of(given).get("shuffle", True):
        loader["sampler"] = {"type": "DefaultSampler", "shuffle": False}
        yield f"{class_of(given) or 'no sampler'} of validation -> DefaultSampler, without shuffle"
    for key in ("batch_sampler", "drop_last", "num_batch_per_epoch"):
        if loader.get(key):
            yield f"{key} of validation dropped: every image is evaluated once"
            loader.pop(key)


def _batched(loader: Config, what: str) -> Iterator[str]:
    """A batch of one where none is said, as torch makes it."""
    if loader.get("batch_size") is None:
        loader["batch_size"] = 1
        yield f"batch_size of {what}: none -> 1"
