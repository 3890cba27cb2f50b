"""A study over a fused row: its weights and thresholds, tuned on the boxes that its source rows have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_rows
import yaml
from command import Bench, here, variant
from optuna.trial import TrialState
from studies import trials

from benchmark.experiment.rows import RECIPES
from benchmark.job.made import MAKERS
from benchmark.job.made.fusing.fuse import fuse
from benchmark.job.made.fusing.settings import Settings
from benchmark.run.folder import RunFolder
from benchmark.statistics.evaluation import Detections

ROWS: list[dict[str, Any]] = [
    {"name": "near", "truth": 1.0},
    {"name": "far", "truth": 4.0, "skip": 4},
    {"name": "fused", "fuse": {"rows": ["near", "far"], "iou": 0.95}},
]
SEARCH = {
    "fuse.weights.0": {"type": "float", "low": 0.0, "high": 4.0},
    "fuse.iou": {"type": "float", "low": 0.3, "high": 0.95},
    "threshold": {"path": "fuse.skip", "type": "float", "low": 0.0, "high": 0.8},
    "fuse.method": {"choices": ["wbf", "nms"]},
}


@pytest.fixture(scope="module", autouse=True)
def toy_recipes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "truth", toy_rows.TruthRecipe)
        patch.setitem(MAKERS, "truth", "toy_rows:from_truth")
        yield


def make_bench(folder: Path, data: Path, **content: Any) -> Bench:
    """An experiment of two source rows and a fused one."""
    experiment = variant(folder, lambda e: e.update(rows=ROWS, seeds=[0, 1], **content))
    return Bench(data, folder / "results", experiment)


def sweep(bench: Bench, *more: str) -> None:
    done = bench.here("sweep", "--launcher", "inprocess", "--wandb", "off", *more)
    assert done.returncode == 0, done.stderr


def tune(bench: Bench, *more: str, **content: Any) -> Any:
    path = bench.experiment.parent / "tune.yaml"
    study = {"experiment": "tiny.yaml", "row": "fused", "n_trials": 4, "search": SEARCH}
    path.write_text(yaml.safe_dump({**study, **content}))
    common = ["--data-root", str(bench.data), "--results", str(bench.results)]
    options = ["--launcher", "inprocess", "--wandb", "off"]
    return here(["tune", str(path), *common, *options, *more])


def test_dry_run_says_that_no_trial_costs_an_epoch(synthetic_data: Path, tmp_path: Path) -> None:
    bench = make_bench(tmp_path, synthetic_data)
    done = tune(bench, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "a trial fuses boxes that are there: it trains nothing" in " ".join(done.stdout.split())
    assert "epochs: none" in done.stdout
    assert not bench.results.exists()


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Bench:
    """A study of four trials and of two more, whose best is promoted; tests only read it."""
    bench = make_bench(tmp_path_factory.mktemp("tuned"), synthetic_data)
    refused = tune(bench)
    assert refused.returncode == 2
    assert "row 'fused': it is made from runs/near-s0-" in refused.stderr
    assert "not made yet: sweep that row" in refused.stderr
    sweep(bench)
    done = tune(bench)
    assert done.returncode == 0, done.stderr
    assert "on the validation images: its score on them is too high." in done.stdout
    done = tune(bench, "--trials", "2", "--promote")
    assert done.returncode == 0, done.stderr
    return bench


@pytest.mark.slow
def test_trials_are_fusions_of_the_same_boxes(tuned: Bench) -> None:
    made = trials(tuned)
    assert [trial.state for trial in made] == [TrialState.COMPLETE] * 6
    own = {"fuse.weights.0": 1.0, "fuse.iou": 0.95, "threshold": 0.0, "fuse.method": "wbf"}
    assert made[0].params == own
    (record,) = tuned.results.glob("runs/fused-s0-*/record.json")
    assert made[0].values == [json.loads(record.read_text())["metrics"]["mAP50"]]
    spec = RunFolder(tuned.results / "runs" / made[3].user_attrs["run_id"]).read_spec()
    asked, params = spec.making["fuse"], made[3].params
    assert isinstance(asked, dict)
    assert (asked["iou"], asked["skip"]) == (params["fuse.iou"], params["threshold"])
    assert (asked["weights"], asked["method"]) == (
        [params["fuse.weights.0"], 1.0],
        params["fuse.method"],
    )


@pytest.mark.slow
def test_the_summary_says_on_what_it_was_fitted(tuned: Bench) -> None:
    summary = (tuned.results / "studies/tune/summary.md").read_text()
    assert "Fitted on the source rows' boxes of seed 0 on the validation images: " in summary
    assert "only images tell that had no part in it" in summary
    assert "training" not in summary.partition("Budget")[0]


@pytest.mark.slow
def test_the_best_becomes_a_row_with_its_own_weights(tuned: Bench) -> None:
    best = max(trials(tuned), key=lambda trial: (trial.values[0], -trial.number))
    (row,) = yaml.safe_load(tuned.experiment.with_name("tiny.tuned.yaml").read_text())["rows"]
    assert (row["name"], row["study"], row["trial"]) == ("fused_tuned", "tune", best.number)
    assert row["fuse"]["iou"] == best.params["fuse.iou"]
    assert row["fuse"]["rows"] == ["near", "far"] and "set" not in row
    of_row = tuned.results.glob("runs/fused_tuned-*/record.json")
    records = {r["seed"]: r for r in (json.loads(path.read_text()) for path in of_row)}
    assert set(records) == {0, 1}
    assert records[0]["metrics"]["mAP50"] == best.values[0]
    board = (tuned.results / "tiny.md").read_text()
    assert "(tuned)" in board
    assert (
        "fused_tuned: its boxes are fused as study 'tune' found best for the validation images"
        in board
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"pruner": "MedianPruner"}, "pruner: row 'fused' is fused: a trial is one evaluation"),
        ({"train_seed": 7}, "train_seed: row 'fused' is fused: nothing is trained"),
        ({"objective": ["mAP50", "latency"]}, "objective: row 'fused' is fused: it has no latency"),
        (
            {"search": {"fuse.iou": {"type": "float", "low": 0.5, "high": 1.5}}},
            "search.fuse.iou: fuse.iou: must be less than 1.0 (got 1.5)",
        ),
        (
            {"search": {"fuse.weights.2": {"type": "float", "low": 0.5, "high": 1.5}}},
            "search.fuse.weights.2: fuse.weights.2: '2' is not an index of this list of 2",
        ),
        (
            {"search": {"fuse.skp": {"type": "float", "low": 0.0, "high": 0.5}}},
            "search.fuse.skp: fuse.skp: no such key 'skp'; did you mean 'fuse.skip'",
        ),
        ({"search": {"lr": {"choices": [0.1, 0.2]}}}, "search.lr: row fused has no optim_wrapper"),
        ({"row": "near"}, "row: 'near' has nothing to tune"),
    ],
)
def test_a_study_that_cannot_be_is_refused_at_the_door(
    tmp_path: Path, synthetic_data: Path, content: dict[str, Any], words: str
) -> None:
    done = tune(make_bench(tmp_path, synthetic_data), **content)
    assert done.returncode == 2
    assert words in done.stderr, done.stderr
    assert not (tmp_path / "results/studies.db").exists()


@pytest.mark.slow
def test_folds_are_tuned_on_all_out_of_fold_boxes_at_once(
    tmp_path: Path, synthetic_data: Path
) -> None:
    bench = make_bench(tmp_path, synthetic_data, folds=3, profile="few")
    fused = {"rows": ["near", "far"], "iou": 0.95, "calibrate": "minmax"}
    content = yaml.safe_load(bench.experiment.read_text())
    content["rows"][2] = {"name": "fused", "fuse": fused}
    bench.experiment.write_text(yaml.safe_dump(content))
    # A profile that takes some of the images of each fold.
    few = tmp_path / "configs/profiles/few.py"
    few.write_text("shrink = dict(longest_side=96, epochs=1, images=4, val_images=3)\n")
    sweep(bench, "--seeds", "0")
    done = tune(bench, n_trials=2)
    assert done.returncode == 0, done.stderr

    whole = RunFolder(bench.results / "runs" / trials(bench)[0].user_attrs["run_id"])
    spec, record = whole.read_spec(), whole.read_record()
    assert spec.dataset.fold is None and len(spec.made_from) == 2 * 3
    assert spec.dataset.val == spec.dataset.train  # the file that was divided
    assert record.val_images and record.val_images.count == 3 * 3
    folds = [_boxes(bench, "fused", fold) for fold in range(3)]
    assert _lines(Detections.concatenate(folds)) == _lines(_read(whole))
    assert _lines(folds[1]) == _lines(_by_hand(bench, fold=1, others=(0, 2)))
    summary = (bench.results / "studies/tune/summary.md").read_text()
    assert "out-of-fold boxes of seed 0, 3 folds together" in summary

    _make_again(bench, "near-s0-f1")
    done = tune(bench, "--trials", "1")
    assert done.returncode == 2
    assert "setting of that row, or the runs that it is fused from" in done.stderr


def _make_again(bench: Bench, run: str) -> None:
    """As if a run had been made anew since."""
    (path,) = bench.results.glob(f"runs/{run}-*/record.json")
    content = {**json.loads(path.read_text()), "finished_at": "2030-01-01T00:00:00+00:00"}
    path.write_text(json.dumps(content))


def _by_hand(bench: Bench, fold: int, others: Sequence[int]) -> Detections:
    """The boxes of a fold, calibrated by those of the others."""
    found = []
    for row in ("near", "far"):
        scores = np.concatenate([_boxes(bench, row, other).scores for other in others])
        boxes = _boxes(bench, row, fold)
        low, high = scores.min(), scores.max()
        scaled = np.clip((boxes.scores - low) / (high - low), 0, 1)
        found.append(replace(boxes, scores=scaled))
    return fuse(found, Settings("wbf", (1.0, 1.0), iou=0.95)).detections


def _boxes(bench: Bench, row: str, fold: int) -> Detections:
    (path,) = bench.results.glob(f"runs/{row}-s0-f{fold}-*")
    return _read(RunFolder(path))


def _read(folder: RunFolder) -> Detections:
    return Detections.from_coco(json.loads(folder.predictions_file.read_text()))


def _lines(boxes: Detections) -> list[str]:
    return sorted(json.dumps(box, sort_keys=True) for box in boxes.to_coco())
