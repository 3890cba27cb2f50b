"""Annotation files that a config names itself: kept, filled in, or refused; never replaced without a word."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import TINY, here

from benchmark.config.retarget import dataset_leaves
from benchmark.run.plan import Request, make_plan

SHIPPED = Path(__file__).parents[1] / "configs"
STEPS = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "Resize", "scale": [64, 64], "keep_ratio": True},
    {"type": "PackDetInputs"},
]
FLIPPED = [*STEPS[:3], {"type": "RandomFlip", "prob": 1.0}, STEPS[3]]


def leaf(name: str | None, **more: Any) -> dict[str, Any]:
    named = {} if name is None else {"ann_file": name}
    return {"type": "CocoDataset", **named, "pipeline": STEPS, **more}


def joined(*leaves: dict[str, Any]) -> dict[str, Any]:
    return {"_delete_": True, "type": "ConcatDataset", "datasets": list(leaves)}


@pytest.fixture(scope="module")
def place(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data, ``data/``, and the experiment's folder, ``experiment/``, with files of their own."""
    folder = tmp_path_factory.mktemp("sources")
    shutil.copytree(synthetic_data, folder / "data")
    shutil.copytree(TINY.parent / "configs", folder / "experiment" / "configs")
    content = json.loads((folder / "data" / "train.json").read_text())
    (folder / "data" / "extra.json").write_text(json.dumps({**content, "info": {"note": "more"}}))
    shutil.copy(folder / "data" / "extra.json", folder / "experiment" / "near.json")
    (folder / "data" / "denoised").mkdir()
    shutil.copytree(folder / "data" / "images", folder / "more" / "images")
    shutil.copy(folder / "data" / "train.json", folder / "more" / "train.json")
    others = [{**category, "name": f"{category['name']}s"} for category in content["categories"]]
    changed = {**content, "categories": others}
    (folder / "data" / "classes.json").write_text(json.dumps(changed))
    images = [{**image, "file_name": f"gone/{image['id']}.png"} for image in content["images"]]
    (folder / "data" / "gone.json").write_text(json.dumps({**content, "images": images}))
    (folder / "data" / "broken.json").write_text("{")
    shutil.copy(folder / "data" / "val.json", folder / "data" / "judges.json")
    return folder


def write_experiment(place: Path, rows: dict[str, Any]) -> Path:
    """Rows that each set the training's data set, or what the row says."""
    content = yaml.safe_load(TINY.read_text())
    parts = content["rows"][0]["parts"]
    sets = {
        n: {"train_dataloader.dataset": given} if "type" in given else given
        for n, given in rows.items()
    }
    content["rows"] = [{"name": name, "parts": parts, "set": given} for name, given in sets.items()]
    path = place / "experiment" / "tiny.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def plan(place: Path, rows: dict[str, Any]) -> tuple[int, str]:
    """The exit status of ``plan`` over these rows, and all that it says."""
    path = write_experiment(place, rows)
    data = ["--data-root", str(place / "data"), "--results", str(place / "results")]
    done = here(["plan", str(path), *data])
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


KEY = "train_dataloader.dataset"
VAL = "val_dataloader.dataset"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nowhere": (joined(leaf("train.json"), leaf("more.json")), f"{KEY}.datasets.1: there is no "),
    "alone": ({"_delete_": True, **leaf("mine/train.json")}, f"{KEY}: there is no "),
    "twice": (joined(leaf("train.json"), leaf("")), f"{KEY}.datasets.1: reads "),
    "twice-own": (joined(leaf("extra.json"), leaf("extra.json")), f"{KEY}.datasets.1: reads "),
    "voc": (
        joined(
            leaf("annotations/instances_train2017.json", data_root="data/coco/"),
            leaf("annotations/lvis_v1_train.json", data_root="data/lvis_v1/", pipeline=FLIPPED),
        ),
        f"{KEY}.datasets.1: reads ",
    ),
    "judges": (joined(leaf("train.json"), leaf("val.json")), f"{KEY}.datasets.1: val.json is what"),
    "copied": (joined(leaf(""), leaf("judges.json")), f"{KEY}.datasets.1.ann_file: "),
    "classes": (
        joined(leaf(""), leaf("classes.json")),
        f"{KEY}.datasets.1.ann_file: train and val",
    ),
    "gone": (joined(leaf(""), leaf("gone.json")), f"{KEY}.datasets.1.ann_file: "),
    "broken": (joined(leaf(""), leaf("broken.json")), f"{KEY}.datasets.1.ann_file: "),
    "denoised": (
        {"_delete_": True, **leaf("train.json", data_prefix={"img": "denoised/"})},
        f"{KEY}: the images of data_prefix 'denoised'",
    ),
    "some": (
        {"_delete_": True, **leaf("train.json", metainfo={"classes": ["one"]})},
        f"{KEY}: metainfo.classes are others",
    ),
    "val-joined": (
        {VAL: joined(leaf("val.json"), leaf("val.json", pipeline=FLIPPED))},
        f"{VAL}.datasets.1: is joined with",
    ),
    "val-own": ({VAL: {"_delete_": True, **leaf("extra.json")}}, f"{VAL}: extra.json is not what"),
    "val-seen": ({VAL: {"_delete_": True, **leaf("train.json")}}, f"{VAL}: train.json is not what"),
    "judged-by": (
        {"val_evaluator": {"_delete_": True, "type": "CocoMetric", "ann_file": "extra.json"}},
        "val_evaluator.ann_file: extra.json is not what",
    ),
}
# The annotation files of the training's data sets, in order, by their place under the folder above.
KEPT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "joined": (
        joined(leaf("train.json"), leaf("extra.json")),
        ["data/train.json", "data/extra.json"],
    ),
    "near": (joined(leaf(""), leaf("near.json")), ["data/train.json", "experiment/near.json"]),
    "rooted": (
        joined(leaf("x"), leaf("train.json", data_root="../more/", data_prefix={"img": "images/"})),
        ["data/train.json", "more/train.json"],
    ),
    "nested": (
        {
            "_delete_": True,
            "type": "RepeatDataset",
            "times": 2,
            "dataset": joined(leaf(""), leaf("extra.json")),
        },
        ["data/train.json", "data/extra.json"],
    ),
    "views": (joined(leaf(""), leaf("", pipeline=FLIPPED)), ["data/train.json"] * 2),
    "unnamed": ({"_delete_": True, **leaf(None)}, ["data/train.json"]),
    "coco": (
        {"_delete_": True, **leaf("annotations/instances_train2017.json", data_root="data/coco/")},
        ["data/train.json"],
    ),
    "whole": ({"_delete_": True, **leaf("extra.json")}, ["data/extra.json"]),
}


def test_what_cannot_be_kept_is_refused(place: Path) -> None:
    status, said = plan(place, {name: given for name, (given, _) in REFUSED.items()})
    assert status == 2
    for name, (_, begins) in REFUSED.items():
        assert f"error: row '{name}': {begins}" in said, name


def test_what_is_there_is_kept(place: Path) -> None:
    path = write_experiment(place, {name: given for name, (given, _) in KEPT.items()})
    request = Request(path, place / "results", data_root=place / "data")
    configs = {run.spec.row: run.config for run in make_plan(request).runs}
    for name, (_, expected) in KEPT.items():
        found = list(dataset_leaves(configs[name]["train_dataloader"]))
        assert [leaf["ann_file"] for leaf in found] == [str(place / file) for file in expected]
        assert {leaf["data_root"] for leaf in found} == {""}
        images = "more/images" if name == "rooted" else "data/images"
        assert found[-1]["data_prefix"] == {"img": f"{place / images}/"}


def test_a_file_of_its_own_counts_by_what_is_in_it(place: Path) -> None:
    rows = {"mine": joined(leaf(""), leaf("extra.json"))}
    first = plan_ids(place, rows)
    path = place / "data" / "extra.json"
    whole = path.read_text()
    path.write_text(whole + "\n")
    assert plan_ids(place, rows) != first
    path.write_text(whole)
    assert plan_ids(place, rows) == first


def plan_ids(place: Path, rows: dict[str, Any]) -> list[str]:
    """The run ids of a plan."""
    status, said = plan(place, rows)
    assert status == 0, said
    return [word for word in said.split() if word.startswith("mine-s0")]


def test_smoke_limits_each_of_joined_data(place: Path) -> None:
    folder = place / "experiment" / "configs" / "datasets"
    folder.mkdir(exist_ok=True)
    steps = repr(STEPS).replace("[64, 64]", "(512, 512)")
    (folder / "two.py").write_text(
        f"_base_ = {str(Path(__file__).parent.parent / 'configs' / 'datasets' / 'coco.py')!r}\n"
        f"_steps = {steps}\n"
        "train_dataloader = dict(dataset=dict(_delete_=True, type='RepeatDataset', times=2, dataset=dict(\n"
        "    type='ConcatDataset', datasets=[\n"
        "    dict(type='CocoDataset', ann_file='train.json', data_prefix=dict(img='images/'), pipeline=_steps),\n"
        "    dict(type='CocoDataset', ann_file='extra.json', data_prefix=dict(img='images/'), pipeline=_steps)])))\n"
        "custom_hooks = [dict(type='PipelineSwitchHook', switch_epoch=1, switch_pipeline=[\n"
        "    dict(type='Resize', scale=(512, 512), keep_ratio=True)])]\n"
    )
    schedule = "multistep_90k"  # it has no pipeline of its own
    parts = {"backbone": "tiny", "neck": "tiny", "head": "tiny", "schedule": schedule}
    content = {
        "profile": "smoke",
        "dataset": {"part": "two"},
        "rows": [{"name": "mine", "parts": parts}],
    }
    path = place / "experiment" / "smoke.yaml"
    path.write_text(yaml.safe_dump(content))
    done = here(["config", str(path), "--data-root", str(place / "data")])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("extra.json") == 1
    assert done.stdout.split("val_dataloader")[0].count("indices=") == 2
    assert done.stdout.count("scale=(128, 128)") == 3


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ({"_delete_": True, "type": "RepeatDataset", "times": 2, "dataset": leaf("train.json")}, 1),
        ({"ann_file": "train.json"}, 1),
        ({"pipeline": FLIPPED}, 0),
        ({"_delete_": True, "type": "RepeatDataset", "times": 2, "dataset": leaf("extra.json")}, 0),
    ],
)
def test_a_file_of_one_part_that_a_later_part_replaces_is_refused(
    later: dict[str, Any], said: int, place: Path, tmp_path: Path
) -> None:
    """As a schedule with a data set of its own does; unless the row says itself what is read."""
    shutil.copytree(place / "experiment" / "configs", tmp_path / "configs")
    configs, content = tmp_path / "configs", yaml.safe_load(TINY.read_text())
    own = {"dataset": leaf("extra.json")}
    (configs / "datasets").mkdir(exist_ok=True)
    (configs / "datasets" / "more.py").write_text(
        f"_base_ = {str(SHIPPED / 'datasets' / 'coco.py')!r}\ntrain_dataloader = {own!r}"
    )
    tiny = (configs / "schedules" / "tiny.py").read_text()
    change = f"\ntrain_dataloader['dataset'] = {later!r}\n"
    (configs / "schedules" / "later.py").write_text(tiny + change)
    parts = {**content["rows"][0]["parts"], "schedule": "later"}
    given = {"train_dataloader.dataset": {"_delete_": True, **leaf("train.json")}}
    rows = [{"name": "plain", "parts": parts}, {"name": "given", "parts": parts, "set": given}]
    data = {"root": str(place / "data"), "part": "more"}
    content.update(rows=rows, dataset=data)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    done = here(["plan", str(path), "--results", str(tmp_path / "results")])
    assert done.returncode == (2 if said else 0), done.stderr
    assert done.stderr.count("puts another data set in the place") == said
    if said:
        assert "row 'plain'" in done.stderr and "extra.json" in done.stderr
        assert "later.py" in done.stderr and "row 'given'" not in done.stderr


def test_parts_with_modules_of_their_own_keep_them_beside_each_other(
    synthetic_data: Path, tmp_path: Path
) -> None:
    """A list of mmengine's takes the place of the one before, so that a class of the first part would be missing."""
    shutil.copytree(TINY.parent, tmp_path / "experiment")
    for kind, module in (("heads", "myhead"), ("backbones", "mynet")):
        (tmp_path / "experiment" / f"{module}.py").write_text("")
        part = tmp_path / "experiment" / "configs" / kind / "tiny.py"
        imports = {"imports": [module, "json"], "allow_failed_imports": False}
        part.write_text(f"{part.read_text()}\ncustom_imports = {imports!r}\n")
    request = Request(tmp_path / "experiment" / "tiny.yaml", tmp_path, data_root=synthetic_data)
    config = make_plan(request).runs[0].config
    assert config["custom_imports"]["imports"] == ["myhead", "json", "mynet"]
