"""Runs on a test split: at their end, or afterwards from their final checkpoint; and never by anything that chooses."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_rows
import yaml
from command import Bench, here, study, variant
from held_out import give_test, with_test

import benchmark
from benchmark.experiment.rows import RECIPES
from benchmark.files import sha256_file
from benchmark.job.made import MAKERS
from benchmark.run.folder import RunFolder
from benchmark.statistics.draws import read_draws
from benchmark.statistics.matches import Matches
from benchmark.statistics.resample import bootstrap


def sweep(bench: Bench, *more: str) -> subprocess.CompletedProcess[str]:
    return bench.here("sweep", "--launcher", "inprocess", "--wandb", "off", *more)


def outcome(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "test.json").read_text())


def by_pycocotools(annotations: Path, predictions: Path) -> tuple[float, float]:
    """mAP and mAP50 as the reference computes them."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(annotations))
    run = COCOeval(truth, truth.loadRes(str(predictions)), "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    return float(run.stats[0]), float(run.stats[1])


def check_evaluated(folder: RunFolder, annotations: Path) -> None:
    """Holds what a run came to on four test images against the reference."""
    found = folder.tested_if_any()
    assert found is not None
    assert found.sha256 == sha256_file(annotations)
    assert (found.images.count, found.problem) == (4, "")
    expected = by_pycocotools(annotations, folder.test_predictions_file)
    assert (found.score("mAP"), found.score("mAP50")) == pytest.approx(expected, abs=1e-12)
    assert found.tide is not None
    matches = Matches.load(folder.test_matches_file)
    assert len(matches.image_ids) == 4
    drawn = read_draws(folder.test_bootstrap_file)
    assert drawn is not None
    assert np.array_equal(drawn, bootstrap(matches))


def check_trained_on_all(bench: Bench) -> None:
    """Holds the row that is trained on train and val together against the one that is not."""
    words = "trained on train and val: no val score"
    record, other = bench.record("momentum"), bench.record("plain")
    assert (record["state"], record["metrics"], record["unvalidated"]) == ("complete", {}, words)
    assert bench.points("momentum", "val") == []
    images = {row: bench.points(row, "train")[-1]["iter"] for row in ("plain", "momentum")}
    assert images == {"plain": 24, "momentum": 32}  # 4 epochs of 24 and of 24 + 8 images, by 4
    assert record["params"] == other["params"]
    board = json.loads((bench.results / "tiny.json").read_text())
    (row,) = (row for row in board["rows"] if row["row"] == "momentum")
    assert row["values"]["status"] == "complete, no val score"
    assert row["values"]["test_map50"] is not None and row["values"]["test_interval"]
    for key in ("map50", "interval", "rank", "map", "latency_ms", "tide_cls"):
        assert (row["values"][key], row["missing"][key]) == (None, words)
    told = here(["compare", "plain", "momentum", "--results", str(bench.results)]).stderr
    assert f"{words}; compare on the test split with --split test" in told
    change(bench, judge="test")
    assert sweep(bench).returncode == 0
    board = json.loads((bench.results / "tiny.json").read_text())
    assert all(row["values"]["rank"] for row in board["rows"])


def check_evaluated_again_alike(bench: Bench) -> None:
    """What a job finds at the end of a training is what one finds that only evaluates."""
    folder = RunFolder(bench.folder("momentum"))
    at_the_end = folder.test_predictions_file.read_bytes()
    folder.tested_file.unlink()  # as a kill may leave it
    folder.test_predictions_file.unlink()
    assert sweep(bench).returncode == 0
    assert folder.test_predictions_file.read_bytes() == at_the_end


@pytest.mark.trains
@pytest.mark.slow
def test_a_training_is_evaluated_at_its_end_and_an_earlier_one_without_training(
    synthetic_data: Path, tmp_path: Path
) -> None:
    data = with_test(synthetic_data, tmp_path / "data")
    experiment = variant(tmp_path, lambda e: e["rows"][1].update(train_on="all"))
    bench = Bench(data, tmp_path / "results", experiment)
    assert sweep(bench, "--rows", "plain").returncode == 0
    folder = RunFolder(bench.folder("plain"))
    before = folder.record_file.read_bytes()
    assert not folder.tested_file.exists()

    give_test(data)
    told = bench.here("plan").stdout
    assert "1 of 2 runs are missing." in told
    assert "1 run to be evaluated on test." in told
    done = sweep(bench)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 runs to do, 1 to be evaluated on test" in done.stdout
    assert f"{folder.path.name}: complete (evaluated on test: mAP50 " in done.stdout
    assert folder.record_file.read_bytes() == before
    assert folder.read_spec().dataset.test is not None
    assert not (folder.path / "mmengine").exists()
    for row in ("plain", "momentum"):
        check_evaluated(RunFolder(bench.folder(row)), data / "test.json")
    assert "nothing to do" in sweep(bench).stdout
    check_trained_on_all(bench)
    check_evaluated_again_alike(bench)


@pytest.fixture(scope="module")
def toys() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "truth", toy_rows.TruthRecipe)
        patch.setitem(RECIPES, "copies", toy_rows.CopyRecipe)
        patch.setitem(MAKERS, "truth", "toy_rows:from_truth")
        patch.setitem(MAKERS, "copies", "toy_rows:from_row")
        yield


def of_toys(folder: Path, data: Path) -> Bench:
    """Rows whose boxes need no training, on data that has no test split yet."""
    rows = [
        {"name": "near", "truth": 1.0},
        {"name": "far", "truth": 4.0, "skip": 2},
        {"name": "copy", "copies": ["near"]},
    ]
    experiment = variant(folder, lambda e: e.update(rows=rows))
    return Bench(with_test(data, folder / "data"), folder / "results", experiment)


@pytest.fixture
def bench(toys: None, synthetic_data: Path, tmp_path: Path) -> Bench:
    return of_toys(tmp_path, synthetic_data)


class TestMadeRows:
    def test_are_evaluated_when_there_is_a_test_split_and_again_when_it_changes(
        self, bench: Bench
    ) -> None:
        assert sweep(bench).returncode == 0
        give_test(bench.data)
        done = sweep(bench)
        assert done.returncode == 0, done.stderr
        assert "0 of 3 runs to do, 3 to be evaluated on test" in done.stdout
        first = outcome(bench.folder("near"))
        assert first["metrics"]["mAP50"] > 0.3
        assert (
            outcome(bench.folder("copy"))["problem"] == "its boxes of the test split are not known"
        )
        assert "nothing to do" in sweep(bench).stdout

        give_test(bench.data, info={"version": "2"})
        assert "2 runs to be evaluated" not in bench.here("plan").stdout
        assert "3 runs to be evaluated on test." in bench.here("plan").stdout
        assert sweep(bench).returncode == 0
        second = outcome(bench.folder("near"))
        assert second["metrics"] == first["metrics"]
        assert second["sha256"] != first["sha256"]

    def test_of_images_alone_boxes_are_kept_and_nothing_is_evaluated(self, bench: Bench) -> None:
        give_test(bench.data, annotations=[])
        assert sweep(bench).returncode == 0
        folder = RunFolder(bench.folder("near"))
        found = folder.tested_if_any()
        assert found is not None
        assert not found.labelled
        assert found.metrics.scores == {}
        assert json.loads(folder.test_predictions_file.read_text()) == []
        assert not folder.test_matches_file.exists()

    def test_are_evaluated_where_the_data_lies_now(self, bench: Bench) -> None:
        assert sweep(bench, "--rows", "near").returncode == 0
        moved = Bench(
            bench.data.rename(bench.data.with_name("moved")), bench.results, bench.experiment
        )
        give_test(moved.data)
        done = sweep(moved, "--rows", "near")
        assert done.returncode == 0, done.stderr
        assert outcome(moved.folder("near"))["problem"] == ""
        assert RunFolder(moved.folder("near")).read_spec().dataset.name == "data"

    def test_what_is_made_from_weights_that_are_gone_is_not_tried_each_time(
        self, bench: Bench
    ) -> None:
        assert sweep(bench, "--rows", "near,copy").returncode == 0
        (bench.folder("near") / "config.py").touch()  # as if it had been trained, and cleared
        give_test(bench.data)
        told = bench.here("plan", "--rows", "near,copy").stdout
        assert "1 run to be evaluated on test." in told
        lost = f"for want of checkpoints/final.pth: {bench.folder('copy').name}."
        assert f"Not to be evaluated on test, {lost}" in told

    def test_a_kill_before_the_last_file_is_made_good(self, bench: Bench) -> None:
        give_test(bench.data)
        assert sweep(bench).returncode == 0
        folder = RunFolder(bench.folder("near"))
        whole = {p.name: p.read_bytes() for p in folder.path.glob("*-test.*")}
        folder.tested_file.write_text("{")
        folder.test_matches_file.unlink()
        assert "1 run to be evaluated on test." in bench.here("plan").stdout
        assert sweep(bench).returncode == 0
        assert {p.name: p.read_bytes() for p in folder.path.glob("*-test.*")} == whole

    def test_a_renamed_row_keeps_what_it_came_to_and_a_damaged_spec_is_made_good(
        self, bench: Bench
    ) -> None:
        rows = [{"name": "near", "truth": 1.0}, {"name": "far", "truth": 4.0}]
        change(bench, rows=rows)
        assert sweep(bench).returncode == 0
        give_test(bench.data)
        (bench.folder("far") / "spec.json").write_text("{")
        assert sweep(bench).returncode == 0
        assert outcome(bench.folder("far"))["problem"] == ""
        change(bench, rows=[{"name": "closer", "truth": 1.0}, rows[1]])
        moved = here(
            ["runs", "mv", str(bench.experiment), "near", "closer", "--results", str(bench.results)]
        )
        assert moved.returncode == 0, moved.stderr
        found = RunFolder(bench.folder("closer")).tested_if_any()
        assert found is not None
        assert found.run_id == bench.folder("closer").name
        assert "nothing to do" in sweep(bench).stdout

    def test_what_goes_wrong_costs_no_run_and_is_tried_again(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert sweep(bench, "--rows", "near").returncode == 0
        give_test(bench.data)
        with monkeypatch.context() as broken:
            broken.setitem(MAKERS, "truth", "toy_rows:nothing_of_the_kind")
            done = sweep(bench, "--rows", "near")
        assert done.returncode == 1
        folder = RunFolder(bench.folder("near"))
        assert f"{folder.path.name}: not evaluated on test: AttributeError" in done.stderr
        assert folder.read_record().state == "complete"
        assert sweep(bench, "--rows", "near").returncode == 0
        assert outcome(folder.path)["problem"] == ""


class TestBoard:
    @pytest.fixture(scope="class")
    def swept(
        self, toys: None, synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Bench:
        """Rows that rank otherwise by the test split, on which the first two rows' boxes change their quality."""
        bench = of_toys(tmp_path_factory.mktemp("judged"), synthetic_data)
        give_test(bench.data)
        change(bench, judge="test")
        assert sweep(bench).returncode == 0
        return bench

    @pytest.fixture
    def judged(self, swept: Bench, tmp_path: Path) -> Bench:
        """A copy of it, which a test may change."""
        own = shutil.copytree(swept.experiment.parent, tmp_path / "board")
        return Bench(own / "data", own / "results", own / "tiny.yaml")

    def test_ranks_by_the_test_split_and_says_so(self, judged: Bench) -> None:
        board = json.loads((judged.results / "tiny.json").read_text())
        rows = {row["row"]: row for row in board["rows"]}
        near, far, copy = (rows[name]["values"] for name in ("near", "far", "copy"))
        assert board["judge"] == "test"
        assert board["dataset"]["test"] == {"sha256": sha(judged), "images": 4}
        for name in ("near", "far"):
            of_run = outcome(judged.folder(name))
            assert rows[name]["values"]["test_map50"] == of_run["metrics"]["mAP50"]
            assert rows[name]["values"]["test_map"] == of_run["metrics"]["mAP"]
            assert rows[name]["test_per_class"] == of_run["metrics"]["per_class"]
            assert rows[name]["values"]["test_tide_miss"] == of_run["tide"]["Miss"]
            low, high = (rows[name]["values"][f"test_map50_{end}"] for end in ("low", "high"))
            assert low <= of_run["metrics"]["mAP50"] <= high
        assert near["rank"] and far["rank"] and near["interval"] and near["test_interval"]
        assert copy["rank"] is None and copy["interval"] and copy["test_map50"] is None
        why = "not evaluated on the test split: its boxes of the test split are not known"
        assert {
            rows["copy"]["missing"][key] for key in ("rank", "test_map50", "test_interval")
        } == {why}
        page = (judged.results / "tiny.md").read_text()
        assert "- Rows are ranked by mAP50 on the test split (4 images)" in page
        assert "### mAP50 of each class on the test split" in page
        html = (judged.results / "tiny.html").read_text()
        assert "Ranked by mAP50 on the test split (4 images)" in html
        assert judged.here("report", "--check").returncode == 0

    def test_the_notebook_has_the_classes_of_the_test_split(self, judged: Bench) -> None:
        frame = benchmark.results_per_class(judged.results)
        of_near = frame[frame.row == "near"].set_index("class")["test_mAP50"]
        assert of_near.notna().any()
        for name, found in outcome(judged.folder("near"))["metrics"]["per_class"].items():
            assert of_near[name] == found["mAP50"] or (
                found["mAP50"] is None and np.isnan(of_near[name])
            )

    def test_ranks_by_val_as_before_with_columns_of_the_test_split(self, judged: Bench) -> None:
        change(judged, judge="val")
        done = sweep(judged)
        assert done.returncode == 0, done.stderr
        assert "ranked by mAP50 on the test split" not in done.stdout
        board = json.loads((judged.results / "tiny.json").read_text())
        assert "judge" not in board
        assert all(row["values"]["rank"] for row in board["rows"])
        assert board["rows"][0]["values"]["test_map50"] is not None

    def test_needs_no_data_and_no_run_and_tells_what_is_judged_otherwise(
        self, judged: Bench
    ) -> None:
        before = (judged.results / "tiny.json").read_bytes()
        for folder in (judged.results / "runs").glob("*-s*"):
            shutil.rmtree(folder)
        report = ["report", str(judged.experiment), "--results", str(judged.results), "--check"]
        assert here(report).returncode == 0
        assert (judged.results / "tiny.json").read_bytes() == before
        change(judged, judge="val")
        told = here(report)
        assert told.returncode == 1
        assert "judge: val" in told.stdout

    def test_runs_on_an_earlier_split_have_no_value_until_they_are_evaluated_again(
        self, judged: Bench
    ) -> None:
        give_test(judged.data, info={"version": "2"})
        assert sweep(judged, "--rows", "near").returncode == 0
        board = json.loads((judged.results / "tiny.json").read_text())
        rows = {row["row"]: row for row in board["rows"]}
        assert rows["near"]["values"]["test_map50"] is not None
        assert rows["far"]["values"]["test_map50"] is None
        assert rows["far"]["missing"]["test_map50"].startswith(
            "evaluated on a test split of before"
        )

    def test_compare_takes_the_split_that_judges_or_the_one_that_is_named(
        self, judged: Bench
    ) -> None:
        def compared(*more: str) -> Any:
            names = ["compare", "near", "far", "--results", str(judged.results), "--json", *more]
            return json.loads(here(names).stdout)

        usual = compared()
        assert (usual["split"], usual["images"]) == ("test", 4)
        for side, name in (("a", "near"), ("b", "far")):
            assert usual[side]["mAP50"] == outcome(judged.folder(name))["metrics"]["mAP50"]
        on_val = compared("--split", "val")
        assert (on_val["split"], on_val["images"]) == ("val", 8)
        assert on_val["a"]["mAP50"] == judged.record("near")["metrics"]["mAP50"]
        lacking = here(["compare", "near", "copy", "--results", str(judged.results)])
        assert lacking.returncode == 2
        assert (
            "is not evaluated on a test split (its boxes of the test split are not"
            in lacking.stderr
        )
        wrong = here(
            ["compare", "near", "far", "--results", str(judged.results), "--split", "tset"]
        )
        assert "--split tset: allowed: test, val; did you mean 'test'?" in wrong.stderr

    def test_is_refused_without_a_labelled_split(self, bench: Bench) -> None:
        change(bench, judge="test")
        told = sweep(bench)
        assert told.returncode == 2
        assert "judge: test: it has no test split" in told.stderr
        give_test(bench.data, annotations=[])
        assert "judge: test: its test split has no annotations" in bench.here("plan").stderr


def sha(bench: Bench) -> str:
    return sha256_file(bench.data / "test.json")


def change(bench: Bench, **what: Any) -> None:
    """Changes the experiment file."""
    content = yaml.safe_load(bench.experiment.read_text())
    bench.experiment.write_text(yaml.safe_dump({**content, **what}))


def test_no_trial_sees_the_test_split(synthetic_data: Path, tmp_path: Path) -> None:
    from benchmark.run.plan import Request, make_plan
    from benchmark.tuning.open_trial import as_trial

    data = with_test(synthetic_data, tmp_path / "data")
    give_test(data)
    study(tmp_path)
    request = Request(tmp_path / "tiny.yaml", tmp_path / "results", data_root=data)
    planned = make_plan(request).runs[0]
    assert planned.spec.dataset.test is not None
    assert as_trial(planned, "tune", "id", 0, {}).spec.dataset.test is None
