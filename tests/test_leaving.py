"""A training that is asked to leave goes on exactly there: the same batches and rates, and no iteration twice."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command import TINY
from leaving_hook import LeavingHook, Seen

from benchmark.experiment.experiment import Tracking
from benchmark.files import read_jsonl
from benchmark.job.job import run_job
from benchmark.job.training import JobRunner
from benchmark.job.weights import load_checkpoint
from benchmark.run import checkpoints
from benchmark.run.accumulation import Accumulation, Begun, write_accumulation
from benchmark.run.folder import RunFolder
from benchmark.run.options import Caching, JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare

QUICK = JobOptions(Tracking(mode="off"), Resources(gpus=(), threads=1))
NOT_KEPT = Caching()
IMAGES = 24 + 12
BATCH = 4  # 24 images: 6 batches an epoch
LAST = 18

# What has a state of its own, draws numbers, or sees the number of a batch.
STATEFUL = {
    "train_dataloader.dataset.pipeline.3": {"type": "RandomFlip", "prob": 0.5},
    "+train_dataloader.dataset.pipeline.4": {"type": "PackDetInputs"},
    "+train_dataloader.batch_sampler": {"type": "AspectRatioBatchSampler"},
    "+custom_imports": {"imports": ["leaving_hook"]},
    "+custom_hooks": [
        {"type": "EMAHook", "ema_type": "ExpMomentumEMA", "momentum": 0.1, "gamma": 5},
        {"type": "LeavingHook"},
    ],
}
BY_EPOCH = {
    **STATEFUL,
    "train_cfg.max_epochs": 3,
    "train_cfg.val_interval": 2,
    "default_hooks.checkpoint": {"type": "CheckpointHook", "interval": 3, "max_keep_ckpts": 1},
    "param_scheduler": [
        {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0, "end": 10},
        {"type": "MultiStepLR", "by_epoch": True, "begin": 0, "end": 3, "milestones": [2]},
    ],
}
BY_ITERATION = {
    **STATEFUL,
    "precision": "bf16",
    "train_cfg": {
        "_delete_": True,
        "type": "IterBasedTrainLoop",
        "max_iters": LAST,
        "val_interval": 6,
    },
    "default_hooks.checkpoint": {"type": "CheckpointHook", "interval": 6, "by_epoch": False},
    "+optim_wrapper.accumulative_counts": 2,
    "param_scheduler": [
        {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0, "end": 10},
    ],
}


@dataclass
class Trained:
    folder: RunFolder
    seen: Seen
    starts: int

    @property
    def points(self) -> list[dict[str, Any]]:
        return read_jsonl(self.folder.metrics_file)

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return load_checkpoint(self.folder.checkpoints / "final.pth")["state_dict"]


def train(
    data: Path,
    results: Path,
    overrides: dict[str, Any],
    moments: tuple[str, ...] = (),
    cache: Caching = NOT_KEPT,
    at_once: int = BATCH,
) -> Trained:
    """Trains a run to its end, started again each time that it has left; after each of ``moments``.

    Of a batch no more than ``at_once`` images go through the model at once.
    """
    request = Request(
        TINY, results, data_root=data, rows=("plain",), overrides=overrides, profile="tiny"
    )
    (run,) = make_plan(request).runs
    LeavingHook.seen, LeavingHook.moments = Seen(), set(moments)
    starts = 0
    if at_once < BATCH:
        run.folder.path.mkdir(parents=True)
        write_accumulation(run.folder.accumulation_file, Accumulation(BATCH, at_once))
    while not run.folder.finished:
        prepare(run)
        run_job(run.folder.path, replace(QUICK, cache=cache))
        starts += 1
        assert starts <= len(moments) + 1
        kept = checkpoints.saved(run.folder.checkpoints)
        assert len([path for path in kept if path.name.startswith("left")]) <= 2
    assert run.folder.read_record().state == "complete"
    return Trained(run.folder, LeavingHook.seen, starts)


CASES = {
    "epochs": (
        BY_EPOCH,
        # In an epoch, one iteration on, at an epoch's end, in a validation that has averaged weights in the model.
        ("iteration 2", "iteration 3", "iteration 6", "validation 12", "iteration 16"),
        [0, 2, 3, 6, 12, 16],
    ),
    "iterations": (
        BY_ITERATION,
        # Gradients of two iterations are summed up: it leaves when they are used.
        ("iteration 3", "iteration 5", "validation 12", "iteration 13"),
        [0, 4, 6, 12, 14],
    ),
}


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.usefixtures("roomy_disk")
@pytest.mark.parametrize("case", CASES)
def test_a_run_that_leaves_again_and_again_trains_as_one_that_never_does(
    synthetic_data: Path, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with images that were decoded before it left, as one that decodes them for each epoch."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    overrides, moments, begun = CASES[case]
    whole = train(synthetic_data, tmp_path / "whole", overrides)
    left = train(
        synthetic_data, tmp_path / "left", overrides, moments, Caching("disk", 1.0, time.time())
    )
    assert len(list(tmp_path.glob("detboard/decoded/*/*"))) >= IMAGES
    assert left.starts == len(moments) + 1
    assert list(left.seen.images) == list(range(1, LAST + 1))
    assert left.seen == whole.seen
    assert [point["iter"] for point in left.points if point["kind"] == "start"] == begun
    for kind in ("train", "val"):
        assert _without_clock(left, kind) == _without_clock(whole, kind)
    clock = [point["elapsed_s"] for point in left.points]
    assert clock == sorted(clock)
    assert {name: value.tolist() for name, value in left.weights.items()} == {
        name: value.tolist() for name, value in whole.weights.items()
    }
    records = [trained.folder.read_record() for trained in (left, whole)]
    assert records[0].metrics == records[1].metrics
    assert [path.name for path in left.folder.checkpoints.iterdir()] == ["final.pth"]


@pytest.mark.trains
@pytest.mark.slow
def test_a_run_whose_batches_go_in_parts_leaves_between_them_and_goes_on_the_same(
    synthetic_data: Path, tmp_path: Path
) -> None:
    loop = {"_delete_": True, "type": "IterBasedTrainLoop", "max_iters": 8, "val_interval": 8}
    overrides = {**BY_ITERATION, "train_cfg": loop}
    whole = train(synthetic_data, tmp_path / "whole", overrides, at_once=3)
    left = train(synthetic_data, tmp_path / "left", overrides, ("iteration 3",), at_once=3)
    assert [point["iter"] for point in left.points if point["kind"] == "start"] == [0, 4]
    assert left.seen == whole.seen
    assert _without_clock(left, "train") == _without_clock(whole, "train")
    assert {name: value.tolist() for name, value in left.weights.items()} == {
        name: value.tolist() for name, value in whole.weights.items()
    }
    records = [trained.folder.read_record() for trained in (left, whole)]
    assert records[0].accumulation == records[1].accumulation
    assert records[0].accumulation == Accumulation(BATCH, 3, (Begun(0, 3),))


def _without_clock(trained: Trained, kind: str) -> list[dict[str, Any]]:
    unlike = ("elapsed_s", "memory_mib", "time", "data_time", "eta")
    return [
        {key: value for key, value in point.items() if key not in unlike}
        for point in trained.points
        if point["kind"] == kind
    ]


def test_runners_of_one_second_share_no_values(tmp_path: Path) -> None:
    runners = [
        JobRunner(torch.nn.Linear(1, 1), str(tmp_path), default_scope=None) for _ in range(3)
    ]
    for runner in runners:
        runner.message_hub.update_scalar("train/grad_norm", 1.0)
    seen = [len(runner.message_hub.get_scalar("train/grad_norm").data[0]) for runner in runners]
    assert seen == [1, 1, 1]
