"""Data loaders: batches, samplers, data sets and their pipelines."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.tree import Config, dicts, is_leaf, is_list
from benchmark.config.vocabulary.signatures import DATASETS, LOADER, SAMPLERS, TRANSFORMS
from benchmark.config.vocabulary.steps import inner_steps, nested
from benchmark.config.vocabulary.words import (
    Kind,
    class_of,
    each,
    elsewhere,
    imports_own,
    named_hooks,
    not_a_number,
    one_of,
    unfit_arguments,
)
from benchmark.errors import allowed, shown

_COLLATES = ("pseudo_collate", "default_collate")
_USED = ("train_dataloader", "val_dataloader")  # by a run; the third is for mmdet's tools

_WRAPPERS = ("ClassBalancedDataset", "ConcatDataset", "MultiImageMixDataset", "RepeatDataset")
_FILTERS = {
    "bbox_min_size",
    "filter_empty_gt",
    "min_size",
}  # the first in mmdet's own configs: of no effect

# Data sets of mmdet that read no COCO file of boxes.
_OTHER_FORMATS = frozenset(
    {
        "ADE20KPanopticDataset",
        "ADE20KSegDataset",
        "BaseDetDataset",
        "BaseSegDataset",
        "BaseVideoDataset",
        "CocoCaptionDataset",
        "CocoPanopticDataset",
        "CocoSegDataset",
        "CrowdHumanDataset",
        "DODDataset",
        "DSDLDetDataset",
        "Flickr30kDataset",
        "MDETRStyleRefCocoDataset",
        "MOTChallengeDataset",
        "ODVGDataset",
        "OpenImagesChallengeDataset",
        "OpenImagesDataset",
        "ReIDDataset",
        "RefCocoDataset",
        "V3DetDataset",
        "VOCDataset",
        "WIDERFaceDataset",
        "XMLDataset",
        "YouTubeVISDataset",
    }
)


def _loaders(config: Config) -> Iterator[tuple[str, Config]]:
    for key in _USED:
        if isinstance(config.get(key), dict):
            yield key, config[key]


def loaders(config: Config) -> Iterator[str]:
    """Arguments that torch's data loader and mmengine's Runner know."""
    for key, loader in _loaders(config):
        yield from unfit_arguments(key, "a data loader", loader, LOADER)
        if not isinstance(loader.get("dataset"), dict):
            yield f"{key}.dataset: {shown(loader.get('dataset'))} is no data set; write a mapping"
        yield from not_a_number(key, loader, "timeout", 0)
        yield from not_a_number(key, loader, "prefetch_factor", 1, whole=True)
        yield from not_a_number(key, loader, "num_batch_per_epoch", 1, whole=True)
        yield from _of_workers(key, loader)
        if isinstance(loader.get("collate_fn"), str):
            yield f"{key}.collate_fn: {shown(loader['collate_fn'])} is no mapping; write {{type: pseudo_collate}}"
        if not imports_own(config) and isinstance(loader.get("collate_fn"), dict):
            yield from one_of(f"{key}.collate_fn", loader["collate_fn"], "type", _COLLATES)
        if loader.get("shuffle"):
            yield f"{key}.shuffle: the sampler shuffles; write sampler: {{type: DefaultSampler, shuffle: true}}"


def _of_workers(key: str, loader: Config) -> Iterator[str]:
    yield from one_of(key, loader, "multiprocessing_context", ("fork", "forkserver", "spawn"))
    for name in ("multiprocessing_context", "timeout"):
        if loader.get(name) and loader.get("num_workers") == 0:
            yield f"{key}.{name}: there are no workers (num_workers: 0) for it; leave it out"


def batches(config: Config) -> Iterator[str]:
    """Whole batches of one image at least."""
    for key, loader in _loaders(config):
        if loader.get("batch_size") is None:
            yield f"{key}.batch_size: is missing"
        yield from not_a_number(key, loader, "batch_size", 1, whole=True)
        yield from not_a_number(key, loader, "num_workers", 0, whole=True)
        if loader.get("drop_last") and loader.get("batch_sampler") is not None:
            name = class_of(loader["batch_sampler"]) or "the batch sampler"
            yield f"{key}.drop_last: {name} makes the batches; set {key}.batch_sampler.drop_last"


def evaluated_whole(config: Config) -> Iterator[str]:
    """Scores are those of every validation image."""
    key, loader = "val_dataloader", config.get("val_dataloader")
    if not isinstance(loader, dict):
        return
    batch_sampler = loader.get("batch_sampler")
    dropped = isinstance(batch_sampler, dict) and batch_sampler.get("drop_last")
    if loader.get("drop_last") or dropped:
        yield f"{key}.drop_last: every image is evaluated; leave it out"
    if loader.get("num_batch_per_epoch") is not None:
        yield f"{key}.num_batch_per_epoch: every image is evaluated; leave it out"
    sampler = class_of(loader.get("sampler"))
    if sampler in SAMPLERS and sampler != "DefaultSampler":
        yield f"{key}.sampler: {sampler} does not give each image once; write {{type: DefaultSampler, shuffle: false}}"
    for where, node in nested(loader.get("dataset"), f"{key}.dataset"):
        yield from _evaluated_once(where, node)


def _evaluated_once(key: str, node: Config) -> Iterator[str]:
    """An image that comes twice has every box of it found twice."""
    if class_of(node) in ("RepeatDataset", "ClassBalancedDataset"):
        yield f"{key}: {class_of(node)} does not give each image once; write the data set that is in it"
    indices = node.get("indices")
    if is_list(indices) and len(set(map(str, indices))) < len(indices):
        yield f"{key}.indices: an index repeats, and each image is evaluated once; leave it out"


def samplers(config: Config) -> Iterator[str]:
    """Samplers that mmengine builds, and that an epoch comes to an end with."""
    kind = Kind("sampler", SAMPLERS, own=imports_own(config))
    for key, loader in _loaders(config):
        yield from kind.misfits(f"{key}.sampler", loader.get("sampler"))
        if loader.get("batch_sampler") is not None:
            yield from kind.misfits(f"{key}.batch_sampler", loader["batch_sampler"])
    train, loop = config.get("train_dataloader"), config.get("train_cfg")
    if not isinstance(train, dict) or not isinstance(loop, dict) or "max_epochs" not in loop:
        return
    if class_of(train.get("sampler")) == "InfiniteSampler" and not train.get("num_batch_per_epoch"):
        yield (
            "train_dataloader.sampler: an epoch of InfiniteSampler never ends; write DefaultSampler, or a train_cfg "
            "that counts iterations"
        )


def datasets(config: Config) -> Iterator[str]:
    """COCO data sets of boxes, and what repeats, joins or mixes them."""
    kind = Kind("data set", DATASETS, own=imports_own(config))
    for key, loader in _loaders(config):
        for where, node in nested(loader.get("dataset"), f"{key}.dataset"):
            yield from kind.misfits(where, node)
            yield from not_a_number(where, node, "times", 1, whole=True)
            yield from _chosen(where, node.get("indices"))
            yield from not_a_number(where, node, "oversample_thr", 0)
            yield from _taken(where, node, kind.own)
            if class_of(node) in _OTHER_FORMATS:
                yield f"{where}.type: {class_of(node)} reads no COCO file of boxes; write CocoDataset"
            yield from elsewhere(where, node)


def _chosen(key: str, indices: object) -> Iterator[str]:
    numbers = indices if is_list(indices) else [indices]
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
    if indices is not None and not (whole and indices):
        yield f"{key}.indices: {shown(indices)} takes no image; write how many of the first, or a list"


def _taken(key: str, node: Config, own: bool) -> Iterator[str]:
    """Which images a data set takes, and from where."""
    name = class_of(node)
    if name in DATASETS and name not in _WRAPPERS and not is_leaf(node):
        yield f"{key}.ann_file: is missing; write ann_file: '' for the data set's own"
    yield from not_a_number(key, node, "max_refetch", 0, whole=True)
    if name == "ConcatDataset" and "datasets" in node and not _is_filled(node["datasets"]):
        yield f"{key}.datasets: {shown(node['datasets'])} is no list of data sets"
    kept = node.get("filter_cfg")
    if isinstance(kept, dict) and not own:
        for unknown in sorted(map(str, kept.keys() - _FILTERS)):
            yield f"{key}.filter_cfg.{unknown}: filters nothing; {allowed(unknown, _FILTERS)}"
    elif kept is not None and not own:
        yield f"{key}.filter_cfg: {shown(kept)} is no mapping; write {{filter_empty_gt: true, min_size: 32}}"


def _is_filled(value: object) -> bool:
    return is_list(value) and bool(value)


def pipelines(config: Config) -> Iterator[str]:
    """The steps of every pipeline, with the arguments that they take."""
    kind = Kind("transform", TRANSFORMS, own=imports_own(config))
    for key, loader in _loaders(config):
        for where, node in nested(loader.get("dataset"), f"{key}.dataset"):
            steps = node.get("pipeline")
            if steps is not None and not is_list(steps):
                yield f"{where}.pipeline: {shown(steps)} is no list of transforms"
            for place, step in each(steps if is_list(steps) else None, f"{where}.pipeline"):
                yield from kind.misfits(place, step)
                for reads in dicts(step):
                    yield from elsewhere(place, reads)
                for inner, part in inner_steps(step, place):
                    yield from kind.misfits(inner, part)


def switched(config: Config) -> Iterator[str]:
    """The pipeline that a hook puts in later in the training."""
    kind = Kind("transform", TRANSFORMS, own=imports_own(config))
    for key, hook in named_hooks(config):
        for place, step in each(hook.get("switch_pipeline"), f"{key}.switch_pipeline"):
            yield from kind.misfits(place, step)
            for inner, part in inner_steps(step, place):
                yield from kind.misfits(inner, part)
