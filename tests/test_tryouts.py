"""Rows that are tried out before they train: what fails is told with its key, and nothing is left behind."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
from command import Bench, alive, clean_environment, variant, wait_until
from test_silence import HERE, WITH_HUNG

MINE = """
import os, signal, time
from mmcv.transforms import BaseTransform
from mmdet.models import RetinaHead
from mmdet.registry import HOOKS, MODELS, OPTIMIZERS, TRANSFORMS
from mmengine.hooks import Hook
from torch.optim import SGD

@OPTIMIZERS.register_module()
class Mine(SGD):
    def __init__(self, params, lr): super().__init__(params, lr)

@TRANSFORMS.register_module()
class Picky(BaseTransform):
    def transform(self, results):
        if results["img"].shape[2] == 3:
            raise ValueError("no grey image")
        return results

@HOOKS.register_module()
class Late(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        raise LookupError("too late")

@HOOKS.register_module()
class Dies(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        os.kill(os.getpid(), signal.SIGSEGV)

@HOOKS.register_module()
class Hangs(Hook):
    def before_val(self, runner):
        time.sleep(600)

@MODELS.register_module()
class Stranger(RetinaHead):
    def predict(self, *args, **kwargs):
        found = super().predict(*args, **kwargs)
        for one in found:
            one.labels = one.labels + 99
        return found

@MODELS.register_module()
class Needy(RetinaHead):
    def loss(self, x, samples):
        if any(len(sample.gt_instances) == 0 for sample in samples):
            raise IndexError("nothing to learn from")
        return super().loss(x, samples)
"""
_PIPELINE = "train_dataloader.dataset.pipeline"
_OWN = {"+custom_imports": {"imports": ["mine"]}}
_SGD = {"_delete_": True, "type": "Mine", "lr": 0.1, "momentum": 0.9}
_CHANCE = {"type": "RandomApply", "prob": 1.0, "transforms": [{"type": "Picky"}]}
_MOSAIC: dict[str, Any] = {
    "_delete_": True,
    "type": "MultiImageMixDataset",
    "dataset": {
        "type": "CocoDataset",
        "ann_file": "train.json",
        "pipeline": [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}],
    },
    "pipeline": [{"type": "Mosaic", "img_scale": (64, 64)}, {"type": "PackDetInputs"}],
}

_STEPS = [*_MOSAIC["dataset"]["pipeline"], {"type": "PackDetInputs"}]
_REPEATED = {
    "_delete_": True,
    "type": "RepeatDataset",
    "times": 2,
    "dataset": {**_MOSAIC["dataset"], "pipeline": _STEPS},
}

# By the row: what it sets, the key and where it comes from, words of the error, and what was being done.
FAIL: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "argument": (
        {"+model.bbox_head.depth": 3},
        "model.bbox_head.depth (the row's 'set' (model.bbox_head.depth))",
        "TypeError: AnchorHead.__init__() got an unexpected keyword argument 'depth' at mmdet/models/",
        "its model was built",
    ),
    "unknown": (
        {"model.neck.type": "FPM"},
        "model.neck.type (the row's 'set' (model.neck.type))",
        "KeyError: FPM is not in the mmdet::model registry.",
        "its model was built",
    ),
    "channels": (
        {"model.neck.in_channels": [8, 16, 32, 32]},
        "model.neck (the row's 'set' (model.neck.in_channels), {parts}/backbones/tiny.py, {parts}/necks/tiny.py)",
        "to have 32 channels, but got 64 channels instead",
        "a training step was taken",
    ),
    "optimizer": (
        {"optim_wrapper.optimizer": _SGD, **_OWN},
        "optim_wrapper.optimizer.momentum (the row's 'set' (optim_wrapper.optimizer))",
        "TypeError: Mine.__init__() got an unexpected keyword argument 'momentum'",
        "its optimizer was built",
    ),
    "loss": (
        {"model.bbox_head.loss_bbox.loss_weight": float("inf")},
        "model.bbox_head.loss_bbox (the row's 'set' (model.bbox_head.loss_bbox.loss_weight), {parts}/heads/tiny.py)",
        "diverged: in the first step loss is inf, loss_bbox is inf;",
        "a training step was taken",
    ),
    "rate": (
        {"optim_wrapper.optimizer.lr": 1e10, "optim_wrapper.optimizer.weight_decay": 1e38},
        "optim_wrapper (the row's 'set' (optim_wrapper.optimizer.weight_decay), "
        "the row's 'set' (optim_wrapper.optimizer.lr), {parts}/schedules/tiny.py)",
        "diverged: after the first step backbone.",
        "a training step was taken",
    ),
    "transform": (
        {f"{_PIPELINE}.2": {"_delete_": True, "type": "Picky"}, **_OWN},
        f"{_PIPELINE}.2 (the row's 'set' ({_PIPELINE}.2))",
        "ValueError: no grey image at {folder}/mine.py:",
        "training images were loaded",
    ),
    "nested": (
        {f"{_PIPELINE}.2": {"_delete_": True, **_CHANCE}, **_OWN},
        f"{_PIPELINE}.2.transforms.0 (the row's 'set' ({_PIPELINE}.2))",
        "ValueError: no grey image",
        "training images were loaded",
    ),
    "validated": (
        {"val_dataloader.dataset.pipeline.1": {"_delete_": True, "type": "Picky"}, **_OWN},
        "val_dataloader.dataset.pipeline.1 (the row's 'set' (val_dataloader.dataset.pipeline.1))",
        "ValueError: no grey image",
        "a validation image was loaded",
    ),
    "hook": (
        {"+custom_hooks": [{"type": "EmptyCacheHook"}, {"type": "Late"}], **_OWN},
        "custom_hooks.1 (the row's 'set' (custom_hooks))",
        "LookupError: too late",
        "a training step was taken",
    ),
    "start": (
        {},  # set below
        "load_from (the row's 'set' (load_from))",
        ": {folder}/other.pth: none of its 1 key (theirs ...) fits the model",
        "a checkpoint was loaded",
    ),
    "later": (
        {
            "+custom_hooks": [
                {
                    "type": "PipelineSwitchHook",
                    "switch_epoch": 3,
                    "switch_pipeline": [
                        {"type": "LoadImageFromFile"},
                        {"type": "LoadAnnotations", "with_bbox": True},
                        {"type": "Picky"},
                    ],
                }
            ],
            **_OWN,
        },
        "custom_hooks.0.switch_pipeline.2 (the row's 'set' (custom_hooks))",
        "ValueError: no grey image",
        "its later pipeline was tried",
    ),
    "metric": (
        {"model.bbox_head.type": "Stranger", **_OWN},
        "val_evaluator ({shipped}/datasets/coco.py)",
        "have the labels [1",
        "boxes were evaluated",
    ),
    "needy": (
        {
            "model.bbox_head.type": "Needy",
            "train_dataloader.dataset.filter_cfg.filter_empty_gt": False,
            **_OWN,
        },
        "model.bbox_head (the row's 'set' (model.bbox_head.type), {parts}/heads/tiny.py)",
        "IndexError: nothing to learn from",
        "a loss was computed without objects",
    ),
}
ADDRESS = "https://weights.invalid/net-01234567.pth"
SOUND: dict[str, dict[str, Any]] = {
    "plain": {"+custom_hooks": [{"type": "EMAHook"}]},
    "mosaic": {"train_dataloader.dataset": _MOSAIC},
    "repeated": {
        "train_dataloader.dataset": _REPEATED,
        "+custom_hooks": [
            {"type": "PipelineSwitchHook", "switch_epoch": 1, "switch_pipeline": _STEPS}
        ],
    },
    "pretrained": {
        "train_cfg": {
            "_delete_": True,
            "type": "IterBasedTrainLoop",
            "max_iters": 4,
            "val_interval": 2,
        },
        "param_scheduler": None,
        "+model.backbone.init_cfg": {"type": "Pretrained", "checkpoint": ADDRESS},
    },
}


def _with_rows(folder: Path, rows: dict[str, dict[str, Any]], **keys: Any) -> Path:
    def change(content: dict[str, Any]) -> None:
        parts = content["rows"][0]["parts"]
        content["rows"] = [{"name": name, "parts": parts, "set": s} for name, s in rows.items()]
        content.update(keys)

    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(MINE)
    return variant(folder, change)


@pytest.fixture(scope="module")
def data(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic data, with an image that shows nothing."""
    folder = tmp_path_factory.mktemp("tried") / "data"
    shutil.copytree(synthetic_data, folder)
    content = json.loads((folder / "train.json").read_text())
    empty = content["images"][5]["id"]
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != empty]
    (folder / "train.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def tried(
    data: Path, tmp_path_factory: pytest.TempPathFactory, mmdet_on_one_thread: None
) -> tuple[Bench, CompletedProcess[str]]:
    """All rows, tried in this process."""
    folder = tmp_path_factory.mktemp("tried")
    rows = {**SOUND, **{name: given for name, (given, *_) in FAIL.items()}}
    rows["start"] = {"load_from": f"{folder}/experiment/other.pth"}
    bench = Bench(data, folder / "results", _with_rows(folder / "experiment", rows))
    torch.save({"state_dict": {"theirs": torch.zeros(1)}}, folder / "experiment" / "other.pth")
    gc.freeze()  # as in the jobs of a launcher: mmengine looks for garbage twice a run, through all that is imported
    try:
        return bench, bench.here("plan", "--build", "--launcher", "inprocess")
    finally:
        gc.unfreeze()


@pytest.mark.slow
def test_what_fails_is_told_with_its_key_and_where_it_is_from(
    tried: tuple[Bench, CompletedProcess[str]],
) -> None:
    bench, done = tried
    folder = bench.experiment.parent
    places = {"parts": f"{folder}/configs", "folder": str(folder), "shipped": "configs"}
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2
    for (name, (_, where, words, step)), line in zip(FAIL.items(), lines, strict=False):
        assert line.startswith(f"error: row '{name}': {where.format(**places)}: "), line
        assert words.format(**places) in line and line.endswith(f"; while {step}"), line
    assert lines[len(FAIL) :] == [
        f"error: {len(FAIL)} rows of {len(FAIL) + len(SOUND)} would fail: no run was begun, and nothing is left of "
        f"the try-outs; '--rows {','.join(SOUND)}' leaves out what fails"
    ]


@pytest.mark.slow
def test_what_is_sound_is_told_with_what_it_takes(
    tried: tuple[Bench, CompletedProcess[str]],
) -> None:
    bench, done = tried
    lines = [line for line in done.stdout.splitlines() if line.startswith("[") and "/" in line[:6]]
    assert len(lines) == len(FAIL) + len(SOUND)
    for number, name in enumerate(SOUND, 1):
        words = f"[{number}/{len(lines)}] {name}: ok, "
        assert any(
            line.startswith(words) and " s, " in line and " GiB, 0.22 M " in line for line in lines
        )
    note = f"    model.backbone.init_cfg.checkpoint: {ADDRESS} is not on this machine: tried with random weights"
    assert note in done.stdout
    assert "    custom_hooks.0: goes over to nothing: RepeatDataset has no pipeline" in done.stdout
    # Hashes of the weights that a config names are remembered by any plan.
    left = [
        path.name for path in bench.results.rglob("*") if path.is_dir() or "trying" in str(path)
    ]
    assert left == ["runs"]


@pytest.mark.slow
def test_a_process_that_dies_or_hangs_is_told_and_nothing_starts(
    data: Path, tmp_path: Path
) -> None:
    rows = {
        "plain": {},
        "dies": {"+custom_hooks": [{"type": "Dies"}], **_OWN},
        "hangs": {"+custom_hooks": [{"type": "Hangs"}], **_OWN},
    }
    experiment = _with_rows(tmp_path / "experiment", rows, patience_min=0.03)
    bench = Bench(data, tmp_path / "results", experiment)
    done = bench.here("sweep", "--preflight", "--wandb", "off")
    assert done.returncode == 2, done.stderr
    assert "[1/3] plain: ok, " in done.stdout
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors[:2] == [
        "error: row 'dies': killed by signal 11 (SIGSEGV); while a training step was taken",
        "error: row 'hangs': no sign of life for 2 s, so that it was ended; while boxes were predicted",
    ]
    assert "'--rows plain' leaves out what fails" in errors[2]
    assert not [path for path in (bench.results / "runs").glob("*") if path.is_dir()]
    assert not (bench.results / "tiny.md").exists()


def test_ctrl_c_ends_a_try_out_and_leaves_nothing(synthetic_data: Path, tmp_path: Path) -> None:
    import subprocess

    experiment = variant(tmp_path, lambda content: None)
    bench = Bench(synthetic_data, tmp_path / "results", experiment)
    script = tmp_path / "detboard.py"
    script.write_text(WITH_HUNG)
    environment = {
        **clean_environment(),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
    }
    _, _, _, *plan = bench.arguments("plan", "--build", "--launcher", "hung")
    command = subprocess.Popen(
        [sys.executable, str(script), *plan],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    wait_until(lambda: bool([*bench.results.glob("runs/.trying-*/*/pid")]), "a job")
    (pid,) = [int(path.read_text()) for path in bench.results.glob("runs/.trying-*/*/pid")]
    left = next(bench.results.glob("runs/.trying-*"))
    # What a killed command has left is removed by the next sweep, and what one holds is not.
    (bench.results / "runs" / ".trying-old").mkdir()
    (bench.results / "runs" / ".trying-old" / ".lock").touch()
    from benchmark.sweep.holders import only_driver

    with only_driver(bench.results):
        assert left.is_dir() and not (bench.results / "runs" / ".trying-old").exists()
    os.kill(command.pid, signal.SIGINT)
    _, errors = command.communicate(timeout=60)
    assert command.returncode == 130, errors
    assert "interrupted: no run was begun, and nothing is left of the try-outs" in errors
    assert not alive(pid)
    assert not left.exists()


def test_complete_rows_need_no_try_out(tmp_path: Path, synthetic_data: Path) -> None:
    from desk import make_desk

    desk = make_desk(tmp_path / "desk", synthetic_data)
    bench = Bench(synthetic_data, desk.results, desk.experiment)
    done = bench.here("plan", "--build")
    assert done.returncode == 0, done.stderr
    assert "every row is complete: there is nothing to try out" in done.stdout
