"""Rows that are made from a whole config: mmdet's by name, or one's own by its path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import TINY, Bench, here, study, variant
from desk import Desk

from benchmark.cli.changes import changes_by_rows
from benchmark.config.config_file import render
from benchmark.config.labels import labels_of
from benchmark.errors import UserError
from benchmark.leaderboard.select import reports_on_disk
from benchmark.run.plan import Plan, Request, make_plan
from benchmark.tuning.study import read_study

FASTER, RETINA = "faster-rcnn_r50_fpn_1x_coco", "retinanet_r50_fpn_1x_coco"


def experiment(folder: Path, *rows: dict[str, Any]) -> Path:
    """An experiment of these rows under the tiny profile, which its folder has a copy of."""
    profiles = folder / "configs" / "profiles"
    profiles.mkdir(parents=True, exist_ok=True)
    (profiles / "tiny.py").write_text((TINY.parent / "configs/profiles/tiny.py").read_text())
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"profile": "tiny", "rows": list(rows)}, sort_keys=False))
    return path


@pytest.fixture
def planned(tmp_path: Path, synthetic_data: Path) -> Any:
    def plan(*rows: dict[str, Any], **asked: Any) -> Plan:
        path = experiment(tmp_path, *rows)
        return make_plan(Request(path, tmp_path / "results", data_root=synthetic_data, **asked))

    return plan


def test_a_config_is_named_in_three_ways(planned: Any, tmp_path: Path) -> None:
    mine = tmp_path / "models" / "mine.py"
    mine.parent.mkdir()
    mine.write_text(f"_base_ = ['mmdet::faster_rcnn/{FASTER}.py']\n")
    names = (FASTER, f"mmdet::faster_rcnn/{FASTER}.py", "models/mine.py")
    made = planned(*({"name": f"row{i}", "config": name} for i, name in enumerate(names)))
    assert len({run.spec.run_id.rpartition("-")[2] for run in made.runs}) == 1
    assert [run.spec.names for run in made.runs] == [{"config": name} for name in names]
    sources = [[Path(file).name for file in run.spec.sources] for run in made.runs]
    # mmdet's own files are known by its version, which is in every record.
    assert sources == [
        ["mine.yaml", "runtime.py", *more, "tiny.py"] for more in ([], [], ["mine.py"])
    ]


WRONG = {
    FASTER.replace(
        "-", "_"
    ): "mmdet has no config of this name, and the path of a file ends in .py; nearest of "
    f"mmdet's: mmdet::faster_rcnn/{FASTER}.py, ",
    "mmdet::faster_rcnn/no.py": "mmdet has no config 'faster_rcnn/no.py'",
    f"mmdet::retinanet/{FASTER}.py": f"nearest of mmdet's: mmdet::faster_rcnn/{FASTER}.py",
    "mmdet::../../__init__.py": "mmdet has no config '../../__init__.py'",
    f"{FASTER}.py": f"mine/{FASTER}.py; nearest of mmdet's: mmdet::faster_rcnn/{FASTER}.py",
    "grounding_dino_swin-t_pretrain_odinw13": "mmdet has 2 configs of this name; write one of ",
    "dino": "nearest of mmdet's: mmdet::dino/dino-",
}


def test_a_key_or_a_file_of_one_s_own_that_is_misspelt(
    tmp_path: Path, synthetic_data: Path
) -> None:
    (tmp_path / "ours.py").write_text("")
    path = experiment(
        tmp_path, {"name": "a", "config": "ors.py", "replace": {"bacbone": "resnet18"}}
    )
    asked = Request(path, tmp_path / "results", data_root=synthetic_data)
    with pytest.raises(UserError) as caught:
        make_plan(asked)
    assert caught.value.problems == [
        f"{path}: rows.0.replace.bacbone: no such key; allowed: backbone, dataset, head, neck, schedule; "
        "did you mean 'backbone'? (got 'resnet18')"
    ]
    parts = {"backbone": "resnet18", "neck": "fpn", "head": "retina", "schedule": "step_1x"}
    path = experiment(tmp_path, {"name": "a", "parts": parts, "load_from": "zoo"})
    with pytest.raises(
        UserError, match="load_from: no such key in a row of this kind, but of one with 'config'; "
    ):
        make_plan(asked)
    path = experiment(tmp_path, {"name": "a", "config": "ors.py"})
    with pytest.raises(UserError) as caught:
        make_plan(asked)
    assert str(caught.value).endswith(
        f"there is no file {tmp_path / 'ors.py'}; did you mean 'ours.py'?"
    )


def test_every_wrong_name_is_told_with_the_nearest(tmp_path: Path, synthetic_data: Path) -> None:
    (tmp_path / "mine").mkdir()
    rows: list[dict[str, Any]]
    rows = [{"name": f"row{i}", "config": name} for i, name in enumerate(WRONG)]
    rows.append({"name": "parts", "config": FASTER, "replace": {"neck": "fpm", "head": "retna"}})
    path = experiment(tmp_path / "mine", *rows)
    with pytest.raises(UserError) as caught:
        make_plan(Request(path, tmp_path / "results", data_root=synthetic_data))
    told = caught.value.problems
    for number, (name, words) in enumerate(WRONG.items()):
        (mine,) = [problem for problem in told if problem.startswith(f"row 'row{number}': ")]
        assert f"config '{name}': " in mine and words in mine
    assert [p.partition("; allowed")[0] for p in told if "'parts'" in p] == [
        "row 'parts': replace.head: no part 'retna'",
        "row 'parts': replace.neck: no part 'fpm'",
    ]


LABELS = {
    "faster-rcnn_r50_fpn_1x_coco": ("FasterRCNN", "ResNet-50", "FPN", "StandardRoIHead", "1x"),
    "libra-faster-rcnn_x101-64x4d_fpn_1x_coco": (
        "FasterRCNN",
        "ResNeXt-101-64x4d",
        "FPN + BFP",
        "StandardRoIHead",
        "1x",
    ),
    "retinanet_r50_fpn_ms-640-800-3x_coco": ("RetinaNet", "ResNet-50", "FPN", "RetinaHead", "3x"),
    "retinanet_r50_fpn_90k_coco": ("RetinaNet", "ResNet-50", "FPN", "RetinaHead", "90k iterations"),
    "retinanet_swin-t-p4-w7_fpn_1x_coco": ("RetinaNet", "Swin-T", "FPN", "RetinaHead", "1x"),
    "retinanet_regnetx-3.2GF_fpn_1x_coco": (
        "RetinaNet",
        "RegNetX-3.2GF",
        "FPN",
        "RetinaHead",
        "1x",
    ),
    "retinanet_pvtv2-b3_fpn_1x_coco": ("RetinaNet", "PVTv2-B3", "FPN", "RetinaHead", "1x"),
    "fcos_hrnetv2p-w18-gn-head_4xb4-1x_coco": ("FCOS", "HRNet-W18", "HRFPN", "FCOSHead", "1x"),
    "rtmdet_tiny_8xb32-300e_coco": (
        "RTMDet",
        "CSPNeXt-tiny",
        "CSPNeXtPAFPN",
        "RTMDetSepBNHead",
        "300 epochs",
    ),
    "detr_r50_8xb2-150e_coco": ("DETR", "ResNet-50", "ChannelMapper", "DETRHead", "150 epochs"),
}
TITLES = ("Model", "Backbone", "Neck", "Head", "Learning Method")


def test_labels_are_what_the_config_says(planned: Any) -> None:
    rows = [{"name": f"row{i}", "config": name} for i, name in enumerate(LABELS)]
    assert [tuple(row.cells[t] for t in TITLES) for row in planned(*rows).rows] == [
        *LABELS.values()
    ]


def test_a_model_of_timm_is_labelled_by_its_name() -> None:
    backbone = {"type": "TimmFeatures", "model_name": "resnet18.a1_in1k"}
    assert labels_of({"model": {"backbone": backbone}})["Backbone"] == "resnet18.a1_in1k"


def test_labels_follow_the_row_and_not_the_profile(planned: Any) -> None:
    """A profile trains for fewer epochs, which says nothing of the row; its own ``set`` is the row."""
    deeper = {"model.backbone.depth": 18, "+model.backbone.base_channels": 16}
    longer = {"train_cfg.max_epochs": 20}
    made = planned(
        {"name": "own", "config": FASTER, "labels": {"Neck": "mine", "Owner": "me"}},
        {"name": "deeper", "config": FASTER, "set": deeper},
        {"name": "longer", "config": FASTER, "set": longer},
    )
    shown = {row.name: row.cells for row in made.rows}
    assert shown["own"] == {
        **dict(zip(TITLES, LABELS[FASTER], strict=True)),
        "Neck": "mine",
        "Owner": "me",
    }
    assert shown["deeper"]["Backbone"] == "ResNet-18-w16"
    assert shown["longer"]["Learning Method"] == "20 epochs"
    assert [run.spec.labels for run in made.runs] == [row.cells for row in made.rows]


def test_parts_stand_in_the_place_of_the_config_s_own(planned: Any) -> None:
    """Labels and changes are those of what stands there now."""
    parts = {"backbone": "convnext_tiny", "schedule": "mstrain_3x"}
    (run,) = planned({"name": "mixed", "config": FASTER, "replace": parts}).runs
    assert run.spec.names == {
        "config": FASTER,
        "schedule": "mstrain_3x",
        "backbone": "convnext_tiny",
    }
    shown = tuple(run.spec.labels[title] for title in TITLES)
    assert shown == ("FasterRCNN", "ConvNeXt-tiny", "FPN", "StandardRoIHead", "3x")
    assert "neck.in_channels: 256, 512, 1024, 2048 -> 96, 192, 384, 768" in run.spec.changes
    sources = {Path(file).name for file in run.spec.sources}
    assert sources >= {"convnext_tiny.py", "mstrain_3x.py", "runtime.py"}
    unfit = {"config": "faster-rcnn_r50-caffe_c4-1x_coco", "replace": {"backbone": "convnext_tiny"}}
    with pytest.raises(UserError) as caught:
        planned({"name": "unfit", **unfit})
    (told,) = caught.value.problems
    assert told.startswith("row 'unfit': replace: ") and "roi_head.shared_head" in told


REFUSED = {
    "yolox_tta": "has no 'model'; it is a part of other configs: name one that trains a detector",
    "mmdet::sort/faster-rcnn_r50_fpn_8xb2-4e_mot17train_test-mot17train.py": "cannot be loaded: FileNotFoundError",
    "solov2_r50_fpn_1x_coco": "SOLOv2: predicts masks alone",
    "mask2former_r50_8xb2-lsj-50e_coco": "Mask2Former: predicts masks alone",
    "broken.py": "broken.py: cannot be loaded: SyntaxError: ",
    "lonely.py": "lonely.py: cannot be loaded: FileNotFoundError: ",
}


def test_what_makes_no_row_is_told_once_with_row_and_config(planned: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("model = dict(")
    (tmp_path / "lonely.py").write_text("_base_ = ['nowhere.py']")
    rows = ({"name": f"row{i}", "config": name} for i, name in enumerate(REFUSED))
    with pytest.raises(UserError) as caught:
        planned(*rows, {"name": "sound", "config": FASTER})
    told = caught.value.problems
    assert len(told) == len(REFUSED)
    for number, (line, (name, words)) in enumerate(zip(told, REFUSED.items(), strict=True)):
        assert line.startswith(f"row 'row{number}': config '{name}': ")
        assert words in line


# What stands in a config file of one's own, behind RetinaNet's, and what is said of it.
UNWRITABLE = {
    "import sys\nsys.exit(3)": "cannot be loaded: SystemExit: 3",
    "model = dict(test_cfg=dict(f=lambda x: x))": "model.test_cfg.f: a config cannot hold <lambda>, which is made in",
    "class Own:\n    pass\nmodel = dict(type=Own)": "model.type: a config cannot hold Own, which is made in the file",
    "model = dict(test_cfg=dict(some={1}))": "model.test_cfg.some: a config cannot hold {1}: only text, numbers,",
}


def test_what_a_config_file_cannot_hold_is_told_by_plan(planned: Any, tmp_path: Path) -> None:
    for number, text in enumerate(UNWRITABLE):
        (tmp_path / f"own{number}.py").write_text(
            f"_base_ = ['mmdet::retinanet/{RETINA}.py']\n{text}\n"
        )
    (tmp_path / "own.yaml").write_text("model: {type: RetinaNet}\n")
    (tmp_path / "loop.py").write_text(
        f"_base_ = ['mmdet::retinanet/{RETINA}.py']\ntrain_cfg = 'x'\n"
    )
    names = [f"own{number}.py" for number in range(len(UNWRITABLE))]
    with pytest.raises(UserError) as caught:
        planned(
            *({"name": f"row{i}", "config": name} for i, name in enumerate([*names, "loop.py"]))
        )
    *told, loop = caught.value.problems
    for line, words in zip(told, UNWRITABLE.values(), strict=True):
        assert words in line
    assert "train_cfg" in loop
    for name, words in (("./own.yaml", "is no Python file"), ("./mine", "is a folder")):
        (tmp_path / "mine").mkdir(exist_ok=True)
        with pytest.raises(UserError, match=words):
            planned({"name": "row", "config": name})


TYPED = """
from pathlib import Path
import numpy as np
from mmcv.ops import RoIAlign
print("read")
model = dict(test_cfg=dict(score_thr=np.float32(0.25), nms_pre=np.int64(900), layer=dict(type=RoIAlign)))
load_from = Path(WEIGHTS)
"""
SAID = """
model = dict(test_cfg=dict(score_thr=0.25, nms_pre=900, layer=dict(type="RoIAlign")))
load_from = WEIGHTS
"""


def test_classes_paths_and_numbers_of_numpy_are_written_as_plain_values(
    planned: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    for name, text in (("typed", TYPED), ("said", SAID)):
        top = f"_base_ = ['mmdet::retinanet/{RETINA}.py']\nWEIGHTS = {str(weights)!r}\n"
        (tmp_path / f"{name}.py").write_text(top + text)
    typed, said = planned(*({"name": n, "config": f"{n}.py"} for n in ("typed", "said"))).runs
    assert render(typed.config) == render(said.config)
    assert capsys.readouterr().out == ""  # `detboard config` prints a config, and nothing else


OWN = """
_base_ = ["../bases/own_base.py"]
steps = [1]
model = dict(
    backbone=dict(
        _delete_=True, type="ResNet", depth=18, num_stages=4, out_indices=(0, 1, 2, 3), norm_eval=True, style="pytorch"
    ),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
param_scheduler = [dict(type="MultiStepLR", milestones=[{{_base_.at}}], by_epoch=True, end=12)]
custom_imports = dict(imports=["beside"])
work_dir, resume, vis_backends = "/nowhere", True, []
"""


def test_a_config_of_one_s_own(planned: Any, tmp_path: Path) -> None:
    """Bases relative to its folder, ``_delete_``, ``{{ }}``, a module beside the experiment."""
    for folder in ("models", "bases"):
        (tmp_path / folder).mkdir()
    base = f"_base_ = ['mmdet::retinanet/{RETINA}.py']\nat = 7\n"
    (tmp_path / "bases" / "own_base.py").write_text(base)
    (tmp_path / "models" / "own.py").write_text(OWN)
    (tmp_path / "beside.py").write_text("found = True\n")
    row = {"name": "own", "config": "models/own.py"}
    (run,) = planned(row).runs
    config = run.config
    assert config["model"]["backbone"] == {
        "type": "ResNet",
        "depth": 18,
        "num_stages": 4,
        "out_indices": (0, 1, 2, 3),
        "norm_eval": True,
        "style": "pytorch",
    }
    assert [one.get("milestones") for one in config["param_scheduler"]] == [[7]]
    assert not {"steps", "at", "work_dir"} & config.keys()
    assert config["resume"] is False
    names = {Path(file).name for file in run.spec.sources}
    assert names == {"mine.yaml", "runtime.py", "tiny.py", "own.py", "own_base.py", "beside.py"}
    assert run.spec.imports_from == str(tmp_path)
    assert run.spec.given.keys() == {"module beside"}

    (tmp_path / "models" / "own.py").write_text(OWN.replace("steps = [1]", "steps = [2]"))
    assert planned(row).runs[0].spec.run_id == run.spec.run_id
    (tmp_path / "models" / "own.py").write_text(OWN.replace("depth=18", "depth=34"))
    assert planned(row).runs[0].spec.run_id != run.spec.run_id


def test_what_was_changed_is_told(tmp_path: Path, synthetic_data: Path) -> None:
    """By plan, each change once; by ``config --diff`` with every line; on the page in the row's dialog."""
    parts = {"backbone": "resnet18", "neck": "fpn", "head": "retina", "schedule": "step_1x"}
    path = experiment(
        tmp_path,
        {"name": "faster", "config": FASTER},
        {"name": "retina", "config": RETINA},
        {"name": "parts", "parts": parts},
    )
    where = [str(path), "--data-root", str(synthetic_data), "--results", str(tmp_path / "results")]
    done = here(["plan", *where])
    assert done.returncode == 0, done.stderr
    assert "Changed in faster:\n  roi_head.bbox_head.num_classes: 80 -> 10\n" in done.stdout
    assert "Changed in faster, retina:\n" in done.stdout
    assert "parts:" not in done.stdout

    diff = here(["config", *where, "--rows", "faster", "--diff"])
    assert (
        diff.stdout.startswith("# ")
        and "\n--- faster-rcnn_r50_fpn_1x_coco\n+++ faster (tiny)\n" in diff.stdout
    )
    assert "# roi_head.bbox_head.num_classes: 80 -> 10\n" in diff.stdout
    changed = [line for line in diff.stdout.splitlines() if line.startswith(("-  ", "+  "))]
    assert [line.split()[-1] for line in changed if "num_classes" in line] == [
        "num_classes=80,",
        "num_classes=10,",
    ]
    assert not [line for line in changed if "backbone" in line]
    none = here(["config", *where, "--rows", "parts", "--diff"])
    assert (none.returncode, none.stderr.count("row 'parts' is made from parts")) == (2, 1)

    assert here(["report", *where]).returncode == 0
    rows = json.loads((tmp_path / "results" / "mine.json").read_text())["rows"]
    assert [row.get("changes", [])[:1] for row in rows] == [
        ["roi_head.bbox_head.num_classes: 80 -> 10"],
        ["bbox_head.num_classes: 80 -> 10"],
        [],
    ]


def test_statistics_that_a_profile_does_not_keep_are_not_said_to_be_kept(planned: Any) -> None:
    row = {"name": "mine", "config": FASTER, "replace": {"backbone": "resnet18"}}
    for profile, kept in (("full", True), ("smoke", False)):
        (run,) = planned(row, profile=profile).runs
        assert run.config["model"]["backbone"]["norm_eval"] is kept
        assert ("backbone.norm_eval: True" in run.spec.changes) is kept


def test_many_changes_are_few_lines() -> None:
    many = {f"row{i}": [f"a: {'long ' * 20}", f"own {i}", "b"] for i in range(200)}
    lines = changes_by_rows(many, 80)
    assert lines[0] == "Changed in row0, row1, row2, row3 ... and 196 more:"
    assert [line.strip() for line in lines].count("b") == 1
    assert len(lines) == 40 and max(map(len, lines[:-1])) <= 80
    assert lines[-1].startswith(
        "... and 365 more lines: detboard config EXPERIMENT --rows NAME --diff"
    )


def test_a_config_that_is_broken_later_ends_no_report(tmp_path: Path, synthetic_data: Path) -> None:
    """Rows that have records are shown with them; what the config's own row lacks is said."""
    desk = Desk(tmp_path / "desk", synthetic_data)
    mine = desk.folder / "mine.py"
    tiny = experiment(
        desk.folder,
        {"name": "own", "config": "mine.py", "labels": {"Owner": "me"}},
        {"name": "renamed", "config": "mine.py"},
        {"name": "zoo", "config": FASTER},
    ).rename(desk.experiment)
    mine.write_text(f"_base_ = ['mmdet::retinanet/{RETINA}.py']\n")
    desk.run_all()
    request = Request(desk.experiment, desk.results)
    (before,) = reports_on_disk(request).reports

    mine.write_text("model = dict(")
    tiny.write_text(tiny.read_text().replace("renamed", "another"))
    made = reports_on_disk(request)
    broken = f"config 'mine.py': {mine}: cannot be loaded: SyntaxError: "
    assert [problem.partition(broken)[0] for problem in made.problems] == [
        "row 'own': ",
        "row 'another': ",
    ]
    assert all(line.endswith("; its runs are shown as they were made") for line in made.problems)
    (report,) = made.reports
    lines, known = report.leaderboard.rows, before.leaderboard.rows
    for now, then in ((lines[0], known[0]), (lines[2], known[2])):
        assert (now.runs, now.changes, now.values["map50"]) == (then.runs, then.changes, 0.4)
    assert [line.values["state"] for line in lines] == ["complete", "waiting", "complete"]
    assert lines[0].values["backbone"] == "ResNet-50" and lines[0].changes


OF_TWO_STAGES = """
_base_ = "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"
model = dict(
    rpn_head=dict(feat_channels=16, anchor_generator=dict(scales=[2])),
    roi_head=dict(bbox_head=dict(fc_out_channels=32)),
    train_cfg=dict(rcnn=dict(sampler=dict(num=64)), rpn_proposal=dict(max_per_img=100)),
    test_cfg=dict(rpn=dict(max_per_img=100), rcnn=dict(score_thr=0.001)),
)
"""


@pytest.mark.trains
def test_two_stages_train_and_keep_their_run_when_renamed(
    tmp_path: Path, synthetic_data: Path
) -> None:
    """A config of one's own that rests on one of mmdet's, with parts in the place of its own."""
    replace = {"backbone": "tiny", "neck": "tiny", "schedule": "tiny"}
    row = {"name": "own", "config": "narrow.py", "replace": replace}
    path = variant(tmp_path, lambda content: content.update(rows=[row]))
    (tmp_path / "narrow.py").write_text(OF_TWO_STAGES)
    bench = Bench(synthetic_data, tmp_path / "results", path)
    done = bench.here("sweep", "--wandb", "off")
    assert done.returncode == 0, done.stdout + done.stderr
    record, spec = bench.record("own"), json.loads((bench.folder("own") / "spec.json").read_text())
    assert record["state"] == "complete" and record["metrics"]["mAP50"] > 0
    assert "roi_head.bbox_head.num_classes: 80 -> 10" in spec["changes"]
    shown = tuple(spec["labels"][title] for title in TITLES)
    assert shown == ("FasterRCNN", "ResNet-18-w8", "FPN", "StandardRoIHead", "4 epochs")
    (line,) = json.loads((bench.results / "tiny.json").read_text())["rows"]
    assert line["changes"] == spec["changes"] and line["values"]["head"] == "StandardRoIHead"

    kept = bench.folder("own").name.rpartition("-")[2]
    path.write_text(path.read_text().replace("name: own", "name: renamed"))
    moved = here(["runs", "mv", str(path), "own", "renamed", "--results", str(bench.results)])
    assert moved.returncode == 0, moved.stderr
    assert bench.folder("renamed").name.rpartition("-")[2] == kept
    assert "0 of 1 runs are missing." in bench.here("plan").stdout


def test_a_study_turns_the_knobs_that_such_a_row_has(tmp_path: Path, synthetic_data: Path) -> None:
    row = {"name": "faster", "config": FASTER}
    variant(tmp_path, lambda content: content.update(rows=[row]))
    search = {
        "lr": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
        "score_thr": {"choices": [0.01, 0.05]},
        "anchor_ratios": {"choices": [[0.5, 1.0, 2.0], [1.0]]},
    }
    file = study(tmp_path, row="faster", search=search)
    made = read_study(Request(file, tmp_path / "results", data_root=synthetic_data))
    params = made.space.published()
    assert made.space.overrides(params) == {
        "optim_wrapper.optimizer.lr": 0.02,
        "model.test_cfg.rcnn.score_thr": 0.05,
        "model.rpn_head.anchor_generator.ratios": [0.5, 1.0, 2.0],
    }
    trial = made.plan_trial("id", 0, {**params, "lr": 0.005})
    assert trial.config["optim_wrapper"]["optimizer"]["lr"] == 0.005
    assert trial.spec.changes and trial.spec.labels["Model"] == "FasterRCNN"

    lacking = study(
        tmp_path,
        row="faster",
        search={"focal_gamma": {"choices": [1.0, 2.0]}},
    )
    with pytest.raises(UserError, match=r"focal_gamma: .*has no model\.bbox_head\.loss_cls\.gamma"):
        read_study(Request(lacking, tmp_path / "results", data_root=synthetic_data))
