"""What ``smoke`` makes of detectors of every kind: less of the same, and what cannot be less of the same is said."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import LEADERBOARD, here

from benchmark.config.compose import changes_of, compose, config_roots
from benchmark.config.config_file import plain
from benchmark.config.foreign import load_pruned
from benchmark.config.shrink import shrink
from benchmark.config.vocabulary.machine import needs_of
from benchmark.data.dataset import Dataset, Split
from benchmark.experiment.experiment import Row
from benchmark.experiment.rows.base import Surroundings
from benchmark.experiment.rows.zoo import config_file

LIMITS = {"longest_side": 128, "epochs": 3, "images": 16, "val_images": 24, "pretrained": False}


@cache
def smoke(name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A row of one of mmdet's configs under ``smoke``, not to be changed, and what is said to have been changed."""
    train, val = (Split(Path(f"/data/{n}.json"), Path("/data"), n) for n in ("train", "val"))
    data = Dataset("some", tuple("abcd"), train, val)
    around = Surroundings(LEADERBOARD.parent, tuple(config_roots(LEADERBOARD)), "coco", "smoke")
    row = Row.model_validate({"name": "row", "config": name})
    return compose(row, data, around, seed=0, overrides={}), changes_of(row, data, around)


def steps(loader: dict[str, Any]) -> list[dict[str, Any]]:
    """Every transform of a loader's pipelines, from the first to the last."""
    return [node for node in _dicts(loader["dataset"]) if "type" in node]


def _dicts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list | tuple):
            yield from _dicts(child)


def sizes(loader: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The sizes of a loader's transforms, by the last of each type."""
    found = ((step["type"], step.get(key)) for step in steps(loader) for key in keys)
    return {kind: size for kind, size in found if size is not None}


def test_what_smoke_changed_beside_sizes_is_said(tmp_path: Path, synthetic_data: Path) -> None:
    rows = [{"name": "dino", "config": "dino-4scale_r50_8xb2-12e_coco"}]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"profile": "smoke", "rows": rows}))
    places = ("--data-root", synthetic_data, "--results", tmp_path / "results")
    asked = ["plan", *map(str, (path, *places))]
    shown = here(asked)
    assert shown.returncode == 0, shown.stderr
    told = " ".join((shown.stdout + shown.stderr).split())
    assert "model.num_queries: 900 -> 256" in told
    full = here([*asked, "--profile", "full"])
    assert "num_queries" not in full.stdout + full.stderr


# Images


@pytest.mark.parametrize(
    ("name", "made"),
    [
        # Crops and pads of one size, without a divisor: multiples of what the model divides by.
        ("rtmdet_tiny_8xb32-300e_coco", {"RandomResize": (256, 256), "RandomCrop": (128, 128), "Pad": (128, 128)}),
        ("rtmdet_x_p6_4xb8-300e_coco", {"RandomResize": (256, 256), "RandomCrop": (128, 128), "Pad": (128, 128)}),
        # An hourglass takes a pixel less.
        ("cornernet_hourglass104_8xb6-210e-mstest_coco", {"RandomCenterCropPad": (127, 127), "Resize": (127, 127)}),
        ("centernet_r18_8xb16-crop512-140e_coco", {"RandomCenterCropPad": (128, 128), "Resize": (128, 128)}),
        ("yolox_tiny_8xb8-300e_coco", {"Mosaic": (128, 128), "RandomAffine": (-64, -64), "Resize": (128, 128)}),
        ("retinanet_effb3_fpn_8xb4-crop896-1x_coco", {"RandomResize": (128, 128), "RandomCrop": (128, 128)}),
        ("faster-rcnn_r50_fpn_1x_coco", {"Resize": (128, 77)}),
        ("ssd300_coco", {"Resize": (300, 300)}),
        ("ssdlite_mobilenetv2-scratch_8xb24-600e_coco", {"Resize": (320, 320)}),
    ],
)  # fmt: skip
def test_training_images_are_as_large_as_asked(name: str, made: dict[str, Any]) -> None:
    config, _ = smoke(name)
    found = sizes(config["train_dataloader"], "scale", "img_scale", "crop_size", "size", "border")
    assert {kind: size for kind, size in found.items() if kind in made} == made


def test_the_short_side_alone_is_no_longest_side() -> None:
    config, _ = smoke("detr_r50_8xb2-150e_coco")
    scales = [step["scales"] for step in steps(config["train_dataloader"]) if "scales" in step]
    assert [max(map(max, each)) for each in scales] == [128, 128, 128]
    config, _ = smoke("dino-4scale_r50_8xb2-12e_coco")
    scales = [step["scales"] for step in steps(config["train_dataloader"]) if "scales" in step]
    # As DETR's, but for the step that limits the short side alone, before a crop.
    assert [max(map(max, each)) for each in scales] == [128, 403, 128]


@pytest.mark.parametrize(
    ("scale", "shrunk"),
    [
        ((400, 4200), (72, 756)),  # 711 pixels long at 16 : 9
        ((1333, 800), (128, 77)),
        (640, 128),
    ],
)
def test_a_scale_is_what_it_makes_of_a_photograph(scale: Any, shrunk: Any) -> None:
    config = raw(Resize=scale)
    assert shrink(config, LIMITS) == ()
    assert sizes(config["train_dataloader"], "scale") == {"Resize": shrunk}


def raw(**scales: Any) -> dict[str, Any]:
    """A config of one pipeline, with these sizes."""
    load = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
    resize = [{"type": kind, "scale": scale, "keep_ratio": True} for kind, scale in scales.items()]
    pack = {"type": "PackDetInputs", "meta_keys": ("img_id", "img_shape")}
    leaf = {"type": "CocoDataset", "ann_file": "x", "pipeline": [*load, *resize, pack]}
    held_out = {**leaf, "pipeline": [load[0], *resize, load[1], dict(pack)]}
    made = {
        "model": {"type": "FCOS", "data_preprocessor": {"pad_size_divisor": 32}},
        "train_dataloader": {"batch_size": 2, "dataset": leaf},
        "val_dataloader": {"dataset": held_out},
        "train_cfg": {"max_epochs": 3},
    }
    return plain(made)


def test_images_of_any_size_are_resized_where_no_step_does() -> None:
    config = raw()
    changes = shrink(config, LIMITS)
    learnt, held_out = (
        config[f"{use}_dataloader"]["dataset"]["pipeline"] for use in ("train", "val")
    )
    resize = {"type": "Resize", "scale": (128, 128), "keep_ratio": True}
    # Boxes that are learnt from are resized, too; those that are judged by are not.
    assert [step["type"] for step in learnt[:3]] == [
        "LoadImageFromFile",
        "LoadAnnotations",
        "Resize",
    ]
    assert [step["type"] for step in held_out[:3]] == [
        "LoadImageFromFile",
        "Resize",
        "LoadAnnotations",
    ]
    assert learnt[2] == held_out[1] == resize
    assert held_out[-1]["meta_keys"] == ("img_id", "img_shape", "scale_factor")
    assert len(changes) == 2 and "val_dataloader.dataset.pipeline: Resize to 128 px" in changes[1]


def test_a_resizing_of_ones_own_is_left_alone() -> None:
    config = before_packing({"type": "mine.ResizeByArea", "pixels": 10000})
    pipeline = list(config["train_dataloader"]["dataset"]["pipeline"])
    shrink(config, LIMITS)
    assert config["train_dataloader"]["dataset"]["pipeline"] == pipeline


def test_boxes_of_corners_are_found_in_small_images_and_told_in_large_ones() -> None:
    config, changes = smoke("cornernet_hourglass104_8xb6-210e-mstest_coco")
    pipeline = config["val_dataloader"]["dataset"]["pipeline"]
    assert pipeline[1] == {"type": "Resize", "scale": (127, 127), "keep_ratio": True}
    assert "scale_factor" in pipeline[-1]["meta_keys"]
    assert sum("Resize to 127 px" in line for line in changes) == 2


def test_images_that_cannot_shrink_are_fewer() -> None:
    config, changes = smoke("ssd300_coco")
    loader = config["train_dataloader"]
    assert loader["batch_size"] == loader["dataset"]["dataset"]["indices"] == 4
    assert loader["dataset"]["times"] == 1
    assert config["val_dataloader"]["dataset"]["indices"] == 8
    assert any(line.startswith("images stay at 300 px") for line in changes)
    assert "train_dataloader.batch_size: 8 -> 4, the images of an epoch" in changes


def test_batches_of_the_preprocessor_shrink_along() -> None:
    config, _ = smoke("mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_lsj-50e_coco")
    (pad,) = config["model"]["data_preprocessor"]["batch_augments"]
    assert pad["size"] == (128, 128)
    # Shrunk as it is: it is no row, for it knows one class alone.
    config = load_pruned(
        config_file("crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman", LEADERBOARD.parent)
    )
    shrink(config, LIMITS)
    (resize,) = config["model"]["data_preprocessor"]["batch_augments"]
    assert resize["scale"] == (128, 73)


def before_packing(*steps: dict[str, Any], **scales: Any) -> dict[str, Any]:
    """A config of one pipeline without a divisor, with these steps at its end."""
    config = raw(**scales)
    config["model"]["data_preprocessor"] = {}
    config["train_dataloader"]["dataset"]["pipeline"][-1:-1] = steps
    return config


def test_sizes_of_albumentations_shrink_along() -> None:
    crop = {"type": "RandomCrop", "height": 320, "width": 640, "p": 1}
    config = before_packing({"type": "Albu", "transforms": [crop]}, Resize=(1280, 1280))
    shrink(config, LIMITS)
    # What comes after the crop is no larger than it.
    assert sizes(config["train_dataloader"], "scale")["Resize"] == (256, 256)
    assert (crop["height"], crop["width"], crop["p"]) == (64, 128, 1)


def test_a_fixed_shape_is_an_image_size() -> None:
    fixed = {"type": "FixShapeResize", "width": 1024, "height": 768, "keep_ratio": True}
    config = before_packing(fixed)
    shrink(config, LIMITS)
    assert (fixed["width"], fixed["height"]) == (128, 128)  # 96, were it no multiple of 128
    assert [step["type"] for step in steps(config["train_dataloader"])].count("Resize") == 0


@pytest.mark.parametrize(
    ("strides", "longest", "made"),
    [([8, 16, 32], 320, 320), ([8, 16, 32, 64], 100, 64), (None, 320, 256), ([8, 16, 32], 20, 32)],
)
def test_crops_stay_multiples_of_what_heads_need(strides: Any, longest: int, made: int) -> None:
    crop = {"type": "RandomCrop", "crop_size": (640, 640)}
    pad = {"type": "Pad", "size": (704, 704)}
    config = before_packing(crop, Resize=(640, 640))
    config["val_dataloader"]["dataset"]["pipeline"].append(pad)
    config["model"]["bbox_head"] = {"strides": strides}
    shrink(config, {**LIMITS, "longest_side": longest})
    assert crop["crop_size"] == (made, made)
    (side, _) = pad["size"]
    assert isinstance(side, int)
    assert (
        704 * made / 640 <= side < 704 * made / 640 + 128
    )  # an image fits into what it is padded to


def test_a_crop_of_a_size_of_its_own_is_no_batch() -> None:
    crop = {"type": "RandomCrop", "crop_size": (384, 600), "crop_type": "absolute_range"}
    config = before_packing(crop, Resize=(1333, 800))
    shrink(config, LIMITS)
    assert crop["crop_size"] == (82, 128)


# Models


@pytest.mark.parametrize(
    ("name", "queries", "pad"),
    [
        ("dino-4scale_r50_8xb2-12e_coco", 256, 128),
        ("ddq-detr-4scale_r50_8xb2-12e_coco", 170, 128),  # looks at half as many more
        ("deformable-detr-refine-twostage_r50_16xb2-50e_coco", 256, 128),
        ("deformable-detr_r50_16xb2-50e_coco", 300, 1),  # queries that no image need have cells for
        ("detr_r50_8xb2-150e_coco", 100, 1),
    ],
)
def test_no_more_queries_than_a_batch_has_cells(name: str, queries: int, pad: int) -> None:
    model = smoke(name)[0]["model"]
    assert model["num_queries"] == queries
    assert model["data_preprocessor"]["pad_size_divisor"] == pad
    assert model["test_cfg"]["max_per_img"] <= queries
    config = {"model": {**model, "num_queries": 900, "data_preprocessor": {}}}
    shrink(config, {**LIMITS, "longest_side": 640})
    assert config["model"]["num_queries"] == 900
    assert config["model"]["data_preprocessor"] == {}


def test_two_stages_look_at_fewer_regions() -> None:
    config, changes = smoke("cascade-rcnn_r50_fpn_1x_coco")
    trained, tested = config["model"]["train_cfg"], config["model"]["test_cfg"]
    assert [stage["sampler"]["num"] for stage in trained["rcnn"]] == [64, 64, 64]
    assert (trained["rpn_proposal"]["max_per_img"], tested["rpn"]["max_per_img"]) == (192, 100)
    # The second stage's threshold is the one that boxes pass.
    assert (tested["rcnn"]["score_thr"], tested.get("score_thr")) == (0.001, None)
    assert "model.train_cfg.rcnn.2.sampler.num: 512 -> 64" in changes


def test_scores_that_are_products_pass_a_threshold_of_products() -> None:
    config, changes = smoke("yolox_tiny_8xb8-300e_coco")
    assert config["model"]["test_cfg"]["score_thr"] == pytest.approx(1e-5)
    assert any("score_thr: 0.001 -> 1e-05" in line for line in changes)


def test_windows_of_another_swin_are_padded() -> None:
    config = {**raw(Resize=(640, 640))}
    config["model"]["backbone"] = {"type": "mmpretrain.SwinTransformer", "arch": "tiny"}
    (change,) = shrink(config, LIMITS)
    assert config["model"]["backbone"]["pad_small_map"] is True
    assert change.startswith("mmpretrain.SwinTransformer.pad_small_map: True")


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, {"norm_eval": False}),
        ({"type": "SwinTransformer", "frozen_stages": 2}, {"frozen_stages": -1}),
        ({"type": "EfficientNet", "frozen_stages": 3}, {"frozen_stages": 0}),
        ({"type": "mmpretrain.EfficientNetV2", "frozen_stages": 3}, {"frozen_stages": 0}),
        ({"type": "PVT", "init_cfg": {"checkpoint": "x"}}, {"init_cfg": None}),
        ({"type": "PVT", "init_cfg": [{"type": "mmengine.Pretrained"}]}, {"init_cfg": None}),
        (
            {"type": "PVT", "init_cfg": [{"type": "Normal"}, {"type": "Pretrained"}]},
            {"init_cfg": [{"type": "Normal"}]},
        ),
        (
            {"type": "T", "pretrained": True, "checkpoint_path": "x"},
            {"pretrained": False, "checkpoint_path": ""},
        ),
        (
            {"type": "T", "pretrained": "x", "teacher_ckpt": "x"},
            {"pretrained": None, "teacher_ckpt": None},
        ),
    ],
)
def test_nothing_loads_weights_and_nothing_is_frozen(given: Any, made: Any) -> None:
    backbone = {"type": "ResNet", **given}
    config = {"model": {"type": "FCOS", "backbone": dict(backbone)}}
    assert shrink(config, LIMITS) == ()
    assert config["model"]["backbone"] == {**backbone, **made}
    config = {"model": {"type": "FCOS", "backbone": dict(backbone)}}
    shrink(config, {**LIMITS, "pretrained": True})
    assert config["model"]["backbone"] == backbone


# Schedules


def test_phases_of_a_schedule_keep_an_epoch_each() -> None:
    config, changes = smoke("yolox_tiny_8xb8-300e_coco")
    phases = [(one["begin"], one["end"]) for one in config["param_scheduler"]]
    assert phases == [(0, 1), (1, 2), (2, 3)]
    assert config["param_scheduler"][1]["T_max"] == 1
    (switch,) = [h for h in config["custom_hooks"] if h["type"] == "YOLOXModeSwitchHook"]
    assert switch["num_last_epochs"] == 1
    assert "YOLOXModeSwitchHook.num_last_epochs: 15 -> 1, of 3 epochs" in changes


def test_restarts_of_a_rate_come_within_the_shorter_training() -> None:
    config = raw(Resize=640)
    config["train_cfg"] = {"max_epochs": 300}
    restarts = {"type": "CosineRestartLR", "periods": [50, 100, 150], "end": 300}
    config["param_scheduler"] = restarts
    shrink(config, LIMITS)
    assert restarts["periods"] == [1, 1, 1]


def test_the_second_pipeline_comes_within_the_shorter_training() -> None:
    config, _ = smoke("rtmdet_tiny_8xb32-300e_coco")
    (switch,) = [h for h in config["custom_hooks"] if h["type"] == "PipelineSwitchHook"]
    assert switch["switch_epoch"] == 2
    second = {step["type"]: step for step in switch["switch_pipeline"]}
    assert second["RandomCrop"]["crop_size"] == second["Pad"]["size"] == (128, 128)
    warm_up, cosine = config["param_scheduler"]
    assert warm_up["end"] == 2  # of three iterations: one of a single step would never come up
    assert (cosine["begin"], cosine["end"], cosine["T_max"]) == (2, 3, 1)
    assert config["train_dataloader"]["batch_size"] == 16


def test_a_rate_whose_batch_nobody_said_stays() -> None:
    config = raw(Resize=640)
    config["auto_scale_lr"] = {"enable": True}
    (change,) = shrink(config, LIMITS)
    assert config["auto_scale_lr"] == {"enable": False}
    assert change.startswith("auto_scale_lr.enable: False")


def test_a_validation_comes_within_the_shorter_training() -> None:
    config = raw(Resize=640)
    config["train_cfg"] = {"max_epochs": 12, "val_begin": 12}
    shrink(config, LIMITS)
    assert config["train_cfg"] == {"max_epochs": 3, "val_begin": 2, "val_interval": 2}


# Precision


def test_mixed_precision_is_full_on_any_machine_and_said() -> None:
    name = "faster-rcnn_r50_fpn_amp-1x_coco"
    config, changes = smoke(name)
    plain_one, _ = smoke("faster-rcnn_r50_fpn_1x_coco")
    assert config["optim_wrapper"] == plain_one["optim_wrapper"]
    assert "AmpOptimWrapper -> OptimWrapper: mixed precision needs a GPU" in changes
    assert needs_of(config).unmet(has_gpu=False, processes=1) == []


@pytest.mark.parametrize(
    ("wrapper", "dropped"),
    [
        ({"type": "mmdet.AmpOptimWrapper", "loss_scale": "dynamic", "dtype": "float16"}, True),
        ({"type": "ApexOptimWrapper", "opt_level": "O1"}, True),
        ({"type": "MyOptimWrapper", "loss_scale": 512}, False),
    ],
)
def test_only_what_needs_a_gpu_is_left_out_of_an_optimizer_wrapper(
    wrapper: dict[str, Any], dropped: bool
) -> None:
    kept = {"accumulative_counts": 2, "clip_grad": {"max_norm": 35}, "optimizer": {"type": "SGD"}}
    loop = {"type": "ValLoop", "fp16": True}
    config = {"optim_wrapper": {**wrapper, **kept}, "val_cfg": loop, "train_cfg": {"max_epochs": 1}}
    changes = shrink(config, LIMITS)
    assert config["optim_wrapper"] == (
        {"type": "OptimWrapper", **kept} if dropped else {**wrapper, **kept}
    )
    assert config["val_cfg"] == {"type": "ValLoop"}
    assert len(changes) == 1 + dropped


def test_norms_that_learn_may_not_divide_by_nothing() -> None:
    from benchmark.config.shrink import weights

    norm = {"type": "BN", "requires_grad": False, "eps": 0}
    model = {"backbone": {"type": "ResNet", "norm_eval": True, "norm_cfg": norm}}
    changes: list[str] = []
    weights.start_from_random_weights(model, changes)
    assert changes == ["norm_cfg.eps: 0 -> torch's, since variances are learnt"]
    assert "eps" not in norm
