"""Parts in the place of what a config has: the old one goes, the new one is connected on both sides."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from command import LEADERBOARD

from benchmark.config.config_file import load_config, plain
from benchmark.config.replace import Part, put_in_place, replace_parts
from benchmark.config.replace.levels import known
from benchmark.errors import UserError

PARTS = LEADERBOARD.parent.parent / "configs"
FASTER = "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"
RETINA = "retinanet/retinanet_r50_fpn_1x_coco.py"
SWIN = "swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py"
YOLOX = "yolox/yolox_tiny_8xb8-300e_coco.py"


def zoo(name: str) -> dict[str, Any]:
    spec = importlib.util.find_spec("mmdet")
    assert spec is not None and spec.origin is not None
    return plain(load_config(Path(spec.origin).parent / ".mim" / "configs" / name))


def part(kind: str, name: str) -> Part:
    return Part(load_config(PARTS / f"{kind}s" / f"{name}.py"), name)


def replaced(config: str, **names: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    made = zoo(config)
    changes = replace_parts(made, {kind: part(kind, name) for kind, name in names.items()})
    return made, changes


def refused(config: str, **names: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        replaced(config, **names)
    return caught.value.problems


def test_a_backbone_comes_with_what_is_its_own_and_nothing_of_the_old_one() -> None:
    made, changes = replaced(FASTER, backbone="convnext_tiny", schedule="step_1x")
    model = made["model"]
    own = load_config(PARTS / "backbones" / "convnext_tiny.py")["model"]["backbone"]
    assert model["backbone"] == {key: value for key, value in own.items() if key != "_delete_"}
    assert model["neck"]["in_channels"] == [96, 192, 384, 768]
    assert made["optim_wrapper"]["optimizer"]["type"] == "AdamW"
    assert made["optim_wrapper"]["paramwise_cfg"]["decay_type"] == "layer_wise"
    assert made["custom_imports"]["imports"] == ["mmpretrain.models"]
    assert "neck.in_channels: 256, 512, 1024, 2048 -> 96, 192, 384, 768" in changes
    assert model["type"] == "FasterRCNN" and "rpn_head" in model
    assert "_delete_" not in repr(made)


def test_levels_are_chosen_by_the_strides_that_the_old_backbone_gave() -> None:
    one, _ = replaced("yolof/yolof_r50-c5_8xb8-1x_coco.py", backbone="resnet18")
    assert one["model"]["backbone"]["out_indices"] == (3,)
    assert one["model"]["neck"]["in_channels"] == 512
    three, _ = replaced("dino/dino-4scale_r50_8xb2-12e_coco.py", backbone="convnext_tiny")
    assert three["model"]["backbone"]["out_indices"] == [1, 2, 3]
    assert three["model"]["neck"]["in_channels"] == [192, 384, 768]


def test_a_one_stage_head_takes_the_two_stages_with_it() -> None:
    made, changes = replaced(FASTER, head="retina")
    model = made["model"]
    assert model.keys() == {
        "type", "data_preprocessor", "backbone", "neck", "bbox_head", "train_cfg", "test_cfg"
    }  # fmt: skip
    assert (
        model["train_cfg"].keys()
        == load_config(PARTS / "heads" / "retina.py")["model"]["train_cfg"].keys()
    )
    assert (
        model["test_cfg"].keys()
        == load_config(PARTS / "heads" / "retina.py")["model"]["test_cfg"].keys()
    )
    # Its anchors stand on the maps that there are.
    assert model["bbox_head"]["anchor_generator"]["strides"] == [4, 8, 16, 32, 64]
    assert changes == (
        "detector: FasterRCNN -> RetinaNet",
        "gone with FasterRCNN: roi_head, rpn_head",
        "bbox_head.anchor_generator.strides: 8, 16, 32, 64, 128 -> 4, 8, 16, 32, 64",
    )


def test_both_stages_follow_a_neck() -> None:
    made, changes = replaced(FASTER, neck="fpg")
    model = made["model"]
    assert model["neck"]["type"] == "FPG" and "stack_times" in model["neck"]
    assert model["rpn_head"]["anchor_generator"]["strides"] == [8, 16, 32, 64, 128]
    assert model["roi_head"]["bbox_roi_extractor"]["featmap_strides"] == [8, 16, 32, 64]
    assert "neck: FPN -> FPG" in changes


def test_neck_and_head_that_go_with_each_other_alone_are_put_together() -> None:
    made, _ = replaced(RETINA, neck="fpn_w32", head="retina_w32")
    assert made["model"]["bbox_head"]["in_channels"] == made["model"]["neck"]["out_channels"] == 32
    (problem,) = refused(RETINA, head="retina_w32")
    assert problem == (
        "neck FPN gives 5 maps, 256, 256, 256, 256, 256 channels at strides 8, 16, 32, 64, 128; "
        "bbox_head.anchor_generator.strides of RetinaHead is 8, 16, 32, for 3: take a head that is made for such "
        "maps, or a neck that gives those"
    )


@pytest.mark.parametrize(
    ("config", "names", "said"),
    [
        ("detr/detr_r50_8xb2-150e_coco.py", {"neck": "fpn"}, "DETR takes 256 channels at strides 32"),
        ("faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py", {"backbone": "resnet18"}, "shared_head"),
        ("detectors/cascade-rcnn_r50-rfp_1x_coco.py", {"backbone": "resnet18"}, "neck.rfp_backbone"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_both_sides(
    config: str, names: dict[str, str], said: str
) -> None:
    (problem,) = refused(config, **names)
    assert said in problem


def test_a_schedule_says_whether_batch_norm_learns_and_whose_backbone_takes_it() -> None:
    learning, _ = replaced(SWIN, backbone="resnet50", schedule="step_50e")
    assert learning["model"]["backbone"]["norm_eval"] is False
    still, _ = replaced(SWIN, schedule="step_1x")
    assert "norm_eval" not in still["model"]["backbone"]  # there is no batch norm in it
    kept, _ = replaced(FASTER, backbone="resnet18")
    assert kept["model"]["backbone"]["norm_eval"] is True


def test_a_schedule_takes_loop_rates_hooks_and_mixing_with_it() -> None:
    made, changes = replaced(YOLOX, schedule="step_50e")
    assert made["train_cfg"] == load_config(PARTS / "schedules" / "step_50e.py")["train_cfg"]
    assert [hook["type"] for hook in made["custom_hooks"]] == ["SyncNormHook"]
    assert made["train_dataloader"]["dataset"]["type"] == "CocoDataset"
    assert made["optim_wrapper"]["paramwise_cfg"] == {
        "norm_decay_mult": 0,
        "bypass_duplicate": True,
    }
    (augment,) = made["model"]["data_preprocessor"]["batch_augments"]
    assert augment["type"] == "BatchFixedSizePad"
    assert "training pipeline: the schedule's, without MultiImageMixDataset" in changes


def test_a_data_set_takes_the_place_of_data_alone() -> None:
    made = zoo(FASTER)
    made["custom_imports"] = {"imports": ["theirs"], "allow_failed_imports": False}
    own = {
        "custom_imports": {"imports": ["ours"], "allow_failed_imports": False},
        "train_dataloader": {"dataset": {"type": "Ours"}},
        "model": {"data_preprocessor": {"mean": [1.0, 2.0, 3.0]}},
    }
    put_in_place(made, "dataset", own)
    assert made["custom_imports"]["imports"] == ["theirs", "ours"]
    assert made["train_dataloader"] == {"dataset": {"type": "Ours"}}
    assert made["model"]["type"] == "FasterRCNN"
    assert made["model"]["data_preprocessor"]["mean"] == [1.0, 2.0, 3.0]
    put_in_place(made, "dataset", zoo(RETINA))
    assert made["model"]["type"] == "FasterRCNN"
    assert made["train_dataloader"]["dataset"]["type"] == "CocoDataset"


def test_a_branch_that_shares_the_extractor_of_another_is_passed_over() -> None:
    made = zoo(SWIN)
    made["model"]["roi_head"]["mask_roi_extractor"] = None
    neck = {**part("neck", "fpn").config["model"]["neck"], "out_channels": 32}
    put_in_place(made, "neck", {"model": {"neck": neck}})
    assert made["model"]["roi_head"]["bbox_head"]["in_channels"] == 32


def test_rates_by_layer_go_with_the_backbone_whose_layers_they_know() -> None:
    made, _ = replaced(
        "convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py", backbone="resnet18"
    )
    assert "constructor" not in made["optim_wrapper"]
    assert made["optim_wrapper"]["paramwise_cfg"] == {}


@pytest.mark.parametrize(
    ("backbone", "layers"),
    [
        ("cascade-mask-rcnn_convnext-s-p4-w7_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py", 12),
        ("../swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py", None),
    ],
)
def test_rates_by_layer_know_how_deep_the_new_backbone_is_or_go(
    backbone: str, layers: int | None
) -> None:
    tiny = zoo("convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py")
    changes = replace_parts(tiny, {"backbone": Part(zoo(f"convnext/{backbone}"), "new")})
    paramwise = tiny["optim_wrapper"]["paramwise_cfg"]
    assert paramwise.get("num_layers") == layers
    assert ("constructor" in tiny["optim_wrapper"]) is (layers is not None)
    told = [change for change in changes if change.startswith("optim_wrapper")]
    assert told == [
        f"optim_wrapper.paramwise_cfg.num_layers: 6 -> {layers}"
        if layers
        else "optim_wrapper: without rates by layer, which were the old backbone's"
    ]


def test_a_batch_size_that_a_part_brings_is_told_and_not_denied() -> None:
    kept, changes = replaced(FASTER, schedule="step_1x")
    assert kept["train_dataloader"]["batch_size"] == 2
    assert "batch size stays 2 a GPU; the schedule's rate is for 16 images a step" in changes
    made, changes = replaced(FASTER, backbone="convnext_tiny", schedule="step_1x")
    assert made["train_dataloader"]["batch_size"] == 4
    assert [line for line in changes if "batch" in line] == ["train_dataloader.batch_size: 2 -> 4"]


def test_a_neck_that_says_no_number_of_maps_gives_as_many_as_its_class_does() -> None:
    made, _ = replaced("hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py", head="retina")
    assert made["model"]["neck"]["type"] == "HRFPN"
    strides = made["model"]["bbox_head"]["anchor_generator"]["strides"]
    assert strides == [4, 8, 16, 32, 64]


def test_two_maps_of_one_stride_are_not_one_map_twice() -> None:
    resnet = {"type": "ResNet", "depth": 50}
    plain_one = known(resnet)
    dilated = known({**resnet, "strides": (1, 2, 2, 1), "dilations": (1, 1, 1, 2)})
    assert plain_one is not None and plain_one.at((4, 4)) is None
    assert dilated is not None and dilated.at((4, 8, 16, 16)) == dilated.given
