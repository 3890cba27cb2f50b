"""Under ``full``, the rows of the leaderboard are mmdet's own configs and the published recipe."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from command import LEADERBOARD
from mmengine import Config

from benchmark.config.compose import compose, surroundings_of
from benchmark.config.config_file import plain
from benchmark.data.dataset import Dataset, Split
from benchmark.experiment.experiment import Row, load_experiment

ZOO = {
    "r50_fpn_freeanchor_1x": "free_anchor/freeanchor_r50_fpn_1x_coco.py",
    "r50_fpn_pisa_1x": "pisa/retinanet-r50_fpn_pisa_1x_coco.py",
    "r50_fpg_50e": "fpg/retinanet_r50_fpg_crop640_50e_coco.py",
    "r50_fpn_90k": "retinanet/retinanet_r50_fpn_90k_coco.py",
    "r50_fpn_3x": "retinanet/retinanet_r50_fpn_ms-640-800-3x_coco.py",
    "r101_fpn_3x": "retinanet/retinanet_r101_fpn_ms-640-800-3x_coco.py",
    "x101_fpn_3x": "retinanet/retinanet_x101-64x4d_fpn_ms-640-800-3x_coco.py",
}

# Variables of the zoo's files that other keys were made from; no tool of mmdet reads them.
ZOO_VARIABLES = {
    "backend_args",
    "data_root",
    "dataset_type",
    "img_scales",
    "max_epochs",
    "norm_cfg",
    "test_pipeline",
    "train_pipeline",
}

# Paths of a composed config that may differ from the zoo's, each with the reason.
BY_THE_DATASET = (
    "model.bbox_head.num_classes",
    "*_dataloader.dataset.ann_file",
    "*_dataloader.dataset.data_root",
    "*_dataloader.dataset.data_prefix.img",
    "*_dataloader.dataset.metainfo.classes*",
    "train_dataloader.dataset.dataset.ann_file",
    "train_dataloader.dataset.dataset.data_root",
    "train_dataloader.dataset.dataset.data_prefix.img",
    "train_dataloader.dataset.dataset.metainfo.classes*",
    "val_evaluator.ann_file",
    "test_evaluator.ann_file",
)
BY_THE_RUN = ("randomness.seed", "default_hooks.checkpoint.max_keep_ckpts")
# Values that the zoo leaves to the default, which is the same.
SPELLED_OUT = {"val_evaluator.format_only": False, "test_evaluator.format_only": False}
# The zoo saves every 10,000 iterations; that much must not be lost when a run is killed.
SAVED_MORE_OFTEN = {"r50_fpn_90k": ("default_hooks.checkpoint.interval",)}


@pytest.fixture(scope="module")
def composed() -> dict[str, dict[str, Any]]:
    """The config of every row of the leaderboard under ``full``, by row name."""
    return {row.name: composed_of(row) for row in load_experiment(LEADERBOARD).rows}


def composed_of(row: Row) -> dict[str, Any]:
    """A row's config under ``full``, in the leaderboard's place."""
    classes = tuple(f"class {i}" for i in range(10))
    splits = [Split(Path(f"/data/{n}.json"), Path("/data/images"), n) for n in ("train", "val")]
    dataset = Dataset("waste", classes, *splits)
    experiment = load_experiment(LEADERBOARD)
    around, seed = surroundings_of(experiment, "full"), experiment.seeds[0]
    return compose(row, dataset, around, seed=seed, overrides={})


def zoo_config(name: str) -> dict[str, Any]:
    spec = importlib.util.find_spec("mmdet")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / ".mim" / "configs" / name
    config: dict[str, Any] = plain(Config.fromfile(path).to_dict())
    return {key: value for key, value in config.items() if key not in ZOO_VARIABLES}


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is not a container, and the kind and length of every list and tuple."""
    if isinstance(node, list | tuple):
        yield f"{path} is", (type(node).__name__, len(node))
        items: Any = enumerate(node)
    elif isinstance(node, dict):
        yield f"{path} is", "dict"
        items = node.items()
    else:
        yield path, node
        return
    for key, value in items:
        yield from leaves(value, f"{path}.{key}" if path else str(key))


def differences(row: str, ours: dict[str, Any], zoo: dict[str, Any]) -> list[str]:
    """Paths that differ and may not, with both values."""
    mine, theirs = dict(leaves(ours)), dict(leaves(zoo))
    may = [*BY_THE_DATASET, *BY_THE_RUN, *SAVED_MORE_OFTEN.get(row, ())]
    may += [f"{path} is" for path in ("randomness", "*.metainfo")]
    if "tta_model" not in zoo:  # only some of the zoo's files include it; it is off by default
        may += ["tta_model*", "tta_pipeline*"]
    nothing = object()
    return [
        f"{path}: {mine.get(path, nothing)!r}, in the zoo {theirs.get(path, nothing)!r}"
        for path in sorted(mine.keys() | theirs.keys())
        if mine.get(path, nothing) != theirs.get(path, nothing)
        and not any(fnmatchcase(path, pattern) for pattern in may)
        and not (path in SPELLED_OUT and path not in theirs and mine[path] == SPELLED_OUT[path])
    ]


@pytest.mark.parametrize("row", ZOO)
def test_row_is_the_zoo_config(row: str, composed: dict[str, dict[str, Any]]) -> None:
    assert differences(row, composed[row], zoo_config(ZOO[row])) == []


@pytest.mark.parametrize("row", ZOO)
def test_any_other_difference_would_show(row: str, composed: dict[str, dict[str, Any]]) -> None:
    zoo = zoo_config(ZOO[row])
    hidden = []
    for path, _ in leaves(zoo):
        if path.endswith(" is"):
            continue
        changed = plain(zoo)
        set_leaf(changed, path.split("."), "something else")
        if not differences(row, changed, zoo):
            hidden.append(path)
    expected = {path for path, _ in leaves(zoo) if path in SAVED_MORE_OFTEN.get(row, ())}
    expected |= {path for path, _ in leaves(zoo) if is_data(path)}
    assert set(hidden) == expected


def is_data(path: str) -> bool:
    names = ("ann_file", "data_root", "data_prefix.img", "model.bbox_head.num_classes")
    return path.endswith(names)


def set_leaf(node: Any, keys: list[str], value: Any) -> None:
    """Sets a leaf by its path, turning the tuples on the way into lists."""
    index: Any = int(keys[0]) if isinstance(node, list) else keys[0]
    if len(keys) == 1:
        node[index] = value
        return
    if isinstance(node[index], tuple):
        node[index] = list(node[index])
    set_leaf(node[index], keys[1:], value)


def test_zoo_rows_have_ten_classes_and_the_dataset(composed: dict[str, dict[str, Any]]) -> None:
    for row in ZOO:
        config = composed[row]
        assert config["model"]["bbox_head"]["num_classes"] == 10
        train = config["train_dataloader"]["dataset"]
        train = train.get("dataset", train)
        assert (train["ann_file"], train["data_prefix"]) == (
            "/data/train.json",
            {"img": "/data/images/"},
        )
        for split in ("val", "test"):
            assert config[f"{split}_dataloader"]["dataset"]["ann_file"] == "/data/val.json"
            assert config[f"{split}_evaluator"]["ann_file"] == "/data/val.json"


@pytest.mark.parametrize("row", ZOO)
def test_the_same_row_made_from_its_config(row: str, composed: dict[str, dict[str, Any]]) -> None:
    """Model, optimizer, schedule, pipelines and all else are those of the row of parts."""
    whole = Row.model_validate({"name": row, "config": f"mmdet::{ZOO[row]}"})
    ours, theirs = dict(leaves(composed[row])), dict(leaves(composed_of(whole)))
    unlike = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    assert unlike <= {*SPELLED_OUT, *SAVED_MORE_OFTEN.get(row, ())}
    assert ours.keys() - theirs.keys() <= SPELLED_OUT.keys()


@pytest.mark.parametrize("row", load_experiment(LEADERBOARD).rows, ids=lambda row: row.name)
def test_a_config_with_every_part_replaced_is_the_row_of_parts(
    row: Row, composed: dict[str, dict[str, Any]]
) -> None:
    """Nothing of a two-stage detector leaks into what takes its place."""
    whole = {"name": row.name, "config": "faster-rcnn_r50_fpn_1x_coco", "replace": row.recipe.names}
    ours = dict(leaves(composed[row.name]))
    theirs = {
        "log_processor.by_epoch": True,
        **dict(leaves(composed_of(Row.model_validate(whole)))),
    }
    assert {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)} == set()


CONVNEXT_LARGE = {
    "model.type": "RetinaNet",
    "model.backbone": {
        "type": "mmpretrain.ConvNeXt",
        "arch": "large",
        "drop_path_rate": 0.5,
        "layer_scale_init_value": 1.0,
        "gap_before_final_norm": False,
        "out_indices": [0, 1, 2, 3],
        "init_cfg": {
            "type": "Pretrained",
            "checkpoint": "https://mmassets.onedl.ai/mmclassification/v0/convnext/"
            "convnext-large_3rdparty_in21k_20220124-41b5a79f.pth",
            "prefix": "backbone.",
        },
    },
    "model.neck": {
        "type": "FPN",
        "in_channels": [192, 384, 768, 1536],
        "out_channels": 256,
        "start_level": 1,
        "add_extra_convs": "on_input",
        "num_outs": 5,
    },
    "model.bbox_head": {
        "type": "RetinaHead",
        "num_classes": 10,
        "in_channels": 256,
        "stacked_convs": 4,
        "feat_channels": 256,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "octave_base_scale": 4,
            "scales_per_octave": 3,
            "ratios": [0.5, 1.0, 2.0],
            "strides": [8, 16, 32, 64, 128],
        },
        "bbox_coder": {
            "type": "DeltaXYWHBBoxCoder",
            "target_means": [0.0, 0.0, 0.0, 0.0],
            "target_stds": [1.0, 1.0, 1.0, 1.0],
        },
        "loss_cls": {
            "type": "FocalLoss",
            "use_sigmoid": True,
            "gamma": 2.0,
            "alpha": 0.25,
            "loss_weight": 1.0,
        },
        "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
    },
    "model.train_cfg.assigner.pos_iou_thr": 0.5,
    "model.train_cfg.assigner.neg_iou_thr": 0.4,
    "model.test_cfg": {
        "nms_pre": 1000,
        "min_bbox_size": 0,
        "score_thr": 0.05,
        "nms": {"type": "nms", "iou_threshold": 0.5},
        "max_per_img": 100,
    },
    "optim_wrapper": {
        "type": "OptimWrapper",
        "constructor": "LearningRateDecayOptimizerConstructor",
        "paramwise_cfg": {"decay_rate": 0.95, "decay_type": "layer_wise", "num_layers": 6},
        "optimizer": {"type": "AdamW", "lr": 1e-4, "betas": (0.9, 0.999), "weight_decay": 0.05},
        "clip_grad": {"max_norm": 35, "norm_type": 2},
    },
    "param_scheduler": [
        {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 500},
        {
            "type": "MultiStepLR",
            "begin": 0,
            "end": 12,
            "by_epoch": True,
            "milestones": [9, 11],
            "gamma": 0.1,
        },
    ],
    "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 12, "val_interval": 1},
    "train_dataloader.batch_size": 4,
    "train_dataloader.num_workers": 7,
    "train_dataloader.dataset.type": "RepeatDataset",
    "train_dataloader.dataset.times": 3,
    "train_dataloader.dataset.dataset.pipeline.2": {
        "type": "RandomResize",
        "scale": [(1333, 640), (1333, 800)],
        "keep_ratio": True,
    },
    "train_dataloader.dataset.dataset.pipeline.3": {"type": "RandomFlip", "prob": 0.5},
    "test_dataloader.dataset.pipeline.1": {
        "type": "Resize",
        "scale": (1333, 800),
        "keep_ratio": True,
    },
    "tta_pipeline.1.transforms.0": [
        {"type": "Resize", "scale": scale, "keep_ratio": True}
        for scale in [(1333, 800), (666, 400), (2000, 1200)]
    ],
    "tta_pipeline.1.transforms.1": [
        {"type": "RandomFlip", "prob": 1.0},
        {"type": "RandomFlip", "prob": 0.0},
    ],
    "default_hooks.checkpoint": {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 3},
    "default_hooks.logger.interval": 50,
    "auto_scale_lr": {"enable": False, "base_batch_size": 16},
    "randomness": {"seed": 2024},
}


@pytest.mark.parametrize("path", CONVNEXT_LARGE)
def test_convnext_large_is_as_published(path: str, composed: dict[str, dict[str, Any]]) -> None:
    node: Any = composed["convnext_large_fpn_3x"]
    for key in path.split("."):
        node = node[int(key)] if isinstance(node, list) else node[key]
    assert node == CONVNEXT_LARGE[path]


def test_convnext_tiny_differs_in_the_backbone_alone(composed: dict[str, dict[str, Any]]) -> None:
    tiny, large = (dict(leaves(composed[f"convnext_{size}_fpn_3x"])) for size in ("tiny", "large"))
    paths = {path for path in tiny.keys() | large.keys() if tiny.get(path) != large.get(path)}
    assert paths == {
        "model.backbone.arch",
        "model.backbone.init_cfg.checkpoint",
        *(f"model.neck.in_channels.{i}" for i in range(4)),
    }
    assert composed["convnext_tiny_fpn_3x"]["model"]["neck"]["in_channels"] == [96, 192, 384, 768]


def test_rows_are_the_published_table() -> None:
    table = [
        ("ResNet-50", "FPN", "FreeAnchorRetinaHead", "StepLR_1x", 0.1771),
        ("ResNet-50", "FPN", "PISARetinaHead", "StepLR_1x", 0.2482),
        ("ResNet-50", "FPG", "RetinaHead", "StepLR_50e", 0.292),
        ("ResNet-50", "FPN", "RetinaHead", "LinearLR + MultiStepLR_90k", 0.389),
        ("ResNet-50", "FPN", "RetinaHead", "mstrain_3x", 0.4527),
        ("ResNet-101", "FPN", "RetinaHead", "mstrain_3x", 0.4591),
        ("ResNeXt-101", "FPN", "RetinaHead", "mstrain_3x", 0.4976),
        ("ConvNeXt-tiny", "FPN", "RetinaHead", "mstrain_3x", 0.4978),
        ("ConvNeXt-large", "FPN", "RetinaHead", "mstrain_3x", 0.6073),
    ]
    titles = ("Model", "Backbone", "Neck", "Head", "Learning Method")
    rows = load_experiment(LEADERBOARD).rows
    shown = [
        (*(row.labels[title] for title in titles), row.published and row.published.value)
        for row in rows
    ]
    assert shown == [("RetinaNet", *line) for line in table]
