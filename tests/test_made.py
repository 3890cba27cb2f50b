"""Backbones that are no files: models of timm and mmpretrain, of mmdet's configs, and weights that a package brings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Bench, variant
from torch.nn import functional

from benchmark.config.compose import surroundings_of
from benchmark.config.origin import origins
from benchmark.config.replace import ask, made_part
from benchmark.errors import UserError
from benchmark.run.plan import Request, make_plan

# Levels of each at strides 4, 8, 16, 32.
TIMM = {
    "convnext_atto": (40, 80, 160, 320),
    "convnextv2_atto": (40, 80, 160, 320),
    "cspdarknet53": (128, 256, 512, 1024),
    "edgenext_xx_small": (24, 48, 88, 168),
    "efficientnet_b0": (24, 40, 112, 320),
    "fastvit_t8": (48, 96, 192, 384),
    "hgnetv2_b0": (64, 256, 512, 1024),
    "maxvit_tiny_tf_224": (64, 128, 256, 512),
    "mobilenetv3_large_100": (24, 40, 112, 960),
    "mobilenetv4_conv_small": (32, 64, 96, 960),
    "pvt_v2_b0": (32, 64, 160, 256),
    "regnetx_004": (32, 64, 160, 384),
    "repvit_m1": (48, 96, 192, 384),
    "resnet18d": (64, 128, 256, 512),
    "resnet34": (64, 128, 256, 512),
    "resnext50_32x4d": (256, 512, 1024, 2048),
    "swin_tiny_patch4_window7_224": (96, 192, 384, 768),
    "tf_efficientnet_lite0": (24, 40, 112, 320),
}
PADDED = {
    "convnext_atto": 32,
    "convnextv2_atto": 32,
    "edgenext_xx_small": 32,
    "maxvit_tiny_tf_224": 224,
    "swin_tiny_patch4_window7_224": 32,
}
REFUSED = {
    "timm/vit_tiny_patch16_224": "all its maps have stride 16",
    "timm/hiera_tiny_224": "takes images of 224 x 224 pixels alone",
    "timm/inception_v3": "its maps do not lie evenly over the image",
    "timm/reznet34": "has no model of this name; did you mean 'timm/resnet34'?",
    "timm/resnet34.a9_in1k": "has no such weights; it has resnet34.a1_in1k",
}


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user's cache in which nothing is remembered yet."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        ask.forget()
        yield folder
    ask.forget()


@pytest.mark.slow
def test_what_models_give_is_asked_once_and_remembered(own_cache: Path) -> None:
    for name, channels in TIMM.items():
        backbone = made_part(f"timm/{name}").config["model"]["backbone"]
        levels = ask.describe(backbone, []).at((4, 8, 16, 32))
        assert levels is not None and tuple(level.channels for level in levels) == channels, name
        assert backbone["model_name"].startswith(f"{name}."), name
        assert backbone["pretrained"].startswith("https://"), name
        assert backbone.get("pad_to", 1) == PADDED.get(name, 1)
    # What is known of this one without timm is what timm says.
    backbone = made_part("timm/tf_efficientnet_lite0").config["model"]["backbone"]
    lite0 = ask.describe({"type": "EfficientNetLite0"}, [])
    assert lite0.levels == ask.describe(backbone, []).levels
    assert lite0.given == lite0.at((4, 8, 16, 32))
    older = made_part("timm/tv_resnet34").config["model"]["backbone"]
    assert older["model_name"] == "resnet34.tv_in1k" and older["pretrained"]
    for name, said in REFUSED.items():
        with pytest.raises(UserError, match=f"^backbone {name}: .*") as caught:
            made_part(name)
        assert said in caught.value.problems[0]
    # Another command knows them all, be it on a machine where nothing can be built.
    remembered = json.loads((own_cache / "detboard" / "backbones.json").read_text())
    assert len(remembered) == 2 * len(TIMM) + 2  # by both names
    ask.forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.executable", "/bin/false")
        for name in TIMM:
            made_part(f"timm/{name}")
        with pytest.raises(UserError, match="the process that builds it ended with status 1"):
            made_part("timm/resnet26")


def test_a_backbone_of_timm_names_the_extra_and_ours_needs_none_to_be_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmark.config.replace.ask.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"backbone timm/resnet34: .*pip install 'detboard\[timm\]'"
    ):
        ask.describe({"type": "TimmFeatures", "model_name": "resnet34"}, [])
    given = ask.describe({"type": "EfficientNetLite0", "out_indices": (1, 2)}, []).given
    assert [level.channels for level in given] == [24, 40]


def test_a_damaged_answer_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for content in ("[]", "{", '{"a": {"levels": 3}, "b": 1}', '{"a": {"levels": [3]}}'):
        ask.cache_file().parent.mkdir(exist_ok=True)
        ask.cache_file().write_text(content)
        assert ask._read() == {}


def test_nothing_is_remembered_of_modules_whose_versions_are_not_known(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"levels": [[0, 8, 4]], "given": [[0, 8, 4]], "chooses": True, "norm_eval": False}
    monkeypatch.setattr(ask, "_answer", lambda _key: told)
    ask.describe({"type": "Theirs"}, ["mmpretrain.models"])
    before = ask.cache_file().read_text()
    ask.describe({"type": "Mine"}, ["mmpretrain.models", "my_package.models"])
    assert ask.cache_file().read_text() == before
    ask.describe({"type": "Others"}, ["mmpretrain.models"])
    assert ask.cache_file().read_text() != before


def test_such_a_backbone_stands_in_rows_and_grids(tmp_path: Path, synthetic_data: Path) -> None:
    wrong = {
        "a": {"backbone": "mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_2x_coco.py"},
        "b": {"backbone": "mmpretrain/ConvNeXt"},
        "c": {"backbone": "resnet/18"},
    }

    def change(content: dict[str, Any]) -> None:
        parts = {"neck": "tiny", "head": "tiny", "schedule": "tiny"}
        content["rows"] = [{"name": n, "parts": {**parts, **w}} for n, w in wrong.items()]
        head = {"head": "mmdet::atss/atss_r50_fpn_1x_coco.py"}
        content["rows"].append(
            {"name": "d", "config": "retinanet_r18_fpn_1x_coco", "replace": head}
        )

    bench = Bench(synthetic_data, tmp_path / "results", variant(tmp_path, change))
    said = bench.here("plan").stderr.splitlines()
    assert [line.partition(";")[0][:60] for line in said] == [
        "error: row 'a': backbone: 'mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_2x_co"[:60],
        "error: row 'b': backbone: 'mmpretrain/ConvNeXt': write its c",
        "error: row 'c': backbone: no part 'resnet/18'",
        "error: row 'd': replace.head: 'mmdet::atss/atss_r50_fpn_1x_c",
    ]
    assert "nearest of mmdet's: mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py" in said[0]
    assert "only a backbone is taken out of another model" in said[3]


SWIN = "mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py"


def test_the_backbone_of_a_zoo_s_config_stands_in_a_grid(
    tmp_path: Path, synthetic_data: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        kinds = ("neck", "head", "schedule")
        content["rows"] = []
        content["grid"] = {"backbone": [SWIN, "tiny"], **{kind: ["tiny"] for kind in kinds}}

    bench = Bench(synthetic_data, tmp_path / "results", variant(tmp_path, change))
    planned = bench.here("plan", "--profile", "smoke")
    assert planned.returncode == 0, planned.stderr
    assert "Changed" not in planned.stdout  # a row of parts is made of nothing else
    shown = bench.here("config", "--profile", "smoke", "--rows", swin_row(planned.stdout)).stdout
    assert "type='SwinTransformer'" in shown and "in_channels=[96, 192, 384, 768]" in shown
    assert "norm_eval" not in shown and "AdamW" not in shown
    made = make_plan(Request(bench.experiment, bench.results, data_root=synthetic_data))
    key, around = "model.backbone.embed_dims", surroundings_of(made.experiment, "smoke")
    assert origins(made.rows[0], around, key, {})[0] == SWIN


def swin_row(plan: str) -> str:
    return next(line.split()[0] for line in plan.splitlines() if "swin" in line)


@pytest.mark.trains
def test_rows_with_backbones_of_timm_and_of_a_package_train(
    tmp_path: Path, synthetic_data: Path
) -> None:
    parts = {"neck": "tiny", "head": "tiny", "schedule": "tiny"}
    short = {"train_cfg.max_epochs": 1}
    random = {**short, "model.backbone.pretrained": None}

    def change(content: dict[str, Any]) -> None:
        content["rows"] = [
            {"name": "timm", "parts": {"backbone": "timm/lcnet_050", **parts}, "set": random},
            {"name": "lite0", "parts": {"backbone": "efficientnet_lite0", **parts}, "set": short},
        ]

    bench = Bench(synthetic_data, tmp_path / "results", variant(tmp_path, change))
    done = bench.here("sweep", "--wandb", "off")
    assert done.returncode == 0, done.stdout + done.stderr
    config = (bench.folder("timm") / "config.py").read_text()
    assert "in_channels=[32, 64, 128, 256]" in config and "pretrained=None" in config
    assert bench.record("timm")["metrics"]["mAP50"] is not None
    # Weights of ImageNet, without a network.
    assert "pretrained=True" in (bench.folder("lite0") / "config.py").read_text()
    assert bench.record("lite0")["metrics"]["mAP50"] is not None


@pytest.mark.slow
def test_the_package_s_weights_are_taken_by_the_right_names() -> None:
    import timm

    from benchmark.models.efficientnet_lite0 import renamed, weights_file

    theirs = torch.load(weights_file(), weights_only=True)
    ours = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    ours.load_state_dict(renamed(theirs))
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((1, 3, 75, 64), generator=generator) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(ours(images), logits(theirs, images), rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="is not"):
        renamed(dict(reversed(theirs.items())))


# EfficientNet-Lite0 as it was published, by the package's own names: padding of TensorFlow, ReLU6, no squeezing.
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)


def logits(weights: Mapping[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    x = functional.relu6(norm(weights, "_bn0", conv(images, weights["_conv_stem.weight"], 2)))
    for i, stride in enumerate(STRIDES):
        x = block(weights, f"_blocks.{i}", stride, x)
    x = functional.relu6(norm(weights, "_bn1", conv(x, weights["_conv_head.weight"], 1)))
    return functional.linear(x.mean((2, 3)), weights["_fc.weight"], weights["_fc.bias"])


def block(
    weights: Mapping[str, torch.Tensor], name: str, stride: int, x: torch.Tensor
) -> torch.Tensor:
    before = x
    if f"{name}._expand_conv.weight" in weights:
        x = conv(x, weights[f"{name}._expand_conv.weight"], 1)
        x = functional.relu6(norm(weights, f"{name}._bn0", x))
    x = conv(x, weights[f"{name}._depthwise_conv.weight"], stride, groups=x.shape[1])
    x = functional.relu6(norm(weights, f"{name}._bn1", x))
    x = norm(weights, f"{name}._bn2", conv(x, weights[f"{name}._project_conv.weight"], 1))
    return x + before if x.shape == before.shape else x


def conv(x: torch.Tensor, weight: torch.Tensor, stride: int, groups: int = 1) -> torch.Tensor:
    size = weight.shape[-1]
    more = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[2:]]
    (top, left) = (side // 2 for side in more)
    x = functional.pad(x, (left, more[1] - left, top, more[0] - top))
    return functional.conv2d(x, weight, stride=stride, groups=groups)


def norm(weights: Mapping[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    keys = ("running_mean", "running_var", "weight", "bias")
    mean, var, weight, bias = (weights[f"{name}.{key}"] for key in keys)
    return functional.batch_norm(x, mean, var, weight, bias, eps=1e-3)
