"""Detection configs of any origin, made for a data set of four classes: what changes, what stays, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmark.config.config_file import load_config, plain
from benchmark.config.retarget import fill_dataset, retarget
from benchmark.config.vocabulary import objections
from benchmark.config.vocabulary.runtime import sections
from benchmark.data.dataset import Dataset, Split
from benchmark.errors import UserError

DATA = Dataset(
    "litter",
    ("glass", "metal", "paper", "plastic"),
    Split(Path("/data/train.json"), Path("/data/images"), "a" * 64),
    Split(Path("/data/val.json"), Path("/data/images"), "b" * 64),
)
WITH_MASKS = replace(DATA, masks=True)
SHARED = {"type": "DefaultSampler", "shuffle": False}


def steps(**loading: Any) -> list[dict[str, Any]]:
    """A pipeline."""
    return [
        {"type": "LoadImageFromFile", "backend_args": None},
        dict(type="LoadAnnotations", with_bbox=True, **loading),
        {"type": "Resize", "scale": (64, 64), "keep_ratio": True},
        {"type": "PackDetInputs"},
    ]


def coco(**more: Any) -> dict[str, Any]:
    """A data set as mmdet's configs name it."""
    named = {"data_root": "data/coco/", "ann_file": "annotations/instances_train2017.json"}
    return dict(
        type="CocoDataset", **named, data_prefix={"img": "train2017/"}, pipeline=steps(), **more
    )


def config_of(model: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A whole config around a model."""
    config = {
        "model": model
        or {"type": "RetinaNet", "bbox_head": {"type": "RetinaHead", "num_classes": 80}},
        "train_dataloader": {
            "batch_size": 2,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "dataset": coco(),
        },
        "val_dataloader": {"batch_size": 1, "sampler": SHARED, "dataset": coco(test_mode=True)},
        "test_dataloader": {"batch_size": 1, "sampler": SHARED, "dataset": coco(test_mode=True)},
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 12, "val_interval": 1},
        "val_cfg": {"type": "ValLoop"},
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.01}},
        "val_evaluator": {
            "type": "CocoMetric",
            "ann_file": "data/coco/annotations/val.json",
            "metric": "bbox",
        },
    }
    return plain({**config, **more})


def train_set(config: dict[str, Any]) -> Any:
    return config["train_dataloader"]["dataset"]


def told(config: dict[str, Any], data: Dataset = DATA) -> tuple[str, ...]:
    """What retargeting says of a config, less where its data was."""
    return tuple(line for line in retarget(config, data) if not line.startswith("data: "))


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ({"bbox_head": {"num_classes": 80}}, "bbox_head"),
        ({"bbox_head": {"type": "RetinaHead"}}, "bbox_head"),
        (
            {"roi_head": {"bbox_head": [{"num_classes": 80}, {"num_classes": 80}]}},
            "roi_head.bbox_head",
        ),
        ({"roi_head": [{"bbox_head": {"num_classes": 80}}]}, "roi_head.bbox_head"),
        ({"query_head": {"num_classes": 80}}, "query_head"),
        ({"roi_head": {"glbctx_head": {"num_classes": 80}}}, "roi_head.glbctx_head"),
        ({"bbox_head": {"num_classes": 4, "loss_cls": {"num_classes": 80}}}, "bbox_head.loss_cls"),
    ],
)
def test_every_head_that_tells_classes_apart_has_those_of_the_data(
    model: dict[str, Any], path: str
) -> None:
    config = config_of(dict(type="AnyDetector", **model))
    assert told(config) == (f"{path}.num_classes: 80 -> 4",)
    node = config["model"]
    for key in path.split("."):
        found = node[key]
        assert {len(each) > 0 and each.get("num_classes", 4) for each in _listed(found)} == {4}
        node = _listed(found)[-1]


def _listed(node: Any) -> list[Any]:
    return node if isinstance(node, list) else [node]


def test_proposals_backbones_and_necks_keep_their_classes() -> None:
    model = {
        "type": "FasterRCNN",
        "backbone": {"num_classes": 1000, "init_cfg": {"num_classes": 21841}},
        "neck": [{"num_classes": 7}],
        "rpn_head": {
            "type": "FCOSHead",
            "num_classes": 1,
            "loss_cls": {"class_weight": [1.0, 1.0]},
        },
        "roi_head": {"bbox_head": {"num_classes": 4}},
    }
    config = config_of(model)
    assert told(config) == ()
    assert config["model"] == model


@pytest.mark.parametrize(
    ("weights", "fitted", "line"),
    [
        (
            [1.0] * 80 + [0.1],
            [1.0] * 4 + [0.1],
            "81 weights -> 1.0 for each class, 0.1 for no object",
        ),
        ([2.0] * 80, [2.0] * 4, "80 weights -> 2.0 for each class"),
        (
            [1.0, 3.0] * 40 + [0.5],
            [1.0] * 4 + [0.5],
            "81 weights -> 1.0 for each class, 0.5 for no object",
        ),
        ([1.0, 2.0], [1.0, 2.0], None),
        (1.5, 1.5, None),
    ],
)
def test_weights_of_classes_are_as_many_as_there_are_classes(
    weights: Any, fitted: Any, line: str | None
) -> None:
    head = {"num_classes": 80, "loss_cls": {"type": "CrossEntropyLoss", "class_weight": weights}}
    config = config_of({"type": "DETR", "bbox_head": head})
    lines = told(config)
    assert config["model"]["bbox_head"]["loss_cls"]["class_weight"] == fitted
    assert lines[1:] == ((f"bbox_head.loss_cls.class_weight: {line}",) if line else ())


MASKED = [
    (
        "MaskRCNN",
        "StandardRoIHead",
        "FasterRCNN",
        "StandardRoIHead",
        ["mask_head", "mask_roi_extractor"],
    ),
    (
        "MaskScoringRCNN",
        "MaskScoringRoIHead",
        "FasterRCNN",
        "StandardRoIHead",
        ["mask_head", "mask_iou_head"],
    ),
    ("PointRend", "PointRendRoIHead", "FasterRCNN", "StandardRoIHead", ["mask_head", "point_head"]),
    (
        "CascadeRCNN",
        "CascadeRoIHead",
        "CascadeRCNN",
        "CascadeRoIHead",
        ["mask_head", "mask_roi_extractor"],
    ),
    (
        "QueryInst",
        "SparseRoIHead",
        "QueryInst",
        "SparseRoIHead",
        ["mask_head", "mask_roi_extractor"],
    ),
]


def masked(detector: str, roi_head: str, keys: list[str]) -> dict[str, Any]:
    head = dict(
        type=roi_head, bbox_head={"num_classes": 80}, **{k: {"num_classes": 80} for k in keys}
    )
    sizes = {"type": "BatchFixedSizePad", "size": (64, 64), "pad_mask": True}
    prepared = {"type": "DetDataPreprocessor", "pad_mask": True, "batch_augments": [sizes]}
    model = {"type": detector, "data_preprocessor": prepared, "roi_head": head}
    train = coco()
    train["pipeline"] = steps(with_mask=True, poly2mask=False)
    train["pipeline"].insert(
        3, {"type": "FilterAnnotations", "by_mask": True, "min_gt_mask_area": 1}
    )
    train["pipeline"].insert(3, {"type": "CopyPaste", "max_num_pasted": 100})
    evaluator = {"type": "CocoMetric", "ann_file": "val.json", "metric": ["bbox", "segm"]}
    config = config_of(model, val_evaluator=evaluator)
    config["train_dataloader"]["dataset"] = train
    return config


@pytest.mark.parametrize(("detector", "roi_head", "boxes", "boxes_head", "keys"), MASKED)
def test_a_mask_branch_goes_where_the_data_has_none(
    detector: str, roi_head: str, boxes: str, boxes_head: str, keys: list[str]
) -> None:
    config = masked(detector, roi_head, keys)
    lines = told(config)
    model = config["model"]
    assert model["type"] == boxes
    assert model["roi_head"] == {"type": boxes_head, "bbox_head": {"num_classes": 4}}
    assert "pad_mask=True" not in repr(model["data_preprocessor"])
    assert not model["data_preprocessor"]["batch_augments"][0]["pad_mask"]
    assert lines[0] == "mask branch dropped: " + ", ".join(f"roi_head.{key}" for key in keys)
    assert (f"{detector} -> {boxes}" in lines) == (detector != boxes)
    assert "CocoMetric.metric: bbox, segm -> bbox" in lines
    assert "CopyPaste dropped: it pastes objects along their masks" in lines
    kept = [step["type"] for step in train_set(config)["pipeline"]]
    assert kept == [
        "LoadImageFromFile",
        "LoadAnnotations",
        "Resize",
        "FilterAnnotations",
        "PackDetInputs",
    ]
    assert train_set(config)["pipeline"][1] == {"type": "LoadAnnotations", "with_bbox": True}
    assert train_set(config)["pipeline"][3] == {"type": "FilterAnnotations", "by_box": True}


@pytest.mark.parametrize(("detector", "roi_head", "_boxes", "_head", "keys"), MASKED)
def test_a_mask_branch_stays_where_the_data_has_masks(
    detector: str, roi_head: str, _boxes: str, _head: str, keys: list[str]
) -> None:
    config = masked(detector, roi_head, keys)
    before = plain(train_set(config))["pipeline"]
    lines = told(config, WITH_MASKS)
    assert "roi_head.mask_head.num_classes: 80 -> 4" in lines
    assert not [
        line for line in lines if "dropped" in line or "not loaded" in line or "RCNN" in line
    ]
    model = config["model"]
    assert model["type"] == detector
    assert model["roi_head"]["mask_head"] == {"num_classes": 4}
    assert model["data_preprocessor"]["pad_mask"]
    assert train_set(config)["pipeline"] == before
    assert config["val_evaluator"]["metric"] == "bbox"


@pytest.mark.parametrize(
    "model",
    [
        {"type": "HybridTaskCascade", "roi_head": {"type": "HybridTaskCascadeRoIHead"}},
        {"type": "CondInst", "bbox_head": {"type": "CondInstBboxHead"}, "mask_head": {"in": 1}},
        {"type": "RTMDet", "bbox_head": {"type": "RTMDetInsSepBNHead"}},
    ],
)
def test_what_learns_boxes_and_masks_together_needs_masks(model: dict[str, Any]) -> None:
    model = plain(model)
    if "roi_head" in model:
        model["roi_head"].update(
            mask_head=[{"num_classes": 80}], semantic_head={"num_classes": 183}
        )
    config = config_of(model)
    train_set(config)["pipeline"] = steps(with_mask=True, with_seg=True)
    with pytest.raises(UserError, match="learns boxes and masks together"):
        retarget(plain(config), DATA)
    lines = told(config, WITH_MASKS)
    assert train_set(config)["pipeline"] == steps(with_mask=True)
    maps = "branch for semantic maps dropped: roi_head.semantic_head"
    assert (maps in lines) == ("roi_head" in model)
    assert config["model"].get("mask_head") in (None, {"in": 1})  # it takes no number of classes
    if "roi_head" in model:
        roi_head = {"type": "HybridTaskCascadeRoIHead", "mask_head": [{"num_classes": 4}]}
        assert config["model"]["roi_head"] == roi_head


def test_without_the_data_nobody_knows_whether_it_has_masks() -> None:
    stated = replace(DATA, train=replace(DATA.train, sha256=""), val=replace(DATA.val, sha256=""))
    unsure = "masks: whether every object has one is known only where the data is"
    for data, expected in ((DATA, False), (stated, True)):
        assert (
            unsure in told(masked("MaskRCNN", "StandardRoIHead", ["mask_head"]), data)
        ) == expected
    assert unsure not in told(config_of(), stated)


def test_a_detector_of_boxes_is_shown_no_masks_even_where_there_are_some() -> None:
    config = config_of()
    train_set(config)["pipeline"] = steps(with_mask=True)
    assert "masks are not loaded: with_mask, poly2mask and the like" in told(config, WITH_MASKS)
    assert train_set(config)["pipeline"] == steps()


def test_data_is_read_through_whatever_repeats_joins_or_mixes_it() -> None:
    other = {
        "type": "VOCDataset",
        "data_root": "data/VOC/",
        "ann_file": "a.txt",
        "ann_subdir": "x",
        "pipeline": steps(),
    }
    joined = {"type": "ConcatDataset", "ignore_keys": ["a"], "datasets": [other, plain(other)]}
    balanced = {"type": "ClassBalancedDataset", "oversample_thr": 1e-3, "dataset": joined}
    mixed = {
        "type": "MultiImageMixDataset",
        "dataset": balanced,
        "pipeline": [{"type": "Mosaic", "img_scale": (64, 64)}],
    }
    config = config_of()
    config["train_dataloader"]["dataset"] = {"type": "RepeatDataset", "times": 3, "dataset": mixed}
    lines = told(config)
    assert lines[1:] == (
        "ConcatDataset of 2 -> one data set",
        "VOCDataset -> CocoDataset, without ann_subdir",
        "ClassBalancedDataset dropped",
    )
    found = train_set(config)
    assert found["times"] == 3
    assert found["dataset"]["pipeline"] == mixed["pipeline"]
    leaf = found["dataset"]["dataset"]
    assert leaf == {
        "type": "CocoDataset",
        "data_root": "",
        "ann_file": "/data/train.json",
        "data_prefix": {"img": "/data/images/"},
        "metainfo": {"classes": DATA.classes},
        "pipeline": steps(),
        "backend_args": None,
    }


def test_a_data_set_keeps_how_it_filters_and_nothing_about_files() -> None:
    config = config_of()
    train_set(config).update(
        filter_cfg={"filter_empty_gt": False, "min_size": 16},
        metainfo={"classes": ("person",)},
        indices=1000,
        label_file="labels.csv",
    )
    lines = retarget(config, DATA)
    assert lines[1:] == (
        "CocoDataset without indices, label_file",
        "class names: person -> those of litter",
        "data: data/coco/ -> litter",
    )
    assert train_set(config)["filter_cfg"] == {"filter_empty_gt": False, "min_size": 16}
    assert config["val_dataloader"]["dataset"]["test_mode"] is True
    assert config["val_dataloader"]["dataset"]["ann_file"] == "/data/val.json"
    assert retarget(config, DATA) == ()


def test_every_image_is_evaluated_once() -> None:
    config = config_of()
    config["val_dataloader"].update(
        dataset={"type": "RepeatDataset", "times": 2, "dataset": coco(indices=5)},
        sampler={"type": "InfiniteSampler"},
        drop_last=True,
        batch_size=None,
    )
    lines = told(config)
    assert "RepeatDataset dropped" in lines
    assert "InfiniteSampler of validation -> DefaultSampler, without shuffle" in lines
    assert "drop_last of validation dropped: every image is evaluated once" in lines
    loader = config["val_dataloader"]
    assert loader["sampler"] == SHARED
    assert loader["batch_size"] == 1
    assert "indices" not in loader["dataset"]
    assert loader["dataset"]["type"] == "CocoDataset"


@pytest.mark.parametrize(
    ("sampler", "loop", "kept"),
    [
        (
            "InfiniteSampler",
            {"type": "IterBasedTrainLoop", "max_iters": 9, "val_interval": 9},
            True,
        ),
        ("InfiniteSampler", {"type": "EpochBasedTrainLoop", "max_epochs": 9}, False),
        ("GroupMultiSourceSampler", {"type": "IterBasedTrainLoop", "max_iters": 9}, False),
        ("ClassAwareSampler", {"type": "EpochBasedTrainLoop", "max_epochs": 9}, True),
    ],
)
def test_samplers_draw_from_one_data_set(sampler: str, loop: dict[str, Any], kept: bool) -> None:
    config = config_of(train_cfg=loop)
    config["train_dataloader"]["sampler"] = {"type": sampler}
    lines = told(config)
    assert (config["train_dataloader"]["sampler"]["type"] == sampler) == kept
    assert (len(lines) == 1) == kept


def test_pipelines_within_hooks_and_test_time_augmentation_are_fitted() -> None:
    boosted = [{"type": "InstaBoost", "hflag": False}, *steps(with_mask=True)]
    boosted[1]["file_client_args"] = {"backend": "petrel"}
    choice = {
        "type": "RandomChoice",
        "transforms": [[{"type": "InstaBoost"}], [{"type": "Pad", "size": (64, 64)}]],
    }
    albu = {
        "type": "Albu",
        "transforms": [{"type": "Blur"}],
        "keymap": {"img": "image", "gt_masks": "masks"},
    }
    config = config_of(
        custom_hooks=[
            {"type": "PipelineSwitchHook", "switch_epoch": 280, "switch_pipeline": boosted}
        ],
        tta_pipeline=[
            {
                "type": "TestTimeAug",
                "transforms": [[{"type": "LoadAnnotations", "with_mask": True}]],
            }
        ],
    )
    train_set(config)["pipeline"] = [*steps()[:3], choice, albu, steps()[3]]
    lines = told(config)
    assert "InstaBoost dropped: it moves objects along their masks" in lines
    assert "backend_args dropped: the data is local" in lines
    assert config["custom_hooks"][0]["switch_pipeline"] == steps()
    assert config["tta_pipeline"][0]["transforms"] == [[{"type": "LoadAnnotations"}]]
    fitted = train_set(config)["pipeline"]
    assert fitted[3]["transforms"] == [[], [{"type": "Pad", "size": (64, 64)}]]
    assert fitted[4]["keymap"] == {"img": "image"}


@pytest.mark.parametrize(
    ("evaluator", "line"),
    [
        (
            {"type": "LVISMetric", "ann_file": "a", "metric": ["bbox", "segm"]},
            "LVISMetric -> CocoMetric",
        ),
        (
            [{"type": "CocoMetric"}, {"type": "CityScapesMetric"}],
            "CocoMetric and CityScapesMetric -> CocoMetric",
        ),
        (
            {"type": "CocoMetric", "metric": "bbox", "proposal_nums": (1, 10, 500)},
            "CocoMetric without proposal_nums",
        ),
        (None, "evaluator: CocoMetric of boxes"),
    ],
)
def test_rows_are_judged_by_one_evaluator_of_boxes(evaluator: Any, line: str | None) -> None:
    config = config_of(val_evaluator=evaluator, val_cfg=None, test_evaluator=evaluator, test_cfg={})
    lines = told(config)
    assert lines[1:] == (*([line] if line else []), "no val_cfg -> ValLoop")
    assert config["val_evaluator"] == {
        "type": "CocoMetric",
        "ann_file": "/data/val.json",
        "metric": "bbox",
        "format_only": False,
        "backend_args": None,
    }
    assert config["test_evaluator"] == config["val_evaluator"]
    assert config["val_cfg"] == {"type": "ValLoop"}
    assert config["test_cfg"] == {"type": "TestLoop"}


def test_a_config_without_a_test_has_that_of_its_validation() -> None:
    config = config_of(test_dataloader=None)
    assert told(config)[1:] == ("no test_dataloader -> that of validation",)
    assert config["test_dataloader"] == config["val_dataloader"]
    assert config["test_dataloader"] is not config["val_dataloader"]
    assert list(sections(config)) == []


def test_a_config_without_a_validation_has_that_of_its_test() -> None:
    config = config_of(val_dataloader=None, val_cfg=None, val_evaluator=None)
    config["test_dataloader"]["dataset"] = coco(filter_cfg={"filter_empty_gt": True})
    assert told(config)[1:] == (
        "no val_dataloader -> that of the test",
        "filter_cfg of validation dropped: every image is evaluated",
        "evaluator: CocoMetric of boxes",
        "no val_cfg -> ValLoop",
    )
    assert config["val_dataloader"] == config["test_dataloader"]
    assert list(sections(config)) == []


@pytest.mark.parametrize(
    ("score", "ours"),
    [
        ("pascal_voc/mAP", "coco/bbox_mAP"),
        ("coco/segm_mAP_50", "coco/bbox_mAP"),
        ("val/bbox_mAP_75", "coco/bbox_mAP_75"),
        ("coco/bbox_mAP_50", "coco/bbox_mAP_50"),
        ("auto", "auto"),
        (["lvis/bbox_AP", "coco/bbox_mAP"], ["coco/bbox_mAP"]),
    ],
)
def test_what_waits_for_a_score_waits_for_one_of_boxes(score: Any, ours: Any) -> None:
    config = config_of(
        default_hooks={"checkpoint": {"type": "CheckpointHook", "save_best": score}},
        custom_hooks=[{"type": "EarlyStoppingHook", "monitor": score}],
        param_scheduler=[{"type": "ReduceOnPlateauLR", "monitor": score}, {"type": "LinearLR"}],
    )
    lines = told(config)
    assert config["default_hooks"]["checkpoint"]["save_best"] == ours
    assert config["custom_hooks"][0]["monitor"] == ours
    assert config["param_scheduler"][0]["monitor"] == ours
    assert len(lines) == 1 + 2 * (score != ours)


def test_what_would_end_a_run_or_leave_it_without_a_score_is_mended() -> None:
    loop = {
        "type": "IterBasedTrainLoop",
        "by_epoch": False,
        "max_iters": 90,
        "val_interval": 30.0,
        "val_begin": 91,
    }
    config = config_of(train_cfg=loop)
    config["model"]["backbone"] = {"norm_cfg": {"type": "MMSyncBN", "requires_grad": True}}
    lines = told(config)
    assert config["train_cfg"] == {
        "type": "IterBasedTrainLoop",
        "max_iters": 90,
        "val_interval": 30,
        "val_begin": 90,
    }
    assert config["model"]["backbone"]["norm_cfg"] == {"type": "SyncBN", "requires_grad": True}
    assert [line.split()[0] for line in lines[1:]] == [
        "train_cfg.by_epoch",
        "train_cfg.val_begin:",
        "MMSyncBN",
    ]


class FasterRCNN:
    """A class as a config of the new kind names it."""


FasterRCNN.__module__ = "mmdet.models.detectors.faster_rcnn"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (FasterRCNN, "FasterRCNN"),
        ("mmdet.models.detectors.FasterRCNN", "FasterRCNN"),
        ("mmpretrain.models.backbones.ConvNeXt", "mmpretrain.ConvNeXt"),
        ("torch.optim.adamw.AdamW", "AdamW"),
        ("torch.nn.modules.activation.ReLU", "ReLU"),
        ("torch.nn.BatchNorm2d", "BN"),
        ("torch.nn.Dropout", "torch.nn.Dropout"),
        ("mmcv.ops.ModulatedDeformConv2dPack", "DCNv2"),
        ("mmcv.ops.nms", "nms"),
        ("mmengine.model.PretrainedInit", "Pretrained"),
        ("mmdet.FasterRCNN", "mmdet.FasterRCNN"),
        ("mine.Detector", "mine.Detector"),
    ],
)
def test_classes_go_by_the_names_that_registries_know(given: Any, name: str) -> None:
    config = config_of({"type": "RetinaNet", "parts": ({"type": given},)})
    retarget(config, DATA)
    assert config["model"]["parts"] == ({"type": name},)


def test_a_prefix_or_a_class_hides_no_detector_of_masks() -> None:
    head = {"bbox_head": {"num_classes": 80}, "mask_head": {"num_classes": 80}}
    for name in ("mmdet.MaskRCNN", "mmdet.models.detectors.mask_rcnn.MaskRCNN"):
        config = config_of(
            {"type": name, "roi_head": dict(type="mmdet.StandardRoIHead", **plain(head))}
        )
        assert "MaskRCNN -> FasterRCNN" in told(config)
    with pytest.raises(UserError, match="Mask2Former: predicts masks alone"):
        retarget(config_of({"type": "mmdet.models.Mask2Former"}), DATA)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            {"type": "GLIP", "language_model": {"type": "BertModel"}},
            "GLIP: detects by text prompts; needs BERT weights",
        ),
        (
            {"type": "Mine", "language_model": {"type": "BertModel"}},
            "Mine with language_model: detects by text",
        ),
        (
            {"type": "ByteTrack", "detector": {"type": "YOLOX"}},
            "ByteTrack: follows objects through videos",
        ),
        (
            {"type": "Mine", "detector": {"type": "YOLOX"}},
            "Mine with detector: is built around another detector",
        ),
        (
            {"type": "SoftTeacher", "detector": {"type": "FasterRCNN"}},
            "SoftTeacher: learns from images without boxes",
        ),
        ({"type": "LAD", "teacher_ckpt": "a.pth"}, "LAD: learns from a teacher"),
        (
            {"type": "CrowdDet", "roi_head": {"type": "MultiInstanceRoIHead"}},
            "MultiInstanceRoIHead: has one class built in",
        ),
        (
            {"type": "Mine", "teacher_config": "a.py"},
            "Mine with teacher_config: learns from a teacher",
        ),
        (
            {"type": "FastRCNN", "roi_head": {}},
            "FastRCNN: learns from proposals of another model",
        ),
        ({"type": "RPN", "rpn_head": {}}, "RPN: proposes regions without a class"),
        ({"type": "SOLO", "mask_head": {}}, "SOLO: predicts masks alone"),
        (
            {"type": "RTMDet", "bbox_head": {"type": "RTMDetInsHead"}},
            "RTMDetInsHead: learns boxes and masks together, and not every object of the data has a mask",
        ),
        (
            {"type": "CascadeRCNN", "roi_head": {"type": "SCNetRoIHead"}},
            "SCNetRoIHead: learns boxes and masks together",
        ),
        ({"type": "PanopticFPN", "semantic_head": {}}, "PanopticFPN: needs panoptic annotations"),
        (
            {"type": "Mine", "panoptic_head": {"num_classes": 1}},
            "Mine with panoptic_head: needs panoptic annotations",
        ),
        ({"type": "ImageClassifier", "head": {}}, "ImageClassifier: classifies whole images"),
        ({"type": "BaseReID", "head": {}}, "BaseReID: tells persons apart"),
        ({"type": "CLRNet", "bbox_head": {}}, "CLRNet: finds lanes"),
        ({"type": "Detectron2Wrapper", "bgr": True}, "Detectron2Wrapper: is a model of detectron2"),
        (
            {
                "type": "FCOS",
                "bbox_head": {"loss_cls": {"type": "MyLoss", "counts": "data/V3Det/counts.json"}},
            },
            "MyLoss.counts: reads 'data/V3Det/counts.json', a file about the classes of another data set",
        ),
    ],
)
def test_what_cannot_be_retargeted_is_refused_with_one_reason(
    model: dict[str, Any], reason: str
) -> None:
    config = config_of(model)
    before = plain(config)
    with pytest.raises(UserError) as error:
        retarget(config, DATA)
    assert len(error.value.problems) == 1
    assert reason in error.value.problems[0]
    assert config == before


def test_all_reasons_are_told_at_once() -> None:
    config = config_of({"type": "SOLO", "mask_head": {}}, train_dataloader=None)
    config["val_dataloader"] = [config["val_dataloader"], config["val_dataloader"]]
    with pytest.raises(UserError) as error:
        retarget(config, DATA)
    assert [problem.split(":")[0] for problem in error.value.problems] == [
        "SOLO",
        "train_dataloader",
        "val_dataloader",
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": None}, "no model"),
        ({"train_dataloader": None}, "train_dataloader: is missing"),
        ({"train_dataloader": None, "data": {"train": {}}}, "does not read mmdet 2's 'data'"),
        ({"val_dataloader": {"batch_size": 1}}, "val_dataloader: is missing"),
    ],
)
def test_a_config_without_model_or_data_is_refused(change: dict[str, Any], reason: str) -> None:
    config = {**config_of(), **change}
    with pytest.raises(UserError, match=reason):
        retarget(config, DATA)


def test_proposals_of_another_model_are_refused_wherever_they_are_loaded() -> None:
    config = config_of()
    train_set(config)["pipeline"].insert(1, {"type": "LoadProposals", "num_max_proposals": 2000})
    with pytest.raises(UserError, match="LoadProposals: learns from proposals of another model"):
        retarget(config, DATA)


# mmdet's own


def zoo() -> Path:
    found = find_spec("mmdet")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / ".mim" / "configs"


def one_of_each_family() -> Iterator[str]:
    """The first config of each folder of mmdet's."""
    for family in sorted(zoo().iterdir()):
        files = sorted(family.glob("*.py")) if family.name != "_base_" else []
        yield from (str(file.relative_to(zoo())) for file in files[:1])


REFUSED = {
    "GLIP", "GroundingDINO", "HybridTaskCascade", "RPN", "FastRCNN", "Mask2Former", "SOLO", "SOLOv2",
}  # fmt: skip


@pytest.mark.slow
def test_mmdets_own_configs_are_retargeted_or_refused_and_nothing_else_is_in_their_way() -> None:
    taken, refused = [], {}
    for name in one_of_each_family():
        try:
            config = plain(load_config(zoo() / name))
        except UserError:
            continue  # names a base that mmdet does not ship
        if not config.get("model"):
            continue
        try:
            retarget(config, DATA)
        except UserError as error:
            refused[name] = error.problems
            continue
        taken.append(name)
        others = set(_classes(config["model"])) - {4}
        assert not others, name
        before = plain(config)
        assert fill_dataset(config, DATA, Path("/experiments")) == [], name
        assert config == before, name
        assert [*sections(config), *objections(config)] == [], name
    assert len(taken) > 75
    assert len(refused) > 20
    assert {
        problem.split(":")[0] for problems in refused.values() for problem in problems
    } >= REFUSED


def _classes(node: Any) -> Iterator[int]:
    """Every number of classes outside of what knows none."""
    for key, value in node.items():
        if key == "num_classes":
            yield value
        if key not in ("backbone", "neck", "rpn_head"):
            yield from (
                n for each in _listed(value) if isinstance(each, dict) for n in _classes(each)
            )
