"""Every combination of parts builds and trains, and a profile changes how much is done, not what is built."""

from __future__ import annotations

import inspect
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from command import LEADERBOARD
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine import ConfigDict
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.structures import InstanceData
from mmengine.utils import import_modules_from_strings

from benchmark import ops
from benchmark.config.compose import compose, config_roots
from benchmark.config.imports import named_modules
from benchmark.config.replace.levels import Level, described, known
from benchmark.config.replace.probe import answer
from benchmark.config.retarget import dataset_leaves
from benchmark.config.shrink import shrink
from benchmark.config.shrink.weights import STATISTICS_KEPT
from benchmark.data.dataset import Dataset, Split
from benchmark.errors import UserError
from benchmark.experiment.experiment import Row, load_experiment
from benchmark.experiment.rows.base import Surroundings, part_names

ROOTS = config_roots(LEADERBOARD)
BACKBONES, NECKS, HEADS, SCHEDULES = (
    part_names(kind, ROOTS) for kind in ("backbone", "neck", "head", "schedule")
)
CLASSES = 3
SIDE = 64

# Three levels of 32 channels: these necks and heads go with each other alone.
NARROW_NECKS = [neck for neck in NECKS if neck.endswith("_w32")]
NARROW_HEADS = [head for head in HEADS if head.endswith(("_w32", "_96px"))]
NARROW = ("fpn_w32", "retina_w32")
NARROW_PAIRS = [*(("fpn_w32", head) for head in NARROW_HEADS), ("fpg_w32", "retina_sepbn_96px")]
WIDE_PAIRS = [
    *itertools.product(
        [neck for neck in NECKS if neck not in NARROW_NECKS],
        [head for head in HEADS if head not in NARROW_HEADS],
    )
]
NARROW_BACKBONES = [backbone for backbone in BACKBONES if "_w" in backbone]
SGD = ("step_1x", "mstrain_3x", "multistep_90k", "step_50e")  # the published schedules


def pairs(backbone: str) -> list[tuple[str, str]]:
    """The necks and heads that a backbone is tried with: those of its width, and one pair of the other."""
    if backbone in NARROW_BACKBONES:
        return [*NARROW_PAIRS, ("fpn", "retina")]
    return [*WIDE_PAIRS, NARROW]


def composed(
    backbone: str, neck: str, head: str, schedule: str = "step_1x", profile: str = "smoke"
) -> dict[str, Any]:
    parts = {"backbone": backbone, "neck": neck, "head": head, "schedule": schedule}
    train, val = (Split(Path(f"/data/{n}.json"), Path("/data"), n) for n in ("train", "val"))
    row = Row.model_validate({"name": "row", "parts": parts})
    around = Surroundings(LEADERBOARD.parent, tuple(ROOTS), "coco", profile)
    config = compose(row, Dataset("some", tuple("abc"), train, val), around, seed=0, overrides={})
    import_modules_from_strings(named_modules(config))  # as a job does
    return config


@pytest.fixture(scope="module", autouse=True)
def _mmdet() -> None:
    ops.install()
    register_all_modules(init_default_scope=True)


@pytest.fixture
def no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves weights unset: drawing them takes most of the time that building takes."""
    for layer in (torch.nn.Conv2d, torch.nn.Linear):
        monkeypatch.setattr(layer, "reset_parameters", lambda self: None)


def build(config: dict[str, Any]) -> BaseModel:
    return MODELS.build(ConfigDict(config["model"]))


def batch(images: int, empty: int = 0) -> dict[str, Any]:
    """Random images of SIDE x SIDE pixels with two boxes (xyxy) each, but for the first that are ``empty``."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (images, 3, SIDE, SIDE), generator=generator)
    samples = []
    for number in range(images):
        objects = slice(0 if number < empty else None)
        sample = DetDataSample()
        sample.set_metainfo(
            {
                "img_shape": (SIDE, SIDE),
                "ori_shape": (SIDE, SIDE),
                "scale_factor": (1.0, 1.0),
                "batch_input_shape": (SIDE, SIDE),
            }
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[4.0, 4, 30, 25], [20, 25, 60, 62]])[objects],
            labels=torch.tensor([0, CLASSES - 1])[objects],
        )
        samples.append(sample)
    return {"inputs": list(pictures.to(torch.uint8)), "data_samples": samples}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_backbone_builds_with_every_neck_and_head(backbone: str, no_values: None) -> None:
    for neck, head in pairs(backbone):
        config = composed(backbone, neck, head)
        model = build(config)
        built = [type(part).__name__ for part in (model.backbone, model.neck, model.bbox_head)]
        asked = [config["model"][part]["type"] for part in ("backbone", "neck", "bbox_head")]
        assert built == [name.removeprefix("mmpretrain.") for name in asked]
        assert model.bbox_head.num_classes == CLASSES
        assert all(weight.requires_grad for weight in model.backbone.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_neck_takes_the_channels_that_the_backbone_gives(backbone: str) -> None:
    config = composed(backbone, "fpn", "retina")["model"]
    network = MODELS.build(ConfigDict(config["backbone"]))
    network.eval()
    with torch.no_grad():
        levels = network(torch.zeros(1, 3, 64, 64))
    assert [level.shape[1] for level in levels] == config["neck"]["in_channels"]
    assert [level.shape[2] for level in levels] == [16, 8, 4, 2]


@pytest.mark.trains
@pytest.mark.parametrize(
    ("backbone", "neck", "head"),
    [
        *((backbone, "fpn", "retina") for backbone in ("resnet18", "convnext_tiny")),
        *(("resnet18", neck, head) for neck, head in WIDE_PAIRS if head != "retina"),
        ("convnext_tiny", "fpg", "free_anchor"),
        *(("resnet18_w16", *pair) for pair in NARROW_PAIRS),
        *((backbone, *NARROW) for backbone in NARROW_BACKBONES if backbone != "resnet18_w16"),
    ],
)
def test_combination_trains(backbone: str, neck: str, head: str) -> None:
    torch.manual_seed(0)
    config = composed(backbone, neck, head)
    if neck == "fpg":  # as published it is 9 pyramids deep; its width is not what is tested here
        narrow = {"out_channels": 32, "inter_channels": 32}
        config["model"]["neck"].update(narrow)
        config["model"]["bbox_head"].update(in_channels=32, feat_channels=32)
    model = build(config)
    model.init_weights()
    optimizer = build_optim_wrapper(model, ConfigDict(config["optim_wrapper"]))
    before = {name: value.clone() for name, value in model.named_parameters()}
    losses = model.train_step(batch(2), optimizer)
    assert torch.isfinite(losses["loss"]) and losses["loss"] > 0
    # With no layer scale of zero and no dead branch, one step moves nearly every weight.
    moved = [not torch.equal(value, before[name]) for name, value in model.named_parameters()]
    assert sum(moved) / len(moved) > 0.8
    if (
        neck != "fpg"
    ):  # images whose only boxes mmdet leaves out are learnt from; to a head all necks are alike
        nothing = model.data_preprocessor(batch(2, empty=2), training=True)
        with torch.no_grad():
            loss, _ = model.parse_losses(model(**nothing, mode="loss"))
        assert torch.isfinite(loss) and loss > 0
    model.eval()
    with torch.no_grad():
        found = model.test_step(batch(1))
    assert len(found) == 1 and found[0].pred_instances.bboxes.shape[1] == 4


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("backbone", ["resnet18", "convnext_tiny"])
def test_schedule_builds_with_backbone(backbone: str, schedule: str, no_values: None) -> None:
    config = composed(backbone, "fpn", "free_anchor", schedule, "full")
    optimizer = build_optim_wrapper(build(config), ConfigDict(config["optim_wrapper"]))
    is_convnext = backbone == "convnext_tiny"
    of_schedule = "SGD" if schedule in SGD else "AdamW"
    assert type(optimizer.optimizer).__name__ == ("AdamW" if is_convnext else of_schedule)
    assert optimizer.clip_grad_kwargs["max_norm"] == 35
    # Layer-wise decay: each depth has a rate of its own.
    assert (len(set(optimizer.get_lr()["lr"])) > 3) == is_convnext
    for scheduler in config["param_scheduler"]:
        PARAM_SCHEDULERS.build(scheduler, default_args={"optimizer": optimizer})


# Profiles


def types(node: Any, path: str = "") -> dict[str, Any]:
    """Every ``type`` in a config by its path, but for weights to load."""
    if isinstance(node, list | tuple):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return {}
    found = {path: node["type"]} if "type" in node and not path.endswith("init_cfg") else {}
    for key, value in node.items():
        found |= types(value, f"{path}.{key}")
    return found


@pytest.mark.parametrize(
    "parts",
    [
        (backbone, *pair, schedule)
        for backbone in ("resnet50", "convnext_large", "resnet18_w16", "convnext_w16")
        for pair, schedule in itertools.product(pairs(backbone), SCHEDULES)
        if (schedule in SGD) != (backbone in NARROW_BACKBONES)
    ],
)
def test_smoke_keeps_what_is_built(parts: tuple[str, str, str, str]) -> None:
    full, smoke = (composed(*parts, profile=profile) for profile in ("full", "smoke"))
    assert types(smoke) == types(full)
    assert smoke["auto_scale_lr"] == {**full["auto_scale_lr"], "enable": True}
    for key in ("optim_wrapper", "custom_imports", "tta_model"):
        assert smoke.get(key) == full.get(key)
    for key in ("neck", "bbox_head", "train_cfg"):
        assert smoke["model"][key] == full["model"][key]
    assert smoke["model"]["test_cfg"] == {**full["model"]["test_cfg"], "score_thr": 0.001}
    assert smoke["train_dataloader"]["batch_size"] == full["train_dataloader"]["batch_size"]
    assert "shrink" not in smoke


@pytest.mark.parametrize("row", load_experiment(LEADERBOARD).rows, ids=lambda row: row.name)
def test_smoke_does_little_of_each_row(row: Row) -> None:
    smoke = composed(**row.recipe.names)
    assert largest_side(smoke["train_dataloader"]) <= 160
    assert smoke["model"]["backbone"]["init_cfg"] is None
    assert smoke["model"]["backbone"].get("frozen_stages", -1) == -1
    assert not smoke["model"]["backbone"].get("norm_eval", False)
    loop, saving = smoke["train_cfg"], smoke["default_hooks"]["checkpoint"]
    total = loop.get("max_epochs") or loop["max_iters"]
    assert total < 200
    assert 0 < loop["val_interval"] < total and 0 < saving["interval"] < total
    ends = [scheduler["end"] for scheduler in smoke["param_scheduler"]]
    assert ends[-1] == total
    milestones = smoke["param_scheduler"][-1]["milestones"]
    assert 0 < milestones[0] < total and milestones == sorted(set(milestones))


def largest_side(node: Any) -> int:
    if isinstance(node, list | tuple):
        return max(map(largest_side, node), default=0)
    if not isinstance(node, dict):
        return 0
    own = [largest_number(node.get(key)) for key in ("scale", "crop_size", "size")]
    return max([*own, *map(largest_side, node.values())])


def largest_number(value: Any) -> int:
    if isinstance(value, list | tuple):
        return max(map(largest_number, value), default=0)
    return value if isinstance(value, int) else 0


LIMITS = {"longest_side": 128, "epochs": 2, "images": 16, "val_images": 4, "pretrained": False}


def mosaic_config() -> dict[str, Any]:
    """What a user's own part may look like: mixed images, several data sets, a list of scales."""
    leaf = {"type": "CocoDataset", "ann_file": "x", "pipeline": [{"type": "LoadAnnotations"}]}
    return {
        "model": {
            "type": "YOLOX",
            "data_preprocessor": {
                "pad_size_divisor": 32,
                "batch_augments": [
                    {"type": "BatchSyncRandomResize", "random_size_range": (480, 800)}
                ],
            },
            "backbone": {"frozen_stages": 2, "init_cfg": {"type": "Pretrained", "checkpoint": "x"}},
            "bbox_head": {"init_cfg": {"type": "Normal", "std": 0.1}},
        },
        "train_dataloader": {
            "batch_size": 4,
            "dataset": {
                "type": "MultiImageMixDataset",
                "dataset": {
                    "type": "ConcatDataset",
                    "datasets": [
                        {"type": "RepeatDataset", "times": 3, "dataset": dict(leaf)},
                        {**leaf, "indices": [5, 6, 7, 8, 9, 10, 11, 12, 13]},
                    ],
                },
                "pipeline": [
                    {"type": "Mosaic", "img_scale": (640, 640), "pad_val": 114.0},
                    {
                        "type": "RandomAffine",
                        "scaling_ratio_range": (0.1, 2),
                        "border": (-320, -320),
                    },
                    {"type": "RandomChoiceResize", "scales": [(480, 640), (512, 640)]},
                    {"type": "RandomCrop", "crop_type": "relative_range", "crop_size": (0.3, 0.3)},
                    {"type": "RandomChoice", "transforms": [[{"type": "Resize", "scale": 320}]]},
                ],
            },
        },
        "val_dataloader": {"dataset": {**leaf, "indices": 2}},
        "train_cfg": {
            "type": "EpochBasedTrainLoop",
            "max_epochs": 300,
            "val_interval": 10,
            "dynamic_intervals": [(285, 1)],
        },
        "param_scheduler": [
            {"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 1000},
            {"type": "CosineAnnealingLR", "by_epoch": True, "begin": 150, "end": 300, "T_max": 150},
        ],
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 10}},
    }


def test_shrink_reaches_a_users_own_parts() -> None:
    config = mosaic_config()
    kinds = types(config)
    shrink(config, LIMITS)
    assert types(config) == kinds
    train = config["train_dataloader"]["dataset"]
    values = [list(step.values())[1:] for step in train["pipeline"]]
    assert values[0] == [(128, 128), 114.0]
    assert values[1] == [(0.1, 2), (-64, -64)]
    assert values[2] == [[(96, 128), (102, 128)]]
    assert values[3] == ["relative_range", (0.3, 0.3)]
    assert train["pipeline"][4]["transforms"] == [[{"type": "Resize", "scale": 64}]]
    augment = config["model"]["data_preprocessor"]["batch_augments"][0]
    assert augment["random_size_range"] == (96, 160)
    repeated, listed = dataset_leaves(train)
    assert repeated["indices"] == 4  # 3 times: 12 images, whole batches of 4
    assert listed["indices"] == [5, 6, 7, 8, 9, 10, 11, 12]
    assert config["val_dataloader"]["dataset"]["indices"] == 2
    assert config["train_cfg"] == {
        "type": "EpochBasedTrainLoop",
        "max_epochs": 2,
        "val_interval": 1,
    }
    assert config["default_hooks"]["checkpoint"]["interval"] == 1
    warm_up, cosine = config["param_scheduler"]
    assert 0 < warm_up["end"] < 10
    assert (cosine["begin"], cosine["end"], cosine["T_max"]) == (1, 2, 1)
    assert config["model"]["backbone"] == {"frozen_stages": -1, "init_cfg": None}
    assert config["model"]["bbox_head"]["init_cfg"] == {"type": "Normal", "std": 0.1}


def test_iterations_after_the_warm_up_stay_aligned() -> None:
    config = mosaic_config()
    config["train_cfg"] = {"type": "IterBasedTrainLoop", "max_iters": 90000, "val_interval": 10000}
    config["param_scheduler"] = [
        {"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 1000},
        {"type": "PolyLR", "by_epoch": False, "begin": 1000, "end": 90000},
        {
            "type": "MultiStepLR",
            "by_epoch": False,
            "begin": 0,
            "end": 90000,
            "milestones": [89998, 89999],
        },
    ]
    config["default_hooks"]["checkpoint"] = {"by_epoch": False, "interval": 1000}
    shrink(config, LIMITS)
    total = config["train_cfg"]["max_iters"]
    assert 8 <= total <= 12
    warm_up, poly, steps = config["param_scheduler"]
    assert warm_up["end"] == poly["begin"] > 0
    assert poly["end"] == total
    assert steps["milestones"] == [total, total + 1]
    assert config["default_hooks"]["checkpoint"]["interval"] == total / 2


def test_what_is_small_already_stays() -> None:
    config = mosaic_config()
    config["train_cfg"]["max_epochs"] = 1
    before = config["param_scheduler"][1].copy()
    shrink(config, {**LIMITS, "longest_side": 640, "pretrained": True})
    assert config["train_dataloader"]["dataset"]["pipeline"][0]["img_scale"] == (640, 640)
    assert config["train_cfg"]["max_epochs"] == 1
    assert config["param_scheduler"][1] == before
    assert config["model"]["backbone"]["init_cfg"] == {"type": "Pretrained", "checkpoint": "x"}


def test_wrong_limits_are_all_reported() -> None:
    with pytest.raises(UserError) as caught:
        shrink(
            {}, {"longest_side": 0, "epoch": 1, "images": 4, "val_images": "many", "pretrained": 1}
        )
    assert caught.value.problems == [
        "shrink: unknown 'epoch'; allowed: epochs, images, longest_side, pretrained, val_images; "
        "did you mean 'epochs'?",
        "shrink.longest_side: 0 is not a positive whole number",
        "shrink.epochs: None is not a positive whole number",
        "shrink.val_images: 'many' is not a positive whole number",
        "shrink.pretrained: 1 is neither True nor False",
    ]


def test_backbones_that_keep_statistics_are_those_of_mmdet_that_do_by_default() -> None:
    from mmdet.models import backbones  # needs the operators that a fixture installs

    classes = [getattr(backbones, name) for name in backbones.__all__]
    kept = {each.__name__ for each in classes if _default(each, "norm_eval") is True}
    assert kept == STATISTICS_KEPT


def _default(kind: type, name: str) -> Any:
    """An argument's default, of the first class in the order of bases that has it."""
    for each in kind.__mro__:
        made = vars(each).get("__init__")
        found = inspect.signature(made).parameters if made and each is not object else {}
        if name in found:
            return found[name].default
    return None


KNOWN: tuple[dict[str, Any], ...] = (
    {"type": "ResNet", "depth": 18, "base_channels": 16, "stem_channels": 16},
    {"type": "ResNet", "depth": 50, "num_stages": 3, "strides": (1, 2, 2), "dilations": (1, 1, 1), "out_indices": (2,)},
    {"type": "ResNeXt", "depth": 101, "groups": 64, "base_width": 4, "out_indices": (1, 2, 3)},
    {"type": "SwinTransformer", "embed_dims": 128, "depths": (2, 2, 2, 2), "num_heads": (4, 8, 16, 32)},
    {"type": "mmpretrain.ConvNeXt", "arch": "pico", "out_indices": [0, 1, 2, 3], "gap_before_final_norm": False},
)  # fmt: skip


@pytest.mark.parametrize("backbone", KNOWN, ids=lambda one: one["type"])
def test_what_is_known_of_a_backbone_is_what_it_gives(backbone: dict[str, Any]) -> None:
    told = answer({"backbone": repr(backbone), "modules": ["mmpretrain.models"]})
    assert known(backbone) == described(told)


def test_a_backbone_whose_size_has_no_name_is_for_a_part() -> None:
    told = answer({"mmpretrain": "MobileNetV2", "arch": "1.0"})
    assert "neither by an arch nor by a depth: write a part of your own" in str(told["error"])


@pytest.mark.slow
def test_backbones_of_classifiers_give_the_maps_of_their_stages() -> None:
    told = answer({"mmpretrain": "EfficientNet", "arch": "b0"})
    # Without the last convolution, of 1280 channels, which has the stride of the stage before it.
    assert described(told).at((8, 16, 32)) == (
        Level(3, 40, 8),
        Level(4, 112, 16),
        Level(5, 320, 32),
    )
    swin = answer({"mmpretrain": "SwinTransformer", "arch": "tiny"})
    assert swin["backbone"] == {
        "type": "mmpretrain.SwinTransformer", "arch": "tiny", "pad_small_map": True
    }  # fmt: skip
    wrong = answer({"mmpretrain": "Convnext", "arch": "tiny"})["error"]
    assert wrong == "mmpretrain has no backbone 'Convnext'; did you mean 'ConvNeXt'?"
    assert "Unavailable arch" in str(answer({"mmpretrain": "ConvNeXt", "arch": "teeny"})["error"])
