"""Knobs read and set what they say, on every row of the leaderboard, and move what was worked out from it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from command import LEADERBOARD
from mmengine.optim import CosineAnnealingLR, LinearLR, MultiStepLR

from benchmark.config.compose import compose, surroundings_of
from benchmark.config.config_file import plain
from benchmark.config.overrides import apply_overrides
from benchmark.data.dataset import Dataset, Split
from benchmark.experiment.experiment import Row, load_experiment
from benchmark.run.identity import essence
from benchmark.tuning.search.knobs import KNOBS, MISSING, NoSuchSetting, Unfit, value_at

ROWS = {row.name: row for row in load_experiment(LEADERBOARD).rows}
CONVNEXT = {name for name in ROWS if name.startswith("convnext")}
SCHEDULERS = {kind.__name__: kind for kind in (LinearLR, CosineAnnealingLR, MultiStepLR)}

# The rows that lack a knob, and the one key path of a knob that moves nothing else.
LACKING = {
    "layer_decay_rate": set(ROWS) - CONVNEXT,
    "drop_path": set(ROWS) - CONVNEXT,
    "frozen_stages": CONVNEXT,
    "focal_gamma": {"r50_fpn_freeanchor_1x"},
    "focal_alpha": {"r50_fpn_freeanchor_1x"},
}
PATHS = {
    "lr": "optim_wrapper.optimizer.lr",
    "weight_decay": "optim_wrapper.optimizer.weight_decay",
    "layer_decay_rate": "optim_wrapper.paramwise_cfg.decay_rate",
    "warmup": "param_scheduler.0.end",
    "focal_gamma": "model.bbox_head.loss_cls.gamma",
    "focal_alpha": "model.bbox_head.loss_cls.alpha",
    "octave_base_scale": "model.bbox_head.anchor_generator.octave_base_scale",
    "anchor_ratios": "model.bbox_head.anchor_generator.ratios",
    "nms_iou": "model.test_cfg.nms.iou_threshold",
    "score_thr": "model.test_cfg.score_thr",
    "batch_size": "train_dataloader.batch_size",
    "frozen_stages": "model.backbone.frozen_stages",
    "drop_path": "model.backbone.drop_path_rate",
}
OTHER_VALUES: dict[str, Any] = {
    "warmup": 3,
    "anchor_ratios": [0.25, 1.0, 4.0],
    "batch_size": 16,
    "frozen_stages": 2,
    "focal_gamma": 1.5,
    "octave_base_scale": 6,
}


def composed(row: Row, profile: str) -> dict[str, Any]:
    """A row's config where the leaderboard's experiment lies."""
    train, val = (
        Split(Path(f"/data/{name}.json"), Path(f"/data/{name}"), name) for name in ("train", "val")
    )
    around = surroundings_of(load_experiment(LEADERBOARD), profile)
    data = Dataset("some", ("a", "b", "c"), train, val)
    return compose(row, data, around, seed=0, overrides={})


@lru_cache
def _row_config(name: str, profile: str) -> dict[str, Any]:
    return composed(ROWS[name], profile)


def row_config(name: str = "r50_fpn_3x", profile: str = "full") -> dict[str, Any]:
    """A row's composed config, of its own."""
    config: dict[str, Any] = plain(_row_config(name, profile))
    return config


def with_overrides(config: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = plain(config)
    assert apply_overrides(changed, overrides.items()) == []
    return changed


def differing(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Key paths of the leaves that differ; a list of plain values is one leaf."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            yield from differing(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(before, list) and before and isinstance(before[0], dict | list):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from differing(*pair, f"{path}.{index}")
    elif before != after:
        assert type(before) is type(after), path
        yield path


@pytest.mark.parametrize("profile", ["full", "smoke"])
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("name", KNOBS)
def test_row_has_the_knob_or_says_what_it_lacks(name: str, row: str, profile: str) -> None:
    config, knob = row_config(row, profile), KNOBS[name]
    if row in LACKING.get(name, ()):
        with pytest.raises(NoSuchSetting, match=PATHS[name]):
            knob.read(config)
        return
    own = knob.read(config)
    assert knob.problem(own) is None
    assert own == (value_at(config, PATHS[name]) if name in PATHS else 1.0)
    assert essence(with_overrides(config, knob.overrides(config, own))) == essence(config)


@pytest.mark.parametrize(
    ("name", "row"),
    [(name, row) for name in PATHS for row in ROWS if row not in LACKING.get(name, ())],
)
def test_another_value_changes_its_key_path_alone(name: str, row: str) -> None:
    config, knob = row_config(row), KNOBS[name]
    value = OTHER_VALUES.get(name, 0.125)
    changed = with_overrides(config, knob.overrides(config, value))
    assert list(differing(config, changed)) == [PATHS[name]]
    assert knob.read(changed) == value


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("lr", 0, "not above 0"),
        ("lr", "fast", "not a number"),
        ("lr", True, "not a number"),
        ("batch_size", 2.5, "not a whole number"),
        ("batch_size", 0, "below 1"),
        ("frozen_stages", -2, "below -1"),
        ("warmup", 1, "below 2"),
        ("nms_iou", 1.5, "above 1"),
        ("anchor_ratios", 0.5, "not a list"),
        ("anchor_ratios", [], "not a list"),
        ("anchor_ratios", [0.5, -1.0], "not a list"),
        ("image_scale", 0.0, "not above 0"),
    ],
)
def test_value_that_makes_no_sense(name: str, value: Any, problem: str) -> None:
    assert problem in (KNOBS[name].problem(value) or "")


# Learning rate


def scheduled(*schedulers: dict[str, Any], **train_cfg: int) -> dict[str, Any]:
    return {
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.01}},
        "param_scheduler": list(schedulers),
        "train_cfg": train_cfg,
    }


def test_rates_of_schedulers_move_with_the_learning_rate() -> None:
    config = scheduled(
        {"type": "LinearLR", "start_factor": 0.001, "begin": 0, "end": 5},
        {"type": "CosineAnnealingLR", "eta_min": 0.0005, "T_max": 7},
        {"type": "mmengine.OneCycleLR", "eta_max": 0.1, "total_steps": 10},
        {"type": "ReduceOnPlateauLR", "min_value": [0.001, 0.002]},
        {"type": "PolyParamScheduler", "param_name": "lr", "eta_min": 0.002},
        {"type": "PolyLR", "eta_min": 0, "power": 0.9},
        {"type": "CosineAnnealingLR", "eta_min_ratio": 0.05},
        {"type": "CosineAnnealingMomentum", "eta_min": 0.5},
    )
    found = KNOBS["lr"].overrides(config, 0.02)
    assert found == {
        "optim_wrapper.optimizer.lr": 0.02,
        "param_scheduler.1.eta_min": pytest.approx(0.001),
        "param_scheduler.2.eta_max": pytest.approx(0.2),
        "param_scheduler.3.min_value": pytest.approx([0.002, 0.004]),
        "param_scheduler.4.eta_min": pytest.approx(0.004),
    }


def test_single_scheduler_outside_a_list() -> None:
    config = scheduled()
    config["param_scheduler"] = {"type": "CosineAnnealingLR", "eta_min": 0.001, "T_max": 4}
    assert "param_scheduler.eta_min" in KNOBS["lr"].overrides(config, 0.1)


def test_learning_rate_of_zero_has_no_ratios_to_keep() -> None:
    config = scheduled({"type": "CosineAnnealingLR", "eta_min": 0.001, "T_max": 4})
    config["optim_wrapper"]["optimizer"]["lr"] = 0.0
    assert KNOBS["lr"].overrides(config, 0.1) == {"optim_wrapper.optimizer.lr": 0.1}


# Warm-up


def rates(config: dict[str, Any], steps: int) -> list[float]:
    """The learning rate of each step, of mmengine's own schedulers."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    schedulers = []
    for scheduler in config["param_scheduler"]:
        arguments = {k: v for k, v in scheduler.items() if k != "type"}
        schedulers.append(SCHEDULERS[scheduler["type"]](optimizer, **arguments))
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for one in schedulers:
            one.step()
    return found


FOLLOWED = [
    {"type": "CosineAnnealingLR", "by_epoch": False, "begin": 5, "end": 30, "T_max": 25},
    {"type": "CosineAnnealingLR", "by_epoch": False, "begin": 5, "end": 30},
    {"type": "CosineAnnealingLR", "by_epoch": False, "begin": 5, "T_max": 25},
    {"type": "MultiStepLR", "by_epoch": False, "begin": 5, "milestones": [15, 20]},
]


@pytest.mark.parametrize("follower", FOLLOWED)
def test_what_follows_the_warm_up_ends_when_it_did(follower: dict[str, Any]) -> None:
    warm_up = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0, "end": 5}
    config = scheduled(warm_up, follower)
    before = rates(config, 31)
    assert before.index(max(before)) == 4
    changed = with_overrides(config, KNOBS["warmup"].overrides(config, 10))
    after = rates(changed, 31)
    assert after.index(max(after)) == 9
    # A cosine that is cut off at `end` stops one step above its minimum.
    assert after[30] == pytest.approx(before[30], abs=3e-5)
    drops = [
        [step for step in range(12, 31) if r[step] < 0.5 * r[step - 1]] for r in (before, after)
    ]
    assert drops[0] == drops[1]


def test_what_does_not_follow_the_warm_up_stays() -> None:
    others = [
        {"type": "MultiStepLR", "by_epoch": True, "begin": 5, "milestones": [8]},
        {"type": "MultiStepLR", "by_epoch": False, "begin": 0, "milestones": [8]},
    ]
    config = scheduled({"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 5}, *others)
    assert KNOBS["warmup"].overrides(config, 7) == {"param_scheduler.0.end": 7}


@pytest.mark.parametrize(
    "scheduler",
    [
        {"type": "LinearLR", "start_factor": 1.0, "end_factor": 0.1, "end": 12},
        {"type": "LinearLR", "begin": 3, "end": 5},
        {"type": "LinearLR", "begin": 0},
        {"type": "MultiStepLR", "end": 12, "milestones": [8]},
    ],
)
def test_decay_is_no_warm_up(scheduler: dict[str, Any]) -> None:
    with pytest.raises(NoSuchSetting, match="warm-up"):
        KNOBS["warmup"].read(scheduled(scheduler))


def test_warm_up_that_leaves_no_room() -> None:
    linear = {"type": "LinearLR", "by_epoch": False, "end": 5}
    cosine = {"type": "CosineAnnealingLR", "by_epoch": False, "begin": 5, "T_max": 25}
    with pytest.raises(Unfit, match=r"30 iterations leaves no room for param_scheduler\.1"):
        KNOBS["warmup"].overrides(scheduled(linear, cosine), 30)
    with pytest.raises(Unfit, match="longer than the training, 20 iterations"):
        KNOBS["warmup"].overrides(scheduled(linear, max_iters=20), 21)


def test_warm_up_of_one_step_never_rises() -> None:
    """Why the shortest is 2: what mmengine makes of one step."""
    warm_up = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0}
    assert max(rates(scheduled({**warm_up, "end": 1}), 9)) == pytest.approx(0.001)
    assert max(rates(scheduled({**warm_up, "end": 2}), 9)) == pytest.approx(0.01)


# Images


def test_image_scale_moves_every_pipeline() -> None:
    config = row_config("r50_fpn_3x")
    changed = with_overrides(config, KNOBS["image_scale"].overrides(config, 0.5))
    resize = value_at(changed, "train_dataloader.dataset.dataset.pipeline.2")
    assert resize["scale"] == [(666, 320), (666, 400)]
    assert value_at(changed, "val_dataloader.dataset.pipeline.1.scale") == (666, 400)
    assert changed["val_dataloader"] == changed["test_dataloader"]
    assert sorted(differing(config, changed)) == [
        "test_dataloader.dataset.pipeline.1.scale",
        "train_dataloader.dataset.dataset.pipeline.2.scale",
        *(f"tta_pipeline.1.transforms.0.{index}.scale" for index in range(3)),
        "val_dataloader.dataset.pipeline.1.scale",
    ]


def test_image_scale_keeps_crops_on_the_grid() -> None:
    config = row_config("r50_fpg_50e")
    changed = with_overrides(config, KNOBS["image_scale"].overrides(config, 0.75))
    assert value_at(changed, "train_dataloader.dataset.pipeline.2.scale") == (480, 480)
    assert value_at(changed, "train_dataloader.dataset.pipeline.2.ratio_range") == (0.8, 1.2)
    assert value_at(changed, "train_dataloader.dataset.pipeline.3.crop_size") == (512, 512)
    assert value_at(changed, "model.data_preprocessor.batch_augments.0.size") == (512, 512)
    assert value_at(changed, "test_dataloader.dataset.pipeline.1.scale") == (480, 480)


def test_image_scale_of_one_leaves_sizes_off_the_grid() -> None:
    crop = {"type": "RandomCrop", "crop_size": (500, 500)}
    share = {"type": "RandomCrop", "crop_size": (0.5, 0.5), "crop_type": "relative"}
    config = {
        "train_dataloader": {"dataset": {"pipeline": [crop, share]}},
        "model": {"data_preprocessor": {"type": "P", "pad_size_divisor": 32}},
    }
    path = "train_dataloader.dataset.pipeline.0.crop_size"
    assert KNOBS["image_scale"].overrides(config, 1.0) == {path: (500, 500)}
    assert KNOBS["image_scale"].overrides(config, 1.1) == {path: (544, 544)}
    assert KNOBS["image_scale"].overrides(config, 1e-6) == {path: (32, 32)}


def test_no_images_to_scale() -> None:
    with pytest.raises(NoSuchSetting, match="image size"):
        KNOBS["image_scale"].read({"train_dataloader": {"dataset": {"pipeline": []}}})


@pytest.mark.parametrize(
    ("path", "value"),
    [("a.b", 1), ("c.1.d", 2), ("c.0", None), ("c.2", MISSING), ("a.b.c", MISSING), ("x", MISSING)],
)
def test_value_at(path: str, value: Any) -> None:
    assert value_at({"a": {"b": 1}, "c": (None, {"d": 2})}, path) is value


TWO_STAGES = {
    "nms_iou": ("model.test_cfg.rcnn.nms.iou_threshold", 0.5),
    "score_thr": ("model.test_cfg.rcnn.score_thr", 0.05),
    "anchor_ratios": ("model.rpn_head.anchor_generator.ratios", [0.5, 1.0, 2.0]),
}


@pytest.mark.parametrize("profile", ["full", "smoke"])
@pytest.mark.parametrize("name", KNOBS)
def test_a_detector_of_two_stages_has_the_knob_or_says_what_it_lacks(
    name: str, profile: str
) -> None:
    row = Row.model_validate({"name": "faster", "config": "faster-rcnn_r50_fpn_1x_coco"})
    config, knob = composed(row, profile), KNOBS[name]
    if name in ("layer_decay_rate", "focal_gamma", "focal_alpha", "octave_base_scale", "drop_path"):
        with pytest.raises(NoSuchSetting, match=PATHS[name]):
            knob.read(config)
        return
    own = knob.read(config)
    if name in TWO_STAGES:
        path, published = TWO_STAGES[name]
        assert own == published or profile == "smoke"
        assert list(knob.overrides(config, own)) == [path]
    assert essence(with_overrides(config, knob.overrides(config, own))) == essence(config)


def test_images_of_whole_configs_scale_with_all_that_moves_along() -> None:
    """Crops stay on the network's grid, later pipelines follow, and a model of one size has no such knob."""
    row = Row.model_validate({"name": "rtmdet", "config": "rtmdet_tiny_8xb32-300e_coco"})
    sizes = KNOBS["image_scale"].overrides(composed(row, "full"), 0.83)
    crops = {tuple(value) for path, value in sizes.items() if path.endswith("crop_size")}
    assert crops == {(544, 544)}
    later = [path for path in sizes if path.startswith("custom_hooks.")]
    assert later and all(value_at(composed(row, "full"), path) != sizes[path] for path in later)
    fixed = Row.model_validate({"name": "ssd", "config": "ssd300_coco"})
    with pytest.raises(NoSuchSetting, match="the one that its model is built for"):
        KNOBS["image_scale"].read(composed(fixed, "full"))
