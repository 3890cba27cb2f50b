"""Parts, merging, overrides and the written config."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from mmengine import Config

from benchmark.config.bases import with_bases
from benchmark.config.compose import check_recipes, compose, config_roots, surroundings_of
from benchmark.config.config_file import load_config, merged, plain, render
from benchmark.config.overrides import passed_over
from benchmark.data.dataset import Dataset, Split
from benchmark.errors import UserError
from benchmark.experiment.experiment import Row, load_experiment
from benchmark.experiment.rows.base import Surroundings, part_names
from benchmark.experiment.rows.parts import PART_KINDS
from benchmark.run.identity import identity

ROOT = Path(__file__).parent.parent
LEADERBOARD = ROOT / "experiments" / "leaderboard.yaml"
SHIPPED = sorted((ROOT / "configs").rglob("*.py"))
PARTS = {"backbone": "resnet50", "neck": "fpn", "head": "retina", "schedule": "mstrain_3x"}


def some_dataset(classes: int = 3) -> Dataset:
    train, val = (
        Split(Path(f"/data/{name}.json"), Path(f"/data/{name}"), name) for name in ("train", "val")
    )
    return Dataset("some", tuple(f"class {i}" for i in range(classes)), train, val)


def composed(
    parts: dict[str, str] | None = None,
    overrides: dict[str, Any] | None = None,
    *,
    row_overrides: dict[str, Any] | None = None,
    profile: str = "full",
    seed: int = 7,
    roots: list[Path] | None = None,
) -> dict[str, Any]:
    row = Row.model_validate(
        {"name": "row", "parts": {**PARTS, **(parts or {})}, "set": row_overrides or {}}
    )
    roots = config_roots(LEADERBOARD) if roots is None else roots
    around = Surroundings(LEADERBOARD.parent, tuple(roots), "coco", profile)
    return compose(row, some_dataset(), around, seed=seed, overrides=overrides or {})


def obstacles(path: Path) -> list[str]:
    """What stands in the way of an experiment's rows."""
    experiment = load_experiment(path)
    return check_recipes(experiment, surroundings_of(experiment, experiment.profile))


def from_file(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = Config.fromfile(path, import_custom_modules=False).to_dict()
    return config


def problems(overrides: dict[str, Any], **others: Any) -> list[str]:
    with pytest.raises(UserError) as caught:
        composed(overrides=overrides, **others)
    return caught.value.problems


# Reading parts


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_part_reads_as_in_mmengine(path: Path) -> None:
    assert plain(load_config(path)) == plain(from_file(path))


TRICKY = {
    "names": "import math\nfrom os.path import join\n__hidden = 1\n_kept = 2\n"
    "def helper(): return 3\nvalue = helper() + math.floor(1.5)\nclass_ = dict(a=(1, (2,)))\n",
    "deleted": "size = (640, 640)\nmodel = dict(size=size)\ndel size\n",
    "comprehension": "n = 3\nlevels = [dict(level=i, n=n) for i in range(n)]\n",
    "one_base": "_base_ = './base_a.py'\nmodel = dict(depth=101, extra=dict(x=1))\n",
    "two_bases": "_base_ = ['base_a.py', './base_b.py']\nmodel = dict(neck=dict(_delete_=True))\n",
    "delete_whole": "_base_ = 'base_a.py'\nmodel = dict(_delete_=True, type='Other')\n",
    "delete_false": "_base_ = 'base_a.py'\nmodel = dict(_delete_=False, type='Other')\n",
    "delete_nothing": "_base_ = 'base_a.py'\nmodel = dict(head=dict(_delete_=True, a=1))\n",
    "base_of_base": "_base_ = 'one_base.py'\nmodel = dict(neck=None, list_=[dict(_delete_=1)])\n",
    "base_variable": "_base_ = 'base_a.py'\nx = {{_base_.model.depth}}\n",
    "base_attribute": "_base_ = 'base_a.py'\nx = _base_.model.depth + 1\n",
    "environment": "x = '{{$DETBOARD_NO_SUCH_VARIABLE:fallback}}'\n",
    "predefined": "x = '{{ fileBasenameNoExtension }}'\n",
    "lazy": "from mmengine.config import read_base\nwith read_base():\n"
    "    from .lazy_base import *\nmodel.update(depth=101)\n",
    "empty": '"""Nothing."""\n',
}


@pytest.fixture
def tricky(tmp_path: Path) -> Path:
    (tmp_path / "base_a.py").write_text(
        "model = dict(type='A', depth=50, neck=dict(type='N', outs=(1, 2)))\n"
    )
    (tmp_path / "base_b.py").write_text("train_cfg = dict(max_epochs=12)\nitems = [1, 2]\n")
    (tmp_path / "lazy_base.py").write_text("model = dict(type='A', depth=50)\n")
    for name, text in TRICKY.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", TRICKY)
def test_tricky_file_reads_as_in_mmengine(name: str, tricky: Path) -> None:
    assert load_config(tricky / f"{name}.py") == from_file(tricky / f"{name}.py")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = dict(", "SyntaxError"),
        ("model = undefined", "undefined"),
        ("_base_ = 'none.py'", "none.py"),
        ("_base_ = ['base_a.py', 'base_a.py']", "both define model"),
        ("_base_ = 'base_b.py'\nitems = dict(a=1)", "'items' is a mapping"),
        ("_base_ = 'broken.py'", "RecursionError"),
    ],
)
def test_broken_part_is_named(text: str, message: str, tricky: Path) -> None:
    (tricky / "broken.py").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_config(tricky / "broken.py")
    assert "broken.py" in str(caught.value)


def test_a_base_that_was_edited_counts_at_once(tricky: Path) -> None:
    part, below = tricky / "part.py", tricky / "below.py"
    part.write_text("_base_ = 'below.py'\n")
    below.write_text("_base_ = 'base_b.py'\nitems = [3]\n")
    assert load_config(part) == {"train_cfg": {"max_epochs": 12}, "items": [3]}
    (tricky / "base_b.py").write_text("train_cfg = dict(max_epochs=1)\n")
    assert load_config(part) == {"train_cfg": {"max_epochs": 1}, "items": [3]}
    below.write_text("_base_ = ['base_a.py', 'base_b.py']\n")
    assert load_config(part) == load_config(below)
    assert with_bases(part) == (part, below, tricky / "base_a.py", tricky / "base_b.py")


def random_config(rng: random.Random, depth: int) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for key in rng.sample("abcd", rng.randint(0, 4)):
        nested = depth > 0 and rng.random() < 0.6
        config[key] = random_config(rng, depth - 1) if nested else rng.choice([1, None, "x", [1]])
    if depth < 3 and rng.random() < 0.2:
        config["_delete_"] = rng.choice([True, False])
    return config


def test_merging_is_as_in_mmengine() -> None:
    rng = random.Random(0)
    failures = 0
    for _ in range(500):
        parts = [random_config(rng, 3) for _ in range(3)]
        try:
            expected: dict[str, Any] = {}
            for part in parts:
                expected = Config._merge_a_into_b(Config(part)._cfg_dict.to_dict(), expected)
        except TypeError:
            failures += 1
            with pytest.raises(TypeError):
                merged(parts[2], merged(parts[1], merged(parts[0], {})))
            continue
        ours = merged(parts[2], merged(parts[1], merged(parts[0], {})))
        assert plain(ours) == plain(Config(expected).to_dict())
    assert 20 < failures < 480


def test_composing_does_not_import_mmengine() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests'); import benchmark.config.compose;"
        "from benchmark.experiment.experiment import load_experiment as load; from pathlib import Path;"
        "from benchmark.data.dataset import Dataset, Split;"
        "e = load(Path('experiments/leaderboard.yaml'));"
        "s = Split(Path('/a.json'), Path('/a'), 'a');"
        "a = benchmark.config.compose.surroundings_of(e, 'smoke');"
        "[benchmark.config.compose.compose(r, Dataset('d', ('a',), s, s), a, seed=1, overrides={})"
        " for r in e.rows];"
        "print(sorted({'mmengine', 'torch', 'mmdet', 'pandas'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# Finding parts


def test_own_parts_come_before_the_shipped_ones(tmp_path: Path) -> None:
    for folder, depth in (("configs", 18), ("experiments/configs", 34)):
        part = tmp_path / folder / "backbones" / "resnet50.py"
        part.parent.mkdir(parents=True)
        part.write_text(f"model = dict(backbone=dict(depth={depth}))\n")
    roots = config_roots(tmp_path / "experiments" / "mine.yaml")
    assert [root.relative_to(tmp_path) for root in roots[:2]] == [
        Path("configs"),
        Path("experiments/configs"),
    ]
    assert composed(roots=roots)["model"]["backbone"]["depth"] == 18
    assert composed({"backbone": "resnet101"}, roots=roots)["model"]["backbone"]["depth"] == 101
    assert composed()["model"]["backbone"]["depth"] == 50


def test_changed_part_is_read_again(tmp_path: Path) -> None:
    part = tmp_path / "configs" / "necks" / "mine.py"
    part.parent.mkdir(parents=True)
    roots = config_roots(tmp_path / "experiments" / "mine.yaml")
    for time, channels in ((1, 64), (2, 128)):
        part.write_text(f"model = dict(neck=dict(type='FPN', out_channels={channels}))\n")
        os.utime(part, (time, time))
        assert composed({"neck": "mine"}, roots=roots)["model"]["neck"]["out_channels"] == channels


def test_part_names() -> None:
    roots = config_roots(LEADERBOARD)
    assert part_names("neck", roots) == ["fpg", "fpg_w32", "fpn", "fpn_w32"]
    assert part_names("profile", roots) == ["full", "smoke"]
    assert all(part_names(kind, roots) for kind in (*PART_KINDS, "dataset", "profile"))


def test_unknown_parts_are_all_reported(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "profile: smok\ndataset: {part: voc}\nrows:\n"
        "- {name: a, parts: {backbone: resnet5, neck: fpn, head: retina, schedule: step_1x}}\n"
        "- {name: b, parts: {backbone: resnet50, neck: pan, head: retina, schedule: step_1x}}\n"
    )
    assert obstacles(path) == [
        "dataset.part: no part 'voc'; allowed: coco, coco_96px",
        "profile: no part 'smok'; allowed: full, smoke; did you mean 'smoke'?",
        "row 'a': backbone: no part 'resnet5'; allowed: convnext_large, convnext_tiny, "
        "convnext_w16, convnext_w32, efficientnet_lite0, regnetx_w16, resnet101, resnet18, resnet18_w16, resnet34_w16, "
        "resnet50, resnext101_64x4d; did you mean 'resnet50'?; models by name: timm/NAME, "
        "mmpretrain/CLASS:ARCHITECTURE, mmdet::FAMILY/FILE.py",
        "row 'b': neck: no part 'pan'; allowed: fpg, fpg_w32, fpn, fpn_w32; did you mean 'fpn'?",
    ]


def test_shipped_experiment_has_all_its_parts() -> None:
    assert obstacles(LEADERBOARD) == []


def test_missing_part_ends_composing() -> None:
    with pytest.raises(UserError, match=r"no part necks/none\.py in .*configs"):
        composed({"neck": "none"})


# The data set


def test_dataset_is_filled_in() -> None:
    config = composed()
    train = config["train_dataloader"]["dataset"]
    assert (train["type"], train["times"]) == ("RepeatDataset", 3)
    filled = {
        "data_root": "",
        "metainfo": {"classes": ("class 0", "class 1", "class 2")},
    }
    leaf = train["dataset"]
    assert {**leaf, **filled} == leaf
    assert (leaf["ann_file"], leaf["data_prefix"]) == ("/data/train.json", {"img": "/data/train/"})
    assert "ann_file" not in train
    for split in ("val", "test"):
        leaf = config[f"{split}_dataloader"]["dataset"]
        assert {**leaf, **filled} == leaf
        assert (leaf["ann_file"], leaf["data_prefix"]) == ("/data/val.json", {"img": "/data/val/"})
        assert config[f"{split}_evaluator"]["ann_file"] == "/data/val.json"
    assert config["model"]["bbox_head"]["num_classes"] == 3
    assert config["randomness"] == {"seed": 7}


def test_dataset_is_filled_into_what_an_override_puts_in() -> None:
    leaf = {"type": "CocoDataset", "ann_file": "", "pipeline": []}
    view = {**leaf, "pipeline": [{"type": "RandomFlip", "prob": 1.0}]}
    joined = {"_delete_": True, "type": "ConcatDataset", "datasets": [leaf, view]}
    config = composed(overrides={"train_dataloader.dataset": joined})
    for filled in config["train_dataloader"]["dataset"]["datasets"]:
        assert filled["ann_file"] == "/data/train.json"
        assert filled["data_prefix"] == {"img": "/data/train/"}
    assert leaf["ann_file"] == ""
    assert "_delete_" not in config["train_dataloader"]["dataset"]


def test_every_classifier_of_a_two_stage_model_gets_the_classes(tmp_path: Path) -> None:
    part = tmp_path / "configs" / "heads" / "two_stage.py"
    part.parent.mkdir(parents=True)
    part.write_text(
        "model = dict(backbone=dict(num_classes=1000), roi_head=dict("
        "bbox_head=[dict(num_classes=80), dict(num_classes=80)], mask_head=dict(num_classes=80)))\n"
    )
    model = composed({"head": "two_stage"}, roots=config_roots(tmp_path / "e" / "e.yaml"))["model"]
    assert [head["num_classes"] for head in model["roi_head"]["bbox_head"]] == [3, 3]
    assert model["roi_head"]["mask_head"]["num_classes"] == 3
    assert model["backbone"]["num_classes"] == 1000


# Overrides


def test_overrides_reach_mappings_lists_and_tuples() -> None:
    config = composed(
        row_overrides={"optim_wrapper.optimizer.lr": 0.5, "train_cfg.max_epochs": 3},
        overrides={
            "optim_wrapper.optimizer.lr": 1,
            "param_scheduler.1.gamma": 0.5,
            "val_dataloader.dataset.pipeline.1.scale.0": 640,
            "model.neck.in_channels": [1, 2, 3, 4],
            "test_dataloader.dataset.pipeline.1.scale": [300, 200],
            "train_dataloader.dataset.dataset.pipeline.2.scale": [[300, 100], [300, 200]],
            "+model.neck.norm_cfg.type": "BN",
            "model.backbone.init_cfg": None,
            "model.bbox_head.loss_bbox": {"_delete_": True, "type": "GIoULoss"},
            "model.test_cfg.nms": {"iou_threshold": 0.6},
            "model.neck.add_extra_convs": False,
        },
    )
    assert config["optim_wrapper"]["optimizer"]["lr"] == 1
    assert config["train_cfg"]["max_epochs"] == 3
    assert config["param_scheduler"][1]["gamma"] == 0.5
    assert config["val_dataloader"]["dataset"]["pipeline"][1]["scale"] == (640, 800)
    assert config["model"]["neck"]["in_channels"] == [1, 2, 3, 4]
    assert config["test_dataloader"]["dataset"]["pipeline"][1]["scale"] == (300, 200)
    resize = config["train_dataloader"]["dataset"]["dataset"]["pipeline"][2]
    assert resize["scale"] == [(300, 100), (300, 200)]
    assert config["model"]["neck"]["norm_cfg"] == {"type": "BN"}
    assert config["model"]["backbone"]["init_cfg"] is None
    assert config["model"]["bbox_head"]["loss_bbox"] == {"type": "GIoULoss"}
    assert config["model"]["test_cfg"]["nms"] == {"type": "nms", "iou_threshold": 0.6}
    assert config["model"]["neck"]["add_extra_convs"] is False


def test_new_item_of_a_list_is_added() -> None:
    hook = {"type": "EMAHook"}
    config = composed(overrides={"+custom_hooks": [], "+custom_hooks.0": hook})
    assert config["custom_hooks"] == [hook]


def test_every_wrong_override_is_reported() -> None:
    found = problems(
        {"optim_wrapper.optimizer.learning_rate": 1, "train_cfg": 3},
        row_overrides={"optimizer.lr": 0.1},
    )
    assert found == [
        "row 'row': optimizer.lr: no such key 'optimizer'; did you mean "
        "'optim_wrapper.optimizer.lr'? ('+optimizer.lr' adds a new key)",
        "row 'row': optim_wrapper.optimizer.learning_rate: no such key 'learning_rate'; did you "
        "mean 'optim_wrapper.optimizer.lr'? ('+optim_wrapper.optimizer.learning_rate' adds a new "
        "key)",
        "row 'row': train_cfg: 3 is a number; the value there is a mapping "
        "({'type': 'EpochBasedTrainLoop', 'max_epochs': 12, 'val_in...); 'train_cfg!' takes any type",
    ]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("optim_wrapper.optimizer.lr", "1e-4", "write it as 0.0001"),
        ("optim_wrapper.optimizer.lr", "fast", "'fast' is a text; the value there is a number"),
        ("optim_wrapper.optimizer.lr", {"a": 1}, "the value there is a number"),
        ("optim_wrapper.optimizer.lr", True, "True is a switch"),
        ("model.backbone.type", 5, "the value there is a text"),
        ("param_scheduler.2.gamma", 1, "not an index of this list of 2"),
        ("param_scheduler.x", 1, "not an index of this list of 2"),
        ("+param_scheduler.4", {}, "not an index of this list of 2"),
        ("optim_wrapper.optimizer.lr.x", 1, "float has no 'x'"),
        ("+optim_wrapper.optimizer.lr.x", 1, "float has no 'x'"),
        ("randomness.seed", 1, "use --seeds"),
        ("model.bbox_head.num_classes", 4, "the data set's own classes"),
        ("train_dataloader.dataset.dataset.ann_file", "/x", "use --data-root"),
        ("+val_dataloader.dataset.metainfo.classes", [], "the data set's own classes"),
    ],
)
def test_wrong_override_says_why(key: str, value: Any, message: str) -> None:
    [problem] = problems({key: value})
    assert message in problem and problem.startswith(f"row 'row': {key}: ")


_MILESTONES = "param_scheduler.1.milestones"
_SCALES = "train_dataloader.dataset.dataset.pipeline.2.scale"
_LISTED = (
    f"--set '{_MILESTONES}=[9, 11]', or {_MILESTONES}: [9, 11] in YAML; '{_MILESTONES}!' takes"
)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (_MILESTONES, "[8 11]", _LISTED),
        (_MILESTONES, "8;11", _LISTED),
        (_MILESTONES, "(0,1,2", _LISTED),
        (_MILESTONES, 8, "8 is a number; the value there is a list"),
        (_MILESTONES, ["8", "11"], "is a list of texts; the value there is a list of numbers"),
        (_MILESTONES, [[8, 11]], "is a list of lists; the value there is a list of numbers"),
        (_MILESTONES, [8.5, 11], "is not whole; the value there is a count"),
        (_SCALES, [[1333, "640"]], "the value there is a list of lists"),
        ("model.neck.in_channels.0", [256], "is a list; the value there is a number"),
        ("model.backbone.out_indices", "(0,1,2", "'(0,1,2' is a text; the value there is a list"),
        ("model.backbone.type", ["ResNet"], "is a list; the value there is a text"),
        ("model.backbone.type", True, "is a switch; the value there is a text"),
        ("auto_scale_lr.enable", "off", "write it as false"),
        ("auto_scale_lr.enable", 1, "1 is a number; the value there is a switch"),
        ("train_dataloader.batch_size", 2.5, "2.5 is not whole; the value there is a count"),
        ("train_cfg.max_epochs", 1.5, "1.5 is not whole"),
        ("train_cfg.max_epochs", "3", "write it as 3; 'train_cfg.max_epochs!' takes any type"),
        ("optim_wrapper", {"optimizer": {"lr": "high"}}, "optim_wrapper.optimizer.lr: 'high'"),
        ("optim_wrapper", {"optimizer": {"+lr": 1}}, "belong to a whole key path"),
        ("param_scheduler.1", {"milestones": "[8 11]"}, _LISTED),
        ("+param_scheduler.1.more", "[8 11]", "is a text and no list or mapping"),
        ("model.backbone.type", {1, 2}, "{1, 2} is no value of a config (set)"),
        ("+more", [{"a": date(2024, 1, 1)}], "no value of a config (date); in quotes it is a text"),
    ],
)
def test_a_value_has_the_type_of_what_it_replaces(key: str, value: Any, message: str) -> None:
    [problem] = problems({key: value})
    assert message in problem


def test_a_value_of_another_type_is_said_to_be_one() -> None:
    config = composed(
        overrides={
            "model.backbone.norm_cfg.type!": ["8 11"],
            "model.backbone.out_indices!": 3,
            "+model.neck.more!": "[a b]",
            "model.neck.num_outs!": 2.5,
            "optim_wrapper.optimizer!": {"dampening": "auto"},
        }
    )
    assert config["model"]["backbone"]["norm_cfg"]["type"] == ["8 11"]
    assert config["model"]["backbone"]["out_indices"] == 3
    assert config["model"]["neck"]["more"] == "[a b]"
    assert config["model"]["neck"]["num_outs"] == 2.5
    assert config["optim_wrapper"]["optimizer"]["dampening"] == "auto"
    assert config["optim_wrapper"]["optimizer"]["momentum"] == 0.9


def test_values_that_mmdet_varies_fit() -> None:
    resize = "test_dataloader.dataset.pipeline.1.scale"
    config = composed(
        overrides={
            resize: [[1333, 640], [1333, 800]],
            _SCALES: [1333, 800],
            "model.backbone.norm_cfg": None,
            "model.backbone.out_indices": [1, 2, 3],
            "model.bbox_head.loss_bbox.loss_weight": 2,
            "model.neck.num_outs": 5.0,
            "optim_wrapper": {"optimizer": {"weight_decay": 0}},
            "+optim_wrapper.clip_grad": {"max_norm": 35, "norm_type": 2},
        }
    )
    assert config["test_dataloader"]["dataset"]["pipeline"][1]["scale"] == [
        (1333, 640),
        (1333, 800),
    ]
    pipeline = config["train_dataloader"]["dataset"]["dataset"]["pipeline"]
    assert pipeline[2]["scale"] == (1333, 800)
    assert config["model"]["backbone"]["norm_cfg"] is None
    assert exactly(config["model"]["neck"]["num_outs"]) == ("int", 5)
    assert config["optim_wrapper"]["optimizer"]["weight_decay"] == 0


def test_a_row_sets_a_key_once() -> None:
    lr = "optim_wrapper.optimizer.lr"
    [problem] = problems({}, row_overrides={lr: 0.1, f"+{lr}!": 0.2})
    assert f"row 'row': {lr}: given 2 times ({lr}, +{lr}!)" in problem


@pytest.mark.parametrize(
    ("above", "value", "below", "first"),
    [
        ("optim_wrapper.optimizer", {"lr": 0.1}, "optim_wrapper.optimizer.lr", True),
        ("optim_wrapper.optimizer", {"lr": 0.1}, "optim_wrapper.optimizer.lr", False),
        ("optim_wrapper", {"optimizer": {"lr": 0.1}}, "optim_wrapper.optimizer.lr", True),
        ("param_scheduler", None, "param_scheduler.0.gamma", False),
        (
            "optim_wrapper.optimizer",
            {"_delete_": True, "type": "Adam"},
            "optim_wrapper.optimizer.lr",
            False,
        ),
    ],
)
def test_no_override_is_passed_over(above: str, value: object, below: str, first: bool) -> None:
    pairs = [(above, value), (below, 0.2)]
    [problem] = problems({}, row_overrides=dict(pairs if first else reversed(pairs)))
    assert f"row 'row': {below}: is given in {above}, too" in problem


def test_overrides_side_by_side_are_taken() -> None:
    given = {"optim_wrapper.optimizer": {"_delete_": True, "type": "Adam"}}
    assert not passed_over({**given, "+optim_wrapper.optimizer.lr": 0.1})
    assert not passed_over({"+optim_wrapper.clip_grad": {"max_norm": 1}, "optim_wrapper.type": "a"})
    assert not passed_over(
        {"optim_wrapper.optimizer": {"lr": 1}, "optim_wrapper.optimizer.momentum": 1}
    )


def test_loaders_without_workers_are_left_valid() -> None:
    config = composed(
        overrides={"train_dataloader.num_workers": 0, "+train_dataloader.prefetch_factor": 4}
    )
    assert config["train_dataloader"]["persistent_workers"] is False
    assert "prefetch_factor" not in config["train_dataloader"]
    assert config["val_dataloader"]["persistent_workers"] is True


# What comes back


def test_configs_are_independent() -> None:
    shared = [1, 2, 3, 4]
    overrides = {"model.neck.in_channels": shared}
    first = composed(overrides=overrides)
    expected = plain(first)
    second = composed(overrides=overrides)
    wreck(second)
    assert shared == [1, 2, 3, 4]
    assert first == expected == composed(overrides=overrides)
    wreck(composed())
    assert composed()["model"]["neck"]["in_channels"] == [256, 512, 1024, 2048]


def test_nothing_is_shared_within_a_config() -> None:
    config = composed()
    config["val_dataloader"]["dataset"]["pipeline"][1]["scale"] = "changed"
    assert config["test_dataloader"]["dataset"]["pipeline"][1]["scale"] == (1333, 800)


def wreck(node: Any) -> None:
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list | tuple):
            wreck(child)
    if isinstance(node, dict | list):
        node.clear()


def test_no_delete_mark_is_left() -> None:
    for backbone in ("resnet50", "convnext_tiny"):
        assert "_delete_" not in render(composed({"backbone": backbone, "head": "free_anchor"}))


def every_row(profile: str) -> dict[str, dict[str, Any]]:
    rows = load_experiment(LEADERBOARD).rows
    return {row.name: composed(dict(row.recipe.names), profile=profile) for row in rows}


@pytest.mark.parametrize("profile", ["full", "smoke"])
def test_written_config_reads_back_the_same(profile: str, tmp_path: Path) -> None:
    for name, config in every_row(profile).items():
        path = tmp_path / f"{name}.py"
        path.write_text(render(config))
        loaded = from_file(path)
        assert exactly(loaded) == exactly(config)
        assert render(loaded) == render(config)
        data = some_dataset()
        assert identity(loaded, data, 7, profile) == identity(config, data, 7, profile)


def test_written_config_holds_every_plain_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/replaced")
    config = {
        "numbers": [1, -1.5, 1e-05, float("inf"), True, None],
        "fills": [
            "{{ fileBasename }}",
            "{{_base_.x}}",
            "{{'$HOME:x'}}",
            "{{{{",
            "$HOME %s {x}",
            "\\{{",
        ],
        "odd": ["\u2028", "\u0085", "\ud800", "\x00", "😀", {"{{ fileDirname }}": 1}],
        "texts": ['it\'s "quoted"', "line\nbreak", "back\\slash", "Glas für Straße", ""],
        "nested": {"a-b": {"lambda": 1}, 3: (1,), "plain": {"x": ()}, "empty": {}},
        "long": [list(range(60)), {"key" * 20: "value" * 20}],
    }
    path = tmp_path / "config.py"
    path.write_text(render(config), encoding="utf-8")
    assert exactly(from_file(path)) == exactly(config)
    assert max(len(line) for line in render(config).splitlines()) < 200


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"a-b": 1}, "'a-b' cannot be a"),
        ({"text": 1}, "'text' cannot be a"),
        ({"a": {"b": object()}}, "cannot hold <object"),
    ],
)
def test_what_cannot_be_written_is_an_error(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        render(config)


def exactly(value: Any) -> Any:
    """A value with the type of each of its containers and numbers."""
    if isinstance(value, dict):
        return {key: exactly(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [exactly(item) for item in value]
    return type(value).__name__, value


def test_identity_follows_what_matters() -> None:
    data = some_dataset()
    same = identity(composed(), data, 7, "full")
    assert same == identity(composed(seed=8), data, 7, "full")
    assert same == identity(composed(overrides={"val_dataloader.num_workers": 9}), data, 7, "full")
    assert same != identity(composed(overrides={"train_cfg.max_epochs": 9}), data, 7, "full")
    assert same != identity(composed({"head": "pisa"}), data, 7, "full")
