"""Rows whose boxes are other rows' boxes, fused: from the experiment file to the leaderboard."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_rows
import yaml
from boards import make_record
from command import Bench, variant
from test_tested import check_evaluated, give_test, with_test

from benchmark.data.annotations import read_annotations
from benchmark.experiment.rows import RECIPES
from benchmark.job.made import MAKERS
from benchmark.job.made.fusing.fuse import fuse
from benchmark.job.made.fusing.settings import Settings
from benchmark.job.testing import keep_test
from benchmark.leaderboard.outputs import OUTPUTS
from benchmark.run.folder import RunFolder
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.statistics.evaluation import Detections, Evaluation, GroundTruth

SOURCES: list[dict[str, Any]] = [
    {"name": "near", "truth": 1.0},
    {"name": "far", "truth": 4.0, "skip": 4},
    {"name": "few", "truth": -2.0, "skip": 2},
]
THREE = ["near", "far", "few"]
WEIGHTS = [1, 1, 2.5]
ROWS: list[dict[str, Any]] = [
    # Before those that it is made from.
    {"name": "fused", "fuse": {"rows": THREE, "weights": WEIGHTS, "iou": 0.5, "skip": "5.2e-1"}},
    *SOURCES,
    {"name": "kept", "fuse": {"rows": ["near", "few"], "method": "nms", "calibrate": "minmax"}},
    {
        "name": "lowered",
        "fuse": {"rows": ["near", "few"], "method": "soft_nms", "calibrate": "isotonic"},
    },
    {"name": "twice", "fuse": {"rows": ["fused", "kept"]}},
    {"name": "whole", "fuse": {"rows": ["near", "far"], "seeds": "all", "weights": [2, 1]}},
]


@pytest.fixture(scope="module", autouse=True)
def toy_recipes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "truth", toy_rows.TruthRecipe)
        patch.setitem(MAKERS, "truth", "toy_rows:from_truth")
        patch.delitem(OUTPUTS, "plots")  # they take the most time
        yield


def make_bench(folder: Path, data: Path, rows: list[dict[str, Any]]) -> Bench:
    experiment = variant(folder, lambda e: e.update(rows=rows, seeds=[0, 1]))
    return Bench(data, folder / "results", experiment)


def sweep(bench: Bench, *more: str) -> Any:
    return bench.here("sweep", "--launcher", "inprocess", "--wandb", "off", *more)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Bench:
    """Every row, swept once; tests only read it."""
    bench = make_bench(tmp_path_factory.mktemp("fuse"), synthetic_data, ROWS)
    done = sweep(bench)
    assert done.returncode == 0, done.stderr
    return bench


def folder(bench: Bench, row: str, seed: int = 0) -> RunFolder:
    (found,) = bench.results.glob(f"runs/{row}-s{seed}-*")
    return RunFolder(found)


def boxes(bench: Bench, row: str, seed: int = 0) -> Detections:
    return Detections.from_coco(json.loads(folder(bench, row, seed).predictions_file.read_text()))


def by_hand(bench: Bench, rows: list[Detections], weights: list[float], **how: float) -> Evaluation:
    """The same boxes fused and evaluated without any of the code of fused rows."""
    from mmdet.models.utils import weighted_boxes_fusion

    truth = GroundTruth(read_annotations(bench.data / "val.json").to_coco())
    results: list[Any] = []
    for image in truth.files:
        per_row = [row.chosen(row.image_ids == image) for row in rows]
        corners = [np.hstack([r.boxes[:, :2], r.boxes[:, :2] + r.boxes[:, 2:]]) for r in per_row]
        fused = weighted_boxes_fusion(
            corners,
            [r.scores for r in per_row],
            [r.category_ids for r in per_row],
            weights=weights,
            iou_thr=how["iou"],
            skip_box_thr=how["skip"],
        )
        for box, score, label in zip(*(tensor.tolist() for tensor in fused), strict=True):
            x1, y1, x2, y2 = box
            bbox = [x1, y1, x2 - x1, y2 - y1]
            results.append({"image_id": image, "category_id": label, "bbox": bbox, "score": score})
    return truth.evaluate(Detections.from_coco(results))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_are_those_of_the_same_fusion_by_hand(swept: Bench, seed: int) -> None:
    expected = by_hand(swept, [boxes(swept, r, seed) for r in THREE], WEIGHTS, iou=0.5, skip=0.52)
    record = folder(swept, "fused", seed).read_record()
    assert record.metrics.scores == expected.scores
    assert 0 < (expected.scores["mAP50"] or 0) < 1
    best = max(folder(swept, row, seed).read_record().score("mAP50") or 0 for row in THREE)
    assert (record.score("mAP50") or 0) > best


@pytest.mark.slow
def test_fusion_over_all_seeds_takes_each_run_with_the_weight_of_its_row(swept: Bench) -> None:
    found = [boxes(swept, row, seed) for row in ("near", "far") for seed in (0, 1)]
    expected = by_hand(swept, found, [2, 2, 1, 1], iou=0.55, skip=0.0)
    assert folder(swept, "whole").read_record().metrics.scores == expected.scores
    assert len([*swept.results.glob("runs/whole-*")]) == 1


@pytest.mark.slow
def test_fused_rows_stand_in_the_table_as_any_other(swept: Bench) -> None:
    board = json.loads((swept.results / "tiny.json").read_text())
    rows = {row["row"]: row for row in board["rows"]}
    assert set(rows) == {row["name"] for row in ROWS}
    assert all(row["values"]["rank"] and row["values"]["interval"] for row in rows.values())
    assert rows["fused"]["values"]["learning_method"] == "WBF: near + far + few"
    assert rows["lowered"]["values"]["learning_method"] == "Soft-NMS: near + few"
    assert "not trained here" in rows["fused"]["missing"]["train_seconds"]
    text = (swept.results / "tiny.md").read_text()
    (note,) = [line for line in text.splitlines() if "calibrated" in line]
    assert note.startswith("- lowered: val: scores were calibrated (isotonic) by the hits on the")
    assert "may be too high" in note
    assert "nothing to do" in sweep(swept).stdout


@pytest.mark.slow
def test_the_log_says_what_was_fused(swept: Bench) -> None:
    log = folder(swept, "fused").log_file.read_text()
    counts = " + ".join(str(len(boxes(swept, row))) for row in THREE)
    assert f"val: {counts} boxes fused to {len(boxes(swept, 'fused'))}" in log


@pytest.mark.slow
def test_what_is_fused_from_other_runs_is_another_run(tmp_path: Path, synthetic_data: Path) -> None:
    rows = [*SOURCES[:2], {"name": "fused", "fuse": {"rows": ["near", "far"]}}]
    rows.append({"name": "again", "fuse": {"rows": ["fused", "near"]}})
    rows.append({"name": "none", "fuse": {"rows": ["near", "far"], "skip": 0.95}})
    bench = make_bench(tmp_path, synthetic_data, rows)
    assert sweep(bench, "--seeds", "0").returncode == 0
    (note,) = folder(bench, "none").read_record().notes
    assert re.fullmatch(
        r"val: all \d+ boxes of source rows were left out, with scores below 'skip' \(0.95\)", note
    )
    before = {row: folder(bench, row).path.name for row in ("fused", "again")}
    # A source that is made again makes what is fused from it again, under the same id.
    shutil.rmtree(folder(bench, "far").path)
    assert sweep(bench, "--seeds", "0").returncode == 0
    assert {row: folder(bench, row).path.name for row in before} == before
    assert all((folder(bench, row).path / "record-1.json").exists() for row in before)
    # A source of another setting is another run, and so is what is fused from it.
    rows[1] = {**rows[1], "skip": 5}
    content = yaml.safe_load(bench.experiment.read_text())
    bench.experiment.write_text(yaml.safe_dump({**content, "rows": rows}))
    assert sweep(bench, "--seeds", "0").returncode == 0
    for row, name in before.items():
        found = {path.name for path in bench.results.glob(f"runs/{row}-s0-*")}
        assert name in found and len(found) == 2


@pytest.mark.slow
def test_the_test_split_is_fused_once_the_sources_have_seen_it(
    tmp_path: Path, synthetic_data: Path
) -> None:
    data = with_test(synthetic_data, tmp_path / "data")
    how = {"weights": [1, 3], "calibrate": "minmax"}
    # Before its sources, as in the file: their jobs come first.
    rows = [{"name": "fused", "fuse": {"rows": ["near", "few"], **how}}, SOURCES[0], SOURCES[2]]
    bench = make_bench(tmp_path, data, rows)
    assert sweep(bench, "--seeds", "0").returncode == 0
    record = folder(bench, "fused").record_file.read_bytes()
    give_test(data)
    done = sweep(bench, "--seeds", "0")
    assert done.returncode == 0, done.stderr
    fused = folder(bench, "fused")
    assert fused.record_file.read_bytes() == record
    check_evaluated(fused, data / "test.json")
    expected = fuse(
        [_on_scale_of_val(bench, row) for row in ("near", "few")], Settings("wbf", (1.0, 3.0))
    )
    found = Detections.from_coco(json.loads(fused.test_predictions_file.read_text()))
    assert found.to_coco() == expected.detections.to_coco()


def _on_scale_of_val(bench: Bench, row: str) -> Detections:
    """The boxes of a row on the test split, their scores stretched as val's are to 0..1."""
    found = json.loads(folder(bench, row).test_predictions_file.read_text())
    low, high = (how(boxes(bench, row).scores) for how in (min, max))
    detections = Detections.from_coco(found)
    return replace(detections, scores=np.clip((detections.scores - low) / (high - low), 0, 1))


def leave_complete(bench: Bench, rows: tuple[str, ...], seeds: tuple[int, ...]) -> None:
    """Leaves complete runs that say nothing but a score."""
    request = Request(bench.experiment, bench.results, None, bench.data, rows, seeds)
    for run in make_plan(request).runs:
        prepare(run)
        record = make_record(run.spec.row, run.spec.seed, run_id=run.spec.run_id, profile="tiny")
        used = dict.fromkeys(run.spec.made_from, record.finished_at)
        run.folder.write_record(replace(record, made_from=used))


def test_a_seed_that_the_rows_do_not_share_stands_in_nobody_s_way(
    tmp_path: Path, synthetic_data: Path
) -> None:
    whole = {"name": "whole", "fuse": {"rows": ["near", "far"], "seeds": "all"}}
    mix = {"name": "mix", "fuse": {"rows": ["whole", "plain"]}}
    rows = [{"name": "plain", "parts": PARTS}, *SOURCES[:2], whole, mix]
    bench = make_bench(tmp_path, synthetic_data, rows)
    leave_complete(bench, ("plain", "near", "far"), (0, 1))
    leave_complete(bench, ("plain", "whole", "mix"), (0,))
    leave_complete(bench, ("plain",), (5,))
    done = sweep(bench)
    assert done.returncode == 0, done.stderr
    board = json.loads((bench.results / "tiny.json").read_text())
    runs = {row["row"]: [run["seed"] for run in row["runs"]] for row in board["rows"]}
    assert (runs["plain"], runs["whole"], runs["mix"]) == ([0, 1, 5], [0], [0])
    planned = bench.here("plan", "--seeds", "5")
    assert planned.returncode == 0, planned.stderr
    assert "far   5" in planned.stdout and "mix   " not in planned.stdout


@pytest.mark.slow
def test_what_is_made_over_all_seeds_waits_for_them(tmp_path: Path, synthetic_data: Path) -> None:
    whole = {"name": "whole", "fuse": {"rows": ["near", "far"], "seeds": "all"}}
    mix = {"name": "mix", "fuse": {"rows": ["whole", "near"]}}
    bench = make_bench(tmp_path, synthetic_data, [mix, *SOURCES[:2], whole])
    done = sweep(bench, "--seeds", "0")
    assert done.returncode == 0, done.stderr
    assert "warning: row 'whole': left for later: it takes all seeds" in done.stderr
    assert {path.name.partition("-")[0] for path in bench.results.glob("runs/*-s*")} == {
        "near",
        "far",
    }
    done = sweep(bench, "--seeds", "1")
    assert done.returncode == 0, done.stderr
    assert len([*bench.results.glob("runs/whole-s0-*/record.json")]) == 1
    assert "1 of 6 runs to do" in sweep(bench).stdout  # the seed of the mixed row is 0
    assert bench.here("report", "--check").returncode == 0


PARTS = dict.fromkeys(("backbone", "neck", "head", "schedule"), "tiny")
WHOLE: dict[str, Any] = {"name": "whole", "parts": PARTS, "train_on": "all"}


def leave_trained_on_all(bench: Bench) -> None:
    """A complete run of the row ``whole``, as its job leaves it: with boxes of the test split alone."""
    request = Request(bench.experiment, bench.results, None, bench.data, ("whole",), (0,))
    (run,) = make_plan(request).runs
    prepare(run)
    told = {"unvalidated": "trained on train and val: no val score", "metrics": {"per_class": {}}}
    run.folder.write_record(make_record("whole", run_id=run.spec.run_id, profile="tiny", **told))
    test = read_annotations(bench.data / "test.json")
    moved = test.boxes.xywh + np.array([2.0, 0, 0, 0])
    scores = np.linspace(0.5, 0.9, len(moved))
    found = Detections(test.boxes.image_ids, moved, scores, test.boxes.category_ids)
    keep_test(run.folder, test, found, run.spec.dataset.classes)


@pytest.mark.slow
def test_what_has_learnt_val_is_fused_on_the_test_split_alone(
    tmp_path: Path, synthetic_data: Path
) -> None:
    data = with_test(synthetic_data, tmp_path / "data")
    give_test(data)
    bench = make_bench(tmp_path, data, rows_over_one_on_all())
    leave_trained_on_all(bench)
    assert sweep(bench, "--seeds", "0").returncode == 0
    why = "trained on train and val: no val score"
    for row, source in {"fused": "whole", "twice": "fused, made from whole"}.items():
        of_row = folder(bench, row)
        record = of_row.read_record()
        assert record.unvalidated == f"made from {source}, {why}"
        assert record.metrics.scores == {} and not of_row.predictions_file.exists()
        check_evaluated(of_row, data / "test.json")
    board = json.loads((bench.results / "tiny.json").read_text())
    shown = {row["row"]: row for row in board["rows"]}["fused"]
    assert shown["values"]["map50"] is None and shown["values"]["test_map50"] > 0
    assert "no val score" in shown["missing"]["map50"]
    assert "nothing to do" in sweep(bench, "--seeds", "0").stdout


def rows_over_one_on_all(**how: str) -> list[dict[str, Any]]:
    fused = {"name": "fused", "fuse": {"rows": ["whole", "near"], **how}}
    return [WHOLE, SOURCES[0], fused, {"name": "twice", "fuse": {"rows": ["fused", "near"]}}]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({}, "whole: trained on train and val (train_on: all): what is made of it has boxes on a"),
        ({"calibrate": "minmax"}, "with no boxes on val to calibrate scores by; drop 'calibrate'"),
    ],
)
def test_what_has_learnt_val_has_no_boxes_there(
    tmp_path: Path, synthetic_data: Path, how: dict[str, str], words: str
) -> None:
    done = make_bench(tmp_path, synthetic_data, rows_over_one_on_all(**how)).here("plan")
    assert done.returncode == 2
    assert words in done.stderr


REFUSED: dict[str, tuple[Any, list[str]]] = {
    "one row": ({"rows": ["near"]}, ["fuse.rows: must have 2 items or more"]),
    "a row twice": ({"rows": ["near", "far", "near"]}, ["fuse.rows: near: named twice"]),
    "no such row": (
        {"rows": ["near", "fra"]},
        ["row 'fused': made from 'fra'", "did you mean 'far'"],
    ),
    "itself": ({"rows": ["near", "fused"]}, ["row 'fused': made from itself"]),
    "too few weights": (
        {"rows": ["near", "far"], "weights": [1]},
        ["fuse.weights: one weight a row: 2 rows (near, far), 1 weights"],
    ),
    "weights of nothing": (
        {"rows": ["near", "far"], "weights": [0, 0]},
        ["fuse.weights: all are 0"],
    ),
    "many at once": (
        {
            "rows": ["near", "far"],
            "weights": [1, -2],
            "iou": 1.5,
            "skip": -0.1,
            "method": "wfb",
            "calibrate": "platt",
            "seeds": "some",
            "ioo": 1,
        },
        [
            "fuse.weights.1: must be 0.0 or more (got -2)",
            "fuse.iou: must be less than 1.0 (got 1.5)",
            "fuse.skip: must be 0.0 or more (got -0.1)",
            "fuse.method: allowed: nms, soft_nms, wbf; did you mean 'wbf'",
            "fuse.calibrate: allowed: isotonic, minmax",
            "fuse.seeds: allowed: all, each",
            "fuse.ioo: no such key",
        ],
    ),
    "no mapping": (["near", "far"], ["fuse: must be a mapping"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_fused_is_refused_at_the_door(
    tmp_path: Path, synthetic_data: Path, case: str
) -> None:
    asked, words = REFUSED[case]
    bench = make_bench(tmp_path, synthetic_data, [*SOURCES, {"name": "fused", "fuse": asked}])
    done = bench.here("plan")
    assert done.returncode == 2
    for word in words:
        assert word in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_two_rows_of_each_other_are_refused(tmp_path: Path, synthetic_data: Path) -> None:
    rows = [
        *SOURCES,
        {"name": "a", "fuse": {"rows": ["near", "b"]}},
        {"name": "b", "fuse": {"rows": ["a", "far"]}},
    ]
    done = make_bench(tmp_path, synthetic_data, rows).here("plan")
    assert done.returncode == 2
    assert "row 'a': made from itself in the end: a from b from a" in done.stderr


def test_set_has_nothing_to_set_in(tmp_path: Path, synthetic_data: Path) -> None:
    fused = {"name": "fused", "fuse": {"rows": THREE}, "set": {"fuse.iou": 0.4}}
    done = make_bench(tmp_path, synthetic_data, [*SOURCES, fused]).here("plan")
    assert done.returncode == 2
    assert "row 'fused': set: it has no config" in done.stderr
