"""A job and its small pieces: its record, its journal, its checkpoints, the cause of a failure."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from command import TINY
from mmdet.models.detectors import SingleStageDetector
from mmengine.hooks import LoggerHook
from mmengine.model import BaseModel
from mmengine.runner import get_priority
from records import OOM, latency
from records import record as made_up

from benchmark import locks
from benchmark.experiment.experiment import Tracking
from benchmark.files import read_jsonl, write_text
from benchmark.job import failures
from benchmark.job.job import _Training, run_job
from benchmark.job.measure import samples as sampling
from benchmark.job.resuming import newest_own
from benchmark.job.training import Diverged, MemoryHook
from benchmark.job.weights import load_checkpoint
from benchmark.launchers.child import from_json, to_json
from benchmark.run import checkpoints
from benchmark.run.checkout import Checkout
from benchmark.run.folder import RunFolder
from benchmark.run.journal import Journal, Tail
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.provenance import device_name
from benchmark.run.record import RunRecord, Tracked, ValImages
from benchmark.run.validations import best_scores
from benchmark.statistics import resample, tide
from benchmark.statistics.matches import Matches
from benchmark.statistics.resample import RESAMPLES, bootstrap, class_precision

RECORDED = Path(__file__).parent / "recorded" / "v0_1"
ERRORS = {"Cls", "Loc", "Both", "Dupe", "Bkg", "Miss"}
SCORES = ("mAP50", "mAP", "mAP75", "mAP_s", "mAP_m", "mAP_l")
QUICK = JobOptions(Tracking(mode="off"), Resources(gpus=(), threads=1))
MEASURED = JobOptions(Tracking(mode="off"), Resources(gpus=(), threads=1), cost=True)


@pytest.fixture
def make(synthetic_data: Path, tmp_path: Path) -> Callable[[dict[str, Any]], RunFolder]:
    """Makes runs of two epochs that are ready to start, with something changed."""

    def prepared(overrides: dict[str, Any]) -> RunFolder:
        request = Request(
            TINY,
            tmp_path / "results",
            data_root=synthetic_data,
            rows=("plain",),
            overrides={"train_cfg.max_epochs": 2, **overrides},
        )
        (run,) = make_plan(request).runs
        prepare(run)
        return run.folder

    return prepared


@pytest.fixture
def folder(make: Callable[[dict[str, Any]], RunFolder]) -> RunFolder:
    return make({})


@pytest.fixture
def after_validation(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], object]], None]:
    """Has something happen as soon as the run's first validation is in its journal."""
    write = Journal.write

    def arrange(happen: Callable[[], object]) -> None:
        def write_and_happen(self: Journal, point: dict[str, Any]) -> None:
            write(self, point)
            if point["kind"] == "val":
                happen()

        monkeypatch.setattr(Journal, "write", write_and_happen)

    return arrange


def _highest(folder: RunFolder) -> dict[str, float]:
    validations = [point for point in read_jsonl(folder.metrics_file) if point["kind"] == "val"]
    assert validations
    columns = {name: [point[name] for point in validations] for name in SCORES}
    return {
        name: max(value for value in column if value is not None)
        for name, column in columns.items()
        if set(column) != {None}
    }


@pytest.mark.trains
def test_whole_run_has_all_that_is_measured(folder: RunFolder) -> None:
    run_job(folder.path, MEASURED)
    record = folder.read_record()
    assert record.state == "complete"
    assert record.missing is None
    assert record.best == _highest(folder)
    assert record.best["mAP50"] >= record.score("mAP50")
    latency, flops = record.latency_ms, record.flops
    assert latency is not None and flops is not None
    assert latency.p95 >= latency.median > 0
    assert (latency.images, latency.device) == (20, device_name())
    assert flops.value > 1e6
    assert flops.input == [3, 64, 64]
    tide = record.tide or {}
    assert set(tide) == ERRORS
    assert all(0 <= share <= 1 for share in tide.values())
    _assert_same_numbers(folder, record)
    _assert_samples(folder)


def _assert_same_numbers(folder: RunFolder, record: RunRecord) -> None:
    """What is resampled comes to what the record says, exactly, and the model has found something."""
    assert (record.score("mAP50") or 0) > 0
    matches = Matches.load(folder.matches_file)
    per_class = dict(zip(matches.classes, class_precision(matches), strict=True))
    for name, values in record.metrics.per_class.items():
        assert math.isnan(per_class[name]) or per_class[name] == values["mAP50"]
    assert np.nanmean([*per_class.values()]) == pytest.approx(record.score("mAP50"), abs=1e-12)
    digest = hashlib.sha256(matches.image_ids.astype("<i8").tobytes()).hexdigest()
    assert record.val_images == ValImages(12, digest)
    draws = np.load(folder.bootstrap_file)
    assert draws.shape == (RESAMPLES,)
    assert np.array_equal(draws, bootstrap(matches))
    assert draws.min() <= record.score("mAP50") <= draws.max()


def _assert_samples(folder: RunFolder) -> None:
    """The first images, with their own boxes, and the best of those predicted for them."""
    data = folder.read_spec().dataset
    truth = json.loads(data.val.annotations.read_text())
    samples = json.loads(folder.samples_file.read_text())
    assert [sample["file"] for sample in samples] == [
        image["file_name"] for image in truth["images"][:8]
    ]
    first = truth["images"][0]["id"]
    true = [item["bbox"] for item in truth["annotations"] if item["image_id"] == first]
    drawn = [box["xyxy"] for box in samples[0]["truth"]]
    assert drawn == [[x, y, x + width, y + height] for x, y, width, height in true]
    predictions = [box for sample in samples for box in sample["predictions"]]
    assert {box["label"] for box in predictions} <= set(data.classes)
    scores = [box["score"] for box in samples[0]["predictions"]]
    assert scores == sorted(scores, reverse=True)
    boxes = json.loads(folder.predictions_file.read_text())
    assert scores[0] == max(box["score"] for box in boxes if box["image_id"] == first)


@pytest.mark.trains
def test_model_that_predicts_nothing_is_measured_like_any_other(
    make: Callable[[dict[str, Any]], RunFolder],
) -> None:
    folder = make({"model.test_cfg.score_thr": 1.5})
    run_job(folder.path, MEASURED)
    record = folder.read_record()
    assert (record.state, record.no_predictions, record.score("mAP50")) == ("complete", True, 0)
    assert record.missing is None
    assert set(record.tide or ()) == ERRORS
    matches = Matches.load(folder.matches_file)
    assert (len(matches.score), matches.objects.any()) == (0, True)
    assert not np.load(folder.bootstrap_file).any()
    samples = json.loads(folder.samples_file.read_text())
    assert all(sample["truth"] and not sample["predictions"] for sample in samples)


@pytest.mark.trains
def test_run_whose_cost_is_not_asked_for_has_the_rest(folder: RunFolder) -> None:
    run_job(folder.path, QUICK)
    record = folder.read_record()
    assert record.latency_ms is record.flops is record.missing is None
    _assert_same_numbers(folder, record)


@pytest.mark.trains
def test_what_cannot_be_measured_costs_the_number_only(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    later = time.monotonic() + 1e6

    def broken(*_args: Any, **_kwargs: Any) -> None:
        monkeypatch.setattr(time, "monotonic", lambda: later)
        raise RuntimeError("no kernel for this\nand a long story")

    # Validation goes through val_step; the latency through test_step, and the FLOPs through _forward.
    monkeypatch.setattr(BaseModel, "test_step", broken)
    monkeypatch.setattr(SingleStageDetector, "_forward", broken)
    monkeypatch.setattr(tide, "error_shares", broken)
    monkeypatch.setattr(resample, "bootstrap", broken)
    monkeypatch.setattr(sampling, "sample_images", broken)
    run_job(folder.path, MEASURED)
    record = folder.read_record()
    assert record.state == "complete"
    assert record.missing == dict.fromkeys(
        ("latency_ms", "flops", "tide", "bootstrap", "samples"), "RuntimeError: no kernel for this"
    )
    assert record.latency_ms is record.flops is record.tide is None
    assert record.best == _highest(folder)
    assert record.train_seconds < 1e5  # the measurements are not training
    assert not folder.bootstrap_file.exists()
    assert "flops not measured: RuntimeError: no kernel for this\n" in capsys.readouterr().out


@pytest.mark.trains
def test_run_killed_while_it_is_measured_is_evaluated_and_measured_again(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_job: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(_Training, "_measure", killed)
        run_job(folder.path, MEASURED)
    boxes = folder.predictions_file.read_text()
    folder.predictions_file.unlink()
    folder.bootstrap_file.write_text("of an earlier attempt")
    run_job(folder.path, MEASURED)
    record = folder.read_record()
    assert (record.state, record.missing) == ("complete", None)
    assert folder.predictions_file.read_text() == boxes
    _assert_same_numbers(folder, record)
    points = read_jsonl(folder.metrics_file)
    assert [point["epoch"] for point in points if point["kind"] == "val"] == [1, 2]


@pytest.mark.trains
def test_pruned_run_has_its_best(
    folder: RunFolder, after_validation: Callable[[Callable[[], object]], None]
) -> None:
    after_validation(lambda: folder.stop_file.write_text('{"state": "pruned"}'))
    run_job(folder.path, MEASURED)
    record = folder.read_record()
    assert record.state == "pruned"
    assert record.best == _highest(folder)
    assert record.latency_ms is record.flops is record.tide is record.missing is None
    assert not folder.matches_file.exists()
    assert not folder.bootstrap_file.exists()
    assert not folder.samples_file.exists()


@pytest.mark.trains
def test_failed_run_has_its_best(
    folder: RunFolder, after_validation: Callable[[Callable[[], object]], None]
) -> None:
    def fail() -> None:
        raise Diverged("loss is nan at iteration 7")

    after_validation(fail)
    run_job(folder.path, QUICK)
    record = folder.read_record()
    assert record.state == "failed"
    assert record.failure_kind == "diverged"
    assert record.best == _highest(folder)


@pytest.mark.trains
def test_run_that_failed_before_its_first_validation_has_no_best(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.config_file.write_text(folder.config_file.read_text() + "\nmodel['type'] = 'Nothing'\n")
    run_job(folder.path, MEASURED)
    record = folder.read_record()
    assert record.state == "failed"
    assert record.best is None
    assert record.latency_ms is None


def test_a_run_that_leaves_no_validation_fails_with_the_reason(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Training, "work", lambda _: None)
    run_job(folder.path, QUICK)
    record = folder.read_record()
    assert (record.state, record.failure_kind) == ("failed", "data")
    assert record.cause == "UserError: no mAP50: the record holds no validation"


def test_best_takes_each_score_from_its_own_validation() -> None:
    points = [
        {"kind": "start", "iter": 0},
        {"kind": "val", "mAP50": 0.25, "mAP": 0.125, "mAP_s": None, "mAP_l": None},
        {"kind": "val", "mAP50": 0.5, "mAP": 0.0625, "mAP_s": 0.0, "mAP_l": None},
        {"kind": "train", "mAP50": 0.75},
    ]
    assert best_scores(points) == {"mAP50": 0.5, "mAP": 0.125, "mAP_s": 0.0}
    assert best_scores(points[:1]) is None


def test_record_from_before_these_fields_is_read() -> None:
    old = {
        "run_id": "plain-s0-tiny-00000000",
        "row": "plain",
        "seed": 0,
        "profile": "tiny",
        "state": "complete",
        "metrics": {},
        "no_predictions": False,
        "params": 1,
        "train_seconds": 1.0,
        "peak_memory_gib": 1.0,
        "started_at": "2026-11-23T01:05:13+00:00",
        "finished_at": "2026-11-23T01:05:26+00:00",
        "provenance": {},
        "failure": None,
        "wandb": {"mode": "off", "url": None},
        "schema_version": 1,
    }
    record = RunRecord.from_json(old)
    assert record.latency_ms is record.flops is record.tide is record.missing is record.best is None
    assert record.tracking == Tracked("wandb", "off")
    online = {"mode": "online", "url": "https://wandb.example/run/1"}
    record = RunRecord.from_json({**old, "wandb": online})
    assert record.tracking == Tracked("wandb", "online", "https://wandb.example/run/1")
    assert RunRecord.from_json({**old, "wandb": None}).tracking is None
    assert RunRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_records_of_version_0_1_are_written_again_as_they_were() -> None:
    files = list(RECORDED.glob("runs/*/record.json"))
    assert files
    for file in files:
        old = json.loads(file.read_text())
        again = RunRecord.from_json(old).to_json()
        tracked = {"name": "wandb", **old.pop("wandb")}
        old["provenance"]["git"] |= {"changed": (), "others": {}}
        old["provenance"]["hashes"] |= {"files": {}}
        old["provenance"] |= {"beside": None}
        if old["failure"]:
            old["failure"] |= {"again": False}
        later: dict[str, Any] = {"tracking": tracked, "measured": {}, "validations": None}
        later |= {
            "loaded": None,
            "accumulation": None,
            "made_from": {},
            "unvalidated": "",
            "notes": (),
        }
        assert again == {**old, **later}


def test_fields_of_a_later_version_are_left_out() -> None:
    known = made_up(
        latency_ms=latency(1.0, 2.0), failure=OOM, flops={"value": 5, "input": [3, 8, 8]}
    )
    later = known.to_json()
    for part in (later, *(later[key] for key in ("latency_ms", "failure", "flops", "provenance"))):
        part["of a later version"] = {"deep": 1}
    later["provenance"]["git"]["branch"] = "main"
    assert RunRecord.from_json(later) == known


@pytest.mark.parametrize(
    "options",
    [
        QUICK,
        MEASURED,
        replace(QUICK, checkout=Checkout("c0ffee", ("a.py",), {"/b": "b"}, {"/c": "d"})),
    ],
    ids=["quick", "measured", "from a checkout"],
)
def test_options_survive_a_command_line(options: JobOptions) -> None:
    assert from_json(to_json(options)) == options


def _raised_in_data() -> Exception:
    from mmcv.transforms import LoadImageFromFile

    try:
        LoadImageFromFile()({"img_path": "/no/such/image.jpg"})
    except Exception as error:
        return error
    raise AssertionError("a missing image was loaded")


def _raised(task: Callable[[], object], cause: Exception | None = None) -> Exception:
    try:
        task()
    except Exception as error:
        error.__cause__ = cause
        return error
    raise AssertionError("nothing was raised")


def _unexpectedly() -> None:
    raise RuntimeError("DataLoader worker (pid(s) 42) exited unexpectedly")


def _in_worker(kind: type[Exception], name: str, said: str) -> Exception:
    """What torch makes of an error in a worker of a data loader."""
    where = "Original Traceback (most recent call last):\n    raise  # can't allocate memory"
    return kind(f"Caught {name} in DataLoader worker process 0.\n{where}\n{said}")


# More than a process can address: where memory is overcommitted, any less is given, and filled.
HUGE = (2_000_000, 200_000_000)
NO_MEMORY = "(-4:Insufficient memory) Failed to allocate 12000000000000 bytes"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_raised(lambda: cv2.resize(np.zeros((9, 9, 3), np.uint8), HUGE)), "oom"),
        (_raised(lambda: cv2.resize(np.zeros((0, 0), np.uint8), (1, 1))), "error"),
        (_raised(lambda: np.zeros(1 << 50)), "oom"),
        (_raised(lambda: torch.zeros(1 << 50)), "oom"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "oom"),
        (_in_worker(cv2.error, "error", f"cv2.error: OpenCV(5.0.0) error: {NO_MEMORY}"), "oom"),
        (_in_worker(cv2.error, "error", "cv2.error: OpenCV(5.0.0) error: (-215) !empty"), "data"),
        (_in_worker(RuntimeError, "MemoryError", "numpy._ArrayMemoryError: 8 PiB"), "oom"),
        (_in_worker(RuntimeError, "ValueError", "ValueError: 3"), "data"),
        (
            _raised(_unexpectedly, RuntimeError("worker (pid 42) is killed by signal: Killed. ")),
            "oom",
        ),
        (KeyError("out of memory"), "error"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9e9 bytes"), "oom"),
        (MemoryError(), "oom"),
        (Diverged("loss is nan at iteration 3"), "diverged"),
        (RuntimeError("Caught FileNotFoundError in DataLoader worker process 0."), "data"),
        (_raised_in_data(), "data"),
        (ValueError("shapes do not match"), "error"),
    ],
)
def test_kind_of_a_failure(error: Exception, kind: str) -> None:
    assert failures.kind(error).value == kind


def test_peak_memory_outlasts_the_lines_of_the_text_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """With each line mmengine starts the GPU's count anew."""
    peaks = iter([0.5, 3.0, 1.0, 0.25])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: next(peaks) * 2**30)
    memory = MemoryHook()
    memory.after_train_iter(None, 0)
    memory.after_train_iter(None, 1)
    memory.after_val_iter(None, 0)
    assert memory.peak_gib == 3.0
    assert get_priority(memory.priority) < get_priority(LoggerHook.priority)


def test_a_gpu_that_does_not_answer_costs_its_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> str:
        raise RuntimeError("CUDA error: unknown error")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", fail)
    assert device_name() == "CUDA, which does not answer"


def test_journal_drops_what_is_trained_again_and_carries_its_clock(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [
        {"kind": "start", "iter": 0, "max_iters": 9, "time": "2026-01-01", "elapsed_s": 0.0},
        {"kind": "train", "iter": 3, "elapsed_s": 5.0},
        {"kind": "val", "iter": 3, "epoch": 1.0, "mAP50": 0.5, "elapsed_s": 7.0},
        {"kind": "train", "iter": 5, "elapsed_s": 9.0},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "tra')
    journal = Journal(path)
    journal.start(3, 9)
    points = [json.loads(line) for line in path.read_text().splitlines()]
    assert [point["iter"] for point in points] == [0, 3, 3, 3]
    assert journal.elapsed_s >= 7.0
    assert journal.started_at() == "2026-01-01"
    validation = journal.last_validation()
    assert validation is not None
    assert validation["mAP50"] == 0.5


def test_journal_writes_json_that_others_can_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    heard: list[object] = []
    journal.listen(heard.append)
    journal.write({"kind": "val", "iter": 1, "mAP_l": float("nan"), "deep": {"x": float("inf")}})
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    point = json.loads(line, parse_constant=pytest.fail)
    assert point["mAP_l"] is None
    assert point["deep"] == {"x": None}
    assert heard == [point]


def test_tail_gives_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = Tail(path)
    assert tail.new_points() == []
    path.write_text('{"kind": "train", "iter": 1}\n{"kind": "train", "iter"')
    assert tail.new_points() == [{"kind": "train", "iter": 1}]
    with path.open("a") as file:
        file.write(": 2}\n")
    assert tail.new_points() == [{"kind": "train", "iter": 2}]
    rewritten = [
        {"kind": "train", "iter": 1},
        {"kind": "train", "iter": 3, "a": "longer than what it replaces"},
    ]
    write_text(path, "".join(json.dumps(point) + "\n" for point in rewritten))  # by a resume
    assert tail.new_points() == rewritten
    assert tail.new_points() == []


def test_newest_checkpoint_of_this_run_and_this_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = {"a": torch.arange(1000), "b": torch.zeros(3, 2)}
    ours: dict[str, Any] = {"meta": {"run_id": "ours"}, "state_dict": weights, "optimizer": {}}
    for number in (8, 9, 10, 11):
        torch.save(ours, tmp_path / f"epoch_{number}.pth")
    (tmp_path / "epoch_11.pth").write_bytes((tmp_path / "epoch_11.pth").read_bytes()[:-300])
    damaged = bytearray((tmp_path / "epoch_10.pth").read_bytes())
    with zipfile.ZipFile(tmp_path / "epoch_10.pth") as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    damaged[largest.header_offset + 2000] ^= 0xFF
    (tmp_path / "epoch_10.pth").write_bytes(damaged)
    other = {"a": weights["a"], "b": torch.zeros(2, 3), "c": torch.zeros(1)}
    cfg = "model = 1\nwork_dir='/somewhere/runs/{}/mmengine'\n"  # all that 0.1 says of it
    foreign: dict[int, tuple[Any, str]] = {
        12: ({**ours, "meta": {"run_id": "theirs"}}, "it is of run theirs"),
        13: ({**ours, "meta": {"cfg": cfg.format("theirs")}}, "it is of run theirs"),
        14: ({**ours, "meta": {"epoch": 3}}, "it does not say which run it is of"),
        15: (
            {**ours, "state_dict": other},
            "another model: it has beside c; it has in other shapes b",
        ),
        16: ({**ours, "state_dict": {"a": weights["a"]}}, "another model: it lacks b"),
        17: ({**ours, "meta": {**ours["meta"], "finished": True}}, "without the optimizer's state"),
        18: ({k: ours[k] for k in ("meta", "state_dict")}, "it is without the optimizer's state"),
        20: (weights, "it is no checkpoint of a training (KeyError: 'meta')"),
    }
    for number, (content, _) in foreign.items():
        torch.save(content, tmp_path / f"epoch_{number}.pth")
    (tmp_path / "epoch_19.pth").write_bytes(b"")
    torch.save(ours, tmp_path / "final.pth")
    assert newest_own(tmp_path, ("ours",), weights) == tmp_path / "epoch_9.pth"
    told = capsys.readouterr().out.splitlines()
    reasons = {10: "damaged", 11: "damaged", 19: "damaged"} | {
        n: r for n, (_, r) in foreign.items()
    }
    assert len(told) == len(reasons)
    for line, number in zip(told, sorted(reasons, reverse=True), strict=True):
        assert f"epoch_{number}.pth is not taken: " in line
        assert reasons[number] in line
    torch.save({**ours, "meta": {"cfg": cfg.format("ours")}}, tmp_path / "epoch_21.pth")
    assert newest_own(tmp_path, ("ours",), weights) == tmp_path / "epoch_21.pth"
    checkpoints.remove_all_but_final(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["final.pth"]


def test_a_run_whose_row_was_renamed_goes_on_from_what_it_saved_before(tmp_path: Path) -> None:
    weights = {"a": torch.zeros(1)}
    for number, run in ((1, "ours"), (2, "renamed"), (3, "theirs")):
        saved = {"meta": {"run_id": run}, "state_dict": weights, "optimizer": {}}
        torch.save(saved, tmp_path / f"epoch_{number}.pth")
    for ids, number in ((("ours",), 1), (("ours", "renamed"), 2), (("ours", "again"), 1)):
        assert newest_own(tmp_path, ids, weights) == tmp_path / f"epoch_{number}.pth"


@pytest.mark.trains
def test_a_training_goes_on_from_its_own_checkpoints_only(
    make: Callable[[dict[str, Any]], RunFolder],
    after_validation: Callable[[Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours, theirs = make({}), make({"optim_wrapper.optimizer.lr": 0.002})
    saved, foreign = ours.checkpoints / "epoch_1.pth", theirs.checkpoints / "epoch_1.pth"
    after_validation(lambda: write_text(ours.stop_file, ""))
    run_job(ours.path, QUICK)
    assert not ours.finished
    foreign.parent.mkdir()
    foreign.write_bytes(saved.read_bytes())
    (theirs.checkpoints / "final.pth").write_bytes(saved.read_bytes())
    after_validation(lambda: write_text(theirs.stop_file, ""))
    run_job(theirs.path, QUICK)
    assert [start["iter"] for start in _points(theirs, "start")] == [0]
    assert f"epoch_1.pth is not taken: it is of run {ours.path.name}" in capsys.readouterr().out
    assert not (theirs.checkpoints / "final.pth").exists()
    ours.stop_file.unlink()
    # As version 0.1 has left it: the run is known by the work folder in its config alone.
    content = torch.load(saved, weights_only=False)
    assert content["meta"].pop("run_id") == ours.path.name
    # mmengine's resume runs what stands under `config`, to count the GPUs of the training before.
    code = f"import os\nos.mkdir({str(ours.path / 'canary')!r})\n"
    torch.save({**content, "meta": {**content["meta"], "config": code}}, saved)
    expected = _leave_unloadable(content, ours.checkpoints)
    run_job(ours.path, QUICK)
    assert [start["iter"] for start in _points(ours, "start")] == [0, 6]
    assert _unsaid(expected, capsys.readouterr().out) == []
    assert ours.read_record().state == "complete"
    assert load_checkpoint(ours.checkpoints / "final.pth")["meta"]["run_id"] == ours.path.name
    assert not (ours.path / "canary").exists()


def _leave_unloadable(content: dict[str, Any], folder: Path) -> list[str]:
    """Leaves what a run cannot go on from, some of it found out when it is loaded; returns what is said of each."""
    torch.save({**content, "state_dict": {}}, folder / "epoch_5.pth")
    torch.save({**content, "message_hub": 3}, folder / "epoch_6.pth")
    torch.save({**content, "optimizer": {"state": "x"}}, folder / "epoch_7.pth")
    (folder / "epoch_8.pth").mkdir()
    (folder / "final.pth").mkdir()
    return [
        "epoch_5.pth is not taken: it is of another model: it lacks ",
        *(f"epoch_{number}.pth is not taken: it cannot be loaded (" for number in (6, 7)),
        "epoch_8.pth is not taken: it is no file, and set aside",
    ]


def _unsaid(expected: list[str], log: str) -> list[str]:
    return [words for words in expected if words not in log]


def _points(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    return [point for point in read_jsonl(folder.metrics_file) if point["kind"] == kind]


def test_lock_names_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not locks.is_held(path)
    held = locks.acquire(path)
    with pytest.raises(locks.Held, match=f"process {os.getpid()} on "):
        locks.acquire(path)
    assert locks.is_held(path)
    held.release()
    assert not locks.is_held(path)
