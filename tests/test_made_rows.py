"""Rows whose boxes are not trained here: planned, made, judged and made again as any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import toy_rows
import yaml
from command import Bench, here, variant

from benchmark.experiment.rows import RECIPES
from benchmark.job.made import MAKERS
from benchmark.run.folder import RunFolder

ROWS: list[dict[str, Any]] = [
    {"name": "far", "copies": ["near"]},  # before the row that it is made from
    {"name": "near", "truth": 1.0},
    {"name": "all", "copies": ["near", "far"], "all_seeds": True},
]


@pytest.fixture(autouse=True)
def toy_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "truth", toy_rows.TruthRecipe)
    monkeypatch.setitem(RECIPES, "copies", toy_rows.CopyRecipe)
    monkeypatch.setitem(MAKERS, "truth", "toy_rows:from_truth")
    monkeypatch.setitem(MAKERS, "copies", "toy_rows:from_row")


@pytest.fixture
def bench(tmp_path: Path, synthetic_data: Path) -> Bench:
    experiment = variant(
        tmp_path, lambda e: e.update(rows=[dict(row) for row in ROWS], seeds=[0, 1])
    )
    return Bench(synthetic_data, tmp_path / "results", experiment)


def _sweep(bench: Bench, *more: str) -> Any:
    return bench.here("sweep", "--launcher", "inprocess", "--wandb", "off", *more)


def _folders(bench: Bench) -> dict[str, RunFolder]:
    return {path.name: RunFolder(path) for path in (bench.results / "runs").glob("*-s*")}


def _folder(bench: Bench, start: str) -> RunFolder:
    (found,) = (f for name, f in _folders(bench).items() if name.startswith(start))
    return found


def _change(bench: Bench, rows: list[dict[str, Any]]) -> None:
    content = yaml.safe_load(bench.experiment.read_text())
    bench.experiment.write_text(yaml.safe_dump({**content, "rows": rows}))


def test_rows_made_from_others_come_after_them_and_are_judged_beside_them(bench: Bench) -> None:
    planned = bench.here("plan")
    assert "row 'all' is made from near, far" in planned.stdout
    assert "Training time" not in planned.stdout
    done = _sweep(bench)
    assert done.returncode == 0, done.stderr
    near, far, whole = (_folder(bench, start) for start in ("near-s0", "far-s0", "all-s0"))
    assert near.read_spec().made_from == ()
    assert far.read_spec().made_from == (near.path.name,)
    assert len(whole.read_spec().made_from) == 4  # two rows of two seeds
    record = far.read_record()
    assert record.made_from == {near.path.name: near.read_record().finished_at}
    assert record.state == "complete" and 0 < (record.score("mAP50") or 0) < 1
    assert (record.params, record.train_seconds, record.peak_memory_gib) == (None, None, None)
    assert record.tide is not None and far.matches_file.exists() and far.samples_file.exists()
    assert f"{far.path.name}: complete, mAP50 {record.score('mAP50'):.4f}" in done.stdout
    board = json.loads((bench.results / "tiny.json").read_text())
    rows = {row["row"]: row for row in board["rows"]}
    assert [len(rows[name]["runs"]) for name in ("far", "near", "all")] == [2, 2, 1]
    assert all(row["values"]["rank"] and row["values"]["interval"] for row in rows.values())
    assert "not trained here" in rows["far"]["missing"]["train_seconds"]
    assert "not trained here" in rows["far"]["missing"]["latency_ms"]
    assert "nothing to do" in _sweep(bench).stdout
    assert bench.here("report", "--check").returncode == 0


def test_the_boxes_are_evaluated_as_pycocotools_does(bench: Bench, synthetic_data: Path) -> None:
    _sweep(bench, "--rows", "near", "--seeds", "0")
    folder = _folder(bench, "near")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(synthetic_data / "val.json"))
    run = COCOeval(truth, truth.loadRes(str(folder.predictions_file)), "bbox")
    images = folder.read_record().val_images
    assert images is not None
    run.params.imgIds = sorted(truth.getImgIds())[: images.count]
    run.evaluate()
    run.accumulate()
    run.summarize()
    assert folder.read_record().score("mAP50") == pytest.approx(run.stats[1], abs=1e-12)


def test_a_row_is_made_again_when_one_that_it_is_made_from_was(bench: Bench) -> None:
    _sweep(bench)
    near, far = _folder(bench, "near-s0"), _folder(bench, "far-s0")
    whole = _folder(bench, "all-s0")
    ended = json.loads(near.record_file.read_text())
    near.record_file.write_text(json.dumps({**ended, "finished_at": "2027-01-01T00:00:00+00:00"}))
    told = bench.here("report", "--check")
    assert told.returncode == 1
    assert f"runs/{far.path.name} was made from runs that were made again since" in told.stdout
    done = _sweep(bench)
    assert done.returncode == 0, done.stderr
    assert "2 of 5 runs to do" in done.stdout  # far of seed 0, and what is made from both
    assert far.read_record().made_from == {near.path.name: "2027-01-01T00:00:00+00:00"}
    assert (far.path / "record-1.json").exists()
    assert "nothing to do" in _sweep(bench).stdout
    removed = here(["runs", "rm", near.path.name, "--results", str(bench.results)]).stdout
    assert f"{whole.path.name}, {far.path.name} made from it: stays as it is" in removed


def test_the_id_holds_what_it_is_made_of(bench: Bench) -> None:
    plan = {*_ids(bench)}
    _change(bench, [{**row, **({"truth": 2.0} if row["name"] == "near" else {})} for row in ROWS])
    assert plan.isdisjoint(_ids(bench))


def _ids(bench: Bench) -> list[str]:
    from benchmark.run.plan import Request, make_plan

    request = Request(bench.experiment, bench.results, data_root=bench.data)
    return [run.spec.run_id for run in make_plan(request).runs]


def test_a_missing_row_a_circle_and_settings_are_told_at_once(bench: Bench) -> None:
    circle = [
        {"name": "a", "copies": ["b"]},
        {"name": "b", "copies": ["a"]},
        {"name": "c", "copies": ["neer"]},
        {"name": "near", "truth": 1.0},
    ]
    _change(bench, circle)
    told = _sweep(bench)
    assert told.returncode == 2
    assert "row 'a': made from itself in the end: a from b from a" in told.stderr
    assert "row 'c': made from 'neer', which is no row" in told.stderr and "near" in told.stderr
    _change(bench, [{"name": "near", "truth": 1.0, "set": {"model.neck": 1}}])
    assert "has no config in which model.neck could be set" in _sweep(bench).stderr


def test_a_row_alone_waits_for_what_it_is_made_from(bench: Bench) -> None:
    told = _sweep(bench, "--rows", "far")
    assert told.returncode == 2
    assert "not made yet: sweep that row, too" in told.stderr


def test_a_source_that_fails_is_the_cause(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setitem(MAKERS, "truth", "toy_rows:nothing_of_the_kind")
        done = _sweep(bench)
    assert done.returncode == 1
    record = _folder(bench, "far-s0").read_record()
    assert record.failure is not None and record.failure.again
    assert "which is failed" in record.failure.message
    done = _sweep(bench, "--retry", "failed")
    assert done.returncode == 0, done.stderr


def test_a_row_without_a_config_has_none_to_show_or_to_try(bench: Bench) -> None:
    shown = bench.here("config", "--rows", "near", "--seeds", "0")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "row 'near' has no config: it is not trained here" in shown.stderr
    tried = bench.here("plan", "--build", "--launcher", "inprocess")
    assert tried.returncode == 0, tried.stderr


def test_tables_name_the_rows_where_rows_are_made_from_others(bench: Bench) -> None:
    assert _sweep(bench, "--rows", "near,far").returncode == 0
    table = (bench.results / "tiny.md").read_text()
    assert "| Row  | Rank |" in table
    written = {name: (bench.results / name).read_bytes() for name in ("tiny.md", "tiny.json")}
    assert bench.here("report").returncode == 0
    assert written == {name: (bench.results / name).read_bytes() for name in written}
