"""The best validation: its checkpoint is kept, and the run's results are its if the experiment says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from command import variant
from mmengine.config import Config
from mmengine.runner import Runner

from benchmark.experiment.experiment import Tracking
from benchmark.files import read_jsonl
from benchmark.job.best import BestCheckpoint
from benchmark.job.job import run_job
from benchmark.job.metric import HotCocoMetric
from benchmark.job.training import JobRunner
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.journal import Journal
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.statistics.matches import Matches
from benchmark.statistics.resample import bootstrap, class_precision

QUICK = JobOptions(Tracking(mode="off"), Resources(gpus=(), threads=1))
# The learning rate that is far too high from the third epoch on leaves the best behind.
WORSE_AND_WORSE = {
    "+param_scheduler.0.gamma": 10,
    "param_scheduler.0.milestones": [2],
    "+custom_hooks": [{"type": "EMAHook", "momentum": 0.5}],
}
SAVE_BEST = {
    "+default_hooks.checkpoint.save_best": ["coco/bbox_mAP", "coco/bbox_mAP_50"],
    "+default_hooks.checkpoint.max_keep_ckpts": 2,
}


def _run(synthetic_data: Path, folder: Path, select: str, overrides: dict[str, Any]) -> RunFolder:
    experiment = variant(folder, lambda content: content.update(select=select))
    request = Request(
        experiment,
        folder / "results",
        data_root=synthetic_data,
        rows=("plain",),
        overrides=overrides,
    )
    (run,) = make_plan(request).runs
    prepare(run)
    return run.folder


def _validations(folder: RunFolder) -> list[dict[str, Any]]:
    return [point for point in read_jsonl(folder.metrics_file) if point["kind"] == "val"]


def _boxes_of_stock_mmdet(folder: RunFolder, work: Path) -> list[dict[str, Any]]:
    """What mmengine's own Runner and mmdet's own metric make of ``config.py`` and ``final.pth``."""
    config = Config.fromfile(folder.config_file)
    config.work_dir = str(work)
    config.load_from = str(folder.checkpoints / "final.pth")
    config.test_evaluator.update(outfile_prefix=str(work / "stock"), type="CocoMetric")
    config.experiment_name = f"stock_{folder.path.parent.parent.parent.name}"
    Runner.from_cfg(config).test()
    return json.loads((work / "stock.bbox.json").read_text())


def _order(box: dict[str, Any]) -> tuple[Any, ...]:
    return (box["image_id"], box["category_id"], -box["score"], box["bbox"])


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.parametrize("select", ["last", "best"])
def test_final_weights_are_those_of_the_recorded_validation(
    select: str, synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With averaged weights, after a kill, and evaluated again by stock mmdet."""
    folder = _run(synthetic_data, tmp_path, select, {**WORSE_AND_WORSE, **SAVE_BEST})
    write = Journal.write

    def killed(self: Journal, point: dict[str, Any]) -> None:
        if point["kind"] == "val" and point["epoch"] == 3:
            raise SystemExit
        write(self, point)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Journal, "write", killed)
        run_job(folder.path, QUICK)
    run_job(folder.path, QUICK)

    points = _validations(folder)
    _assert_recorded(folder, points, select)
    _assert_same_boxes(folder, tmp_path / "stock")
    _assert_best_is_kept(folder, points)


def _assert_recorded(folder: RunFolder, points: list[dict[str, Any]], select: str) -> None:
    record = folder.read_record()
    assert record.state == "complete", record.cause
    top = max(points, key=lambda point: point["mAP50"])
    assert top["epoch"] < 4, "this training is to leave its best validation behind"
    shown = top if select == "best" else points[-1]
    assert record.metrics.to_json() == {k: shown[k] for k in (*record.metrics.scores, "per_class")}
    said = record.validations
    assert said is not None
    assert (said.select, said.count, said.iter) == (select, 4, shown["iter"])
    assert (said.best_iter, said.best_mAP50) == (top["iter"], top["mAP50"])
    _assert_files_agree(folder, record.score("mAP50"))


def _assert_same_boxes(folder: RunFolder, work: Path) -> None:
    own = json.loads(folder.predictions_file.read_text())
    stock = _boxes_of_stock_mmdet(folder, work)
    assert len(own) == len(stock) > 0
    for ours, theirs in zip(sorted(own, key=_order), sorted(stock, key=_order), strict=True):
        assert ours["bbox"] == pytest.approx(theirs["bbox"], abs=1e-4)
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-6)


def _assert_files_agree(folder: RunFolder, map50: float | None) -> None:
    matches = Matches.load(folder.matches_file)
    assert np.array_equal(np.load(folder.bootstrap_file), bootstrap(matches))
    assert np.nanmean([*class_precision(matches)]) == pytest.approx(map50, abs=1e-12)


def _assert_best_is_kept(folder: RunFolder, points: list[dict[str, Any]]) -> None:
    """One checkpoint for each score of ``save_best``, of its best validation, as small as ``final.pth``."""
    expected = {"final.pth"}
    for score, metric in (("mAP", "bbox_mAP"), ("mAP50", "bbox_mAP_50")):
        best = max(points, key=lambda point: point[score])
        name = f"best_coco_{metric}_epoch_{best['epoch']:.0f}.pth"
        expected.add(name)
        content = torch.load(folder.checkpoints / name, weights_only=False)
        assert "optimizer" not in content
        assert content["meta"]["iter"] == best["iter"]
        assert content["meta"]["best"] == best[score]
    assert {path.name for path in folder.checkpoints.iterdir()} == expected


def test_auto_is_the_first_of_mmdets_scores(tmp_path: Path, synthetic_data: Path) -> None:
    metric = HotCocoMetric(str(synthetic_data / "val.json"))
    metric.dataset_meta = {"classes": ["Metal"]}
    first = int(metric.annotations.images.ids[0])
    empty = (first, np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    assert next(iter(metric.compute_metrics([empty]))) == "bbox_mAP"


def test_only_the_first_process_writes_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmengine.dist.utils.get_rank", lambda _group=None: 1)
    second = object.__new__(JobRunner)
    second.save_checkpoint(str(tmp_path), "epoch_1.pth")
    assert not list(tmp_path.iterdir())


class _Training:
    """As much of a Runner as saving a checkpoint takes."""

    train_loop = SimpleNamespace(run_epoch=None)
    logger = SimpleNamespace(info=lambda _text: None)
    run_id = "x-s0-tiny-00000000"
    bare_model = torch.nn.Identity()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.epoch = self.iter = 0
        self.best = BestCheckpoint(folder, "best_x", lambda new, old: new > old)

    @property
    def ids(self) -> tuple[str, ...]:
        return (self.run_id,)

    def save_checkpoint(self, _folder: str, name: str, meta: dict[str, Any], **_how: bool) -> None:
        content = {"meta": {"run_id": self.run_id, **meta}, "state_dict": {}}
        torch.save(content, self.folder / name)

    def validated(self, epoch: int, value: float | None, resumable: bool = True) -> None:
        """An epoch is trained, saved and validated."""
        self.epoch, self.iter = epoch, 6 * epoch
        if resumable:
            torch.save({}, self.folder / f"epoch_{epoch}.pth")
            for path in checkpoints.saved(self.folder)[2:]:
                path.unlink()
        self.best.offer(self, value)

    def kept(self) -> list[int]:
        names = [path.stem for path in checkpoints.bests(self.folder, "best_x")]
        return [int(name.rpartition("_")[2]) for name in names]


@pytest.fixture
def training(tmp_path: Path) -> _Training:
    return _Training(tmp_path)


def test_the_first_of_equals_is_the_best(training: _Training) -> None:
    for epoch, value in enumerate([None, float("nan"), 0.0, 0.0, 0.3, 0.3, 0.2, 0.1], start=1):
        training.validated(epoch, value)
    assert training.kept() == [5]


def test_best_stays_as_long_as_a_resume_may_need_it(training: _Training) -> None:
    training.validated(1, 0.1)
    training.validated(2, 0.2)
    training.validated(3, 0.3)
    # Of the checkpoints after epochs 2 and 3 either may be the one that a resume goes on from.
    assert training.kept() == [3, 2, 1]
    training.validated(4, 0.2)
    assert training.kept() == [3, 2]
    training.validated(5, 0.2)
    assert training.kept() == [3]


def test_resume_knows_the_best_before_and_forgets_what_is_done_again(training: _Training) -> None:
    training.validated(1, 0.5)
    training.validated(2, 0.6)
    training.validated(3, 0.7)
    again = _Training(training.folder)  # goes on after epoch 1
    again.validated(2, 0.4)
    assert again.kept() == [1]
    again.validated(3, 0.45)
    again.validated(4, 0.55)
    assert again.kept() == [4, 1]


@pytest.mark.parametrize("damage", [lambda content: content[:-90], lambda _: b""])
def test_damaged_best_is_not_counted(damage: Callable[[bytes], bytes], training: _Training) -> None:
    training.validated(1, 0.5)
    training.validated(2, 0.6)
    newest = training.folder / "best_x_epoch_2.pth"
    newest.write_bytes(damage(newest.read_bytes()))
    again = _Training(training.folder)
    again.validated(3, 0.55)
    assert again.kept() == [3, 1]


def test_best_of_another_run_is_not_counted(
    training: _Training, capsys: pytest.CaptureFixture[str]
) -> None:
    training.validated(1, 0.5)
    training.validated(2, 0.6)
    again = _Training(training.folder)
    again.run_id = "y-s0-tiny-00000000"
    again.validated(3, 0.55)
    assert again.kept() == [3]
    assert f"best_x_epoch_2.pth is not counted: it is of run {training.run_id}" in (
        capsys.readouterr().out
    )


def test_finished_run_keeps_the_best_of_each_score(tmp_path: Path) -> None:
    for name in (
        "final",
        "epoch_11",
        "epoch_12",
        "iter_7",
        "selected_epoch_3",
        "selected_epoch_10",
        "best_coco_bbox_mAP_epoch_9",
        "best_coco_bbox_mAP_epoch_11",
        "best_coco_bbox_mAP_50_epoch_2",
        "best_coco_bbox_mAP_50_iter_400",
    ):
        (tmp_path / f"{name}.pth").touch()
    checkpoints.remove_all_but_final(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {
        "final",
        "best_coco_bbox_mAP_epoch_11",
        "best_coco_bbox_mAP_50_iter_400",
    }
