"""The leaderboard of an experiment whose rows have a run for each fold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from boards import make_record
from desk import Desk, make_desk

from benchmark.experiment.experiment import load_experiment
from benchmark.leaderboard.document import Leaderboard, TestData
from benchmark.leaderboard.history import history_of
from benchmark.leaderboard.outputs import OUTPUTS
from benchmark.leaderboard.outputs.base import Output
from benchmark.leaderboard.outputs.markdown import method_text, page
from benchmark.leaderboard.outputs.notebook import results, results_per_class
from benchmark.leaderboard.outputs.run_frame import runs
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.runs import Runs
from benchmark.run.state import Planned
from benchmark.statistics.folds import difference, interval

FOLDS = 4
VALUES = {"plain": (0.50, 0.40, 0.60, 0.44), "momentum": (0.30, 0.22, 0.41, 0.25)}


def end(run: Planned, map50: float, **changes: object) -> None:
    """Leaves a complete run of a fold, as a job does."""
    prepare(run)
    spec, fold = run.spec, run.spec.fold
    classes = {"Metal": {"mAP50": map50, "mAP": None if fold == 1 else map50 / 2}}
    made = {
        "run_id": spec.run_id,
        "profile": spec.profile,
        "metrics": {"mAP50": map50, "mAP": map50 / 2, "mAP_l": None, "per_class": classes},
        "val_images": {"count": 6, "sha256": f"{fold:02d}" * 32},
        **changes,
    }
    run.folder.write_record(make_record(spec.row, spec.seed, map50, **made))
    box = {"image_id": 100 + fold, "category_id": 1, "bbox": [1.5, 2, 3, 4], "score": map50}
    run.folder.predictions_file.write_text(json.dumps([box]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Desk:
    """The tiny experiment in four folds, all run and reported; tests must not change it."""
    made = _divided(tmp_path_factory.mktemp("whole"), synthetic_data)
    run_all(made)
    board(made)
    return made


@pytest.fixture
def desk(tmp_path: Path, synthetic_data: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The tiny experiment in four folds; nothing is run, and no picture is drawn."""
    for name in ("page", "plots"):
        monkeypatch.setitem(OUTPUTS, name, Output(lambda _: ()))
    return _divided(tmp_path, synthetic_data)


def _divided(folder: Path, data: Path) -> Desk:
    made = make_desk(folder / "desk", data, run=False)
    made.change(lambda content: content.update(folds=FOLDS))
    return made


def planned(desk: Desk, *seeds: int) -> tuple[Planned, ...]:
    request = Request(desk.experiment, desk.results, data_root=desk.data, seeds=seeds or None)
    return make_plan(request).runs


def run_all(desk: Desk, wanted: Callable[[Planned], bool] = lambda _: True) -> None:
    for run in filter(wanted, planned(desk)):
        end(run, VALUES[run.spec.row][run.spec.fold])


def board(desk: Desk, *options: str) -> dict[str, dict]:
    """What `kept` gives, after a report."""
    status, told = desk.report(*options)
    assert status == 0, told
    return kept(desk)


def kept(desk: Desk) -> dict[str, dict]:
    """The rows of the only board, by name."""
    (path,) = (p for p in desk.results.glob("*.json") if p.name != "datasets.json")
    return {row["row"]: row for row in json.loads(path.read_text())["rows"]}


def test_a_row_is_the_mean_over_its_folds(whole: Desk) -> None:
    rows = kept(whole)
    for name, values in VALUES.items():
        shown = rows[name]["values"]
        assert shown["map50"] == pytest.approx(fmean(values), abs=1e-15)
        between = interval(np.array(values))
        assert [shown["map50_low"], shown["map50_high"]] == [between.low, between.high]
        assert shown["status"] == "complete" and shown["seeds"] == "0"
        assert [run["fold"] for run in rows[name]["runs"]] == list(range(FOLDS))
        # A fold without an object of a class says nothing of it.
        others = [value / 2 for fold, value in enumerate(values) if fold != 1]
        assert rows[name]["per_class"]["Metal"]["mAP"] == pytest.approx(fmean(others))
    assert rows["plain"]["values"]["published_inside"] is None


def test_ranks_pair_the_folds(whole: Desk) -> None:
    """The intervals overlap, and every fold says the same."""
    rows = kept(whole)
    assert difference(np.array(VALUES["plain"]), np.array(VALUES["momentum"])).p < 0.05
    low, high = rows["plain"]["values"]["map50_low"], rows["momentum"]["values"]["map50_high"]
    assert low < high
    assert [rows[name]["values"]["rank"] for name in VALUES] == ["1", "2"]


def test_every_output_says_that_these_are_folds(whole: Desk) -> None:
    desk = whole
    text = (desk.results / "tiny.md").read_text()
    assert text.startswith("# Tiny leaderboard, 4 folds")
    assert "24 images in 4 folds, each validated on once" in text
    assert "corrected resampled t over the folds (Nadeau and Bengio 2003)" in text
    assert "bootstrap resamples" not in text
    columns = json.loads((desk.results / "tiny.json").read_text())["columns"]
    (about,) = (column["about"] for column in columns if column["key"] == "map50")
    assert about == "Mean over the folds, within each over its complete seeds."
    assert re.search(r"\| Run +\| Seed \| Fold \| +mAP50", text)
    html = (desk.results / "tiny.html").read_text()
    assert "Tiny leaderboard, 4 folds</h1>" in html and "24 images in 4 folds" in html
    readme = (desk.folder / "README.md").read_text()
    assert "means over 4 folds" in readme and ", folds `" in readme
    frame = runs(desk.results)
    assert sorted(frame["fold"]) == sorted([*range(FOLDS)] * 2)
    assert results(desk.results)["map50"].max() == pytest.approx(0.485)
    assert set(results_per_class(desk.results)["class"]) == {"Metal"}
    assert desk.report("--check")[0] == 0


def test_intervals_and_ranks_on_the_test_split_are_not_said_to_be_over_folds(whole: Desk) -> None:
    board = Leaderboard.model_validate_json((whole.results / "tiny.json").read_text())
    test = TestData(sha256="0" * 64, images=9)
    shown = board.model_copy(update={"dataset": board.dataset.model_copy(update={"test": test})})
    before = method_text(board)
    assert "paired by fold" in before and "bootstrap" not in before
    on_test = "over images and runs (1,000 bootstrap resamples)"
    assert method_text(shown) == f"{before}; intervals on the test split: {on_test}"
    judged = method_text(shown.model_copy(update={"judge": "test"}))
    assert "paired by fold" not in judged
    assert f"; on the test split {on_test}; rows whose difference there a paired test" in judged


def test_scores_on_the_test_split_alone_have_their_sections(whole: Desk) -> None:
    board = Leaderboard.model_validate_json((whole.results / "tiny.json").read_text())

    def shown(**values: float | None) -> str:
        rows = (r.model_copy(update={"values": {**r.values, **values}}) for r in board.rows)
        return page(board.model_copy(update={"rows": tuple(rows)}))

    assert "## Quality" not in shown(map50=None)
    assert "## Quality" in shown(map50=None, test_map50=0.4)


def test_no_value_before_every_fold_is_complete(desk: Desk) -> None:
    """A mean over some of the folds is another number than the mean over all."""
    run_all(desk, lambda run: run.spec.row == "momentum" or run.spec.fold != 2)
    rows = board(desk)
    shown = rows["plain"]["values"]
    assert shown["map50"] is None and shown["rank"] is None and not rows["plain"]["per_class"]
    assert shown["seeds_complete"] == 0 and shown["params"] is None
    assert shown["status"] == "waiting, 3 of 4 folds complete"
    assert rows["momentum"]["values"]["rank"] == "1"
    assert [run["map50"] for run in rows["plain"]["runs"]] == [0.50, 0.40, None, 0.44]


def test_seeds_are_averaged_within_a_fold_first(desk: Desk) -> None:
    for run in planned(desk, 0, 1):
        if run.spec.seed == 0 or run.spec.fold == 0:
            end(run, VALUES[run.spec.row][run.spec.fold] + 0.1 * run.spec.seed)
    shown = board(desk)["plain"]["values"]
    assert shown["map50"] == pytest.approx(fmean([0.55, 0.40, 0.60, 0.44]))
    assert shown["status"] == "complete (5 of 8 runs)"
    assert (shown["seeds"], shown["seeds_complete"]) == ("0 1", 1)


def test_boxes_of_all_folds_are_kept_together(desk: Desk) -> None:
    run_all(desk, lambda run: run.spec.row == "plain" or run.spec.fold != 1)
    board(desk)
    folder = desk.results / "tiny.oof"
    assert [path.name for path in folder.iterdir()] == ["plain-s0.json"]
    boxes = json.loads((folder / "plain-s0.json").read_text())
    assert [box["image_id"] for box in boxes] == [100, 101, 102, 103]
    assert [box["score"] for box in boxes] == list(VALUES["plain"])
    assert desk.report("--check")[0] == 0
    # A fold that is gone leaves boxes of some folds only.
    next(desk.results.glob("runs/plain-s0-f2-*/record.json")).unlink()
    assert desk.report("--check")[0] == 1 and (folder / "plain-s0.json").exists()
    board(desk)
    assert not list(folder.iterdir())


def test_runs_without_folds_are_another_board(desk: Desk) -> None:
    run_all(desk)
    desk.change(lambda content: content.pop("folds"))
    desk.run_all(0.7)
    status, told = desk.report()
    assert status == 0, told
    boards = {p.stem for p in desk.results.glob("*.json")} - {"datasets"}
    titles = {json.loads((desk.results / f"{stem}.json").read_text())["title"] for stem in boards}
    assert titles == {"Tiny leaderboard", "Tiny leaderboard, 4 folds"}


def test_another_experiment_without_folds_does_not_show_them(desk: Desk) -> None:
    run_all(desk)
    content = desk.experiment.read_text().replace("name: tiny", "name: undivided")
    other = desk.experiment.with_name("undivided.yaml")
    other.write_text("\n".join(line for line in content.splitlines() if "folds" not in line))
    found = history_of(load_experiment(other), Request(other, desk.results), Runs(desk.results))
    assert found.started == ()


def test_a_clone_without_runs_and_data_keeps_the_board(desk: Desk, tmp_path: Path) -> None:
    run_all(desk)
    board(desk)
    (desk.results / "runs").rename(tmp_path / "elsewhere")
    (desk.results / "folds").rename(tmp_path / "folds")
    status, told = desk.report("--check")
    assert status == 0 and "stale" not in told, told


def test_a_row_of_another_config_is_stale_by_fold(desk: Desk) -> None:
    run_all(desk)
    desk.change(lambda c: c["rows"][0].update(set={"optim_wrapper.optimizer.momentum": 0.7}))
    assert desk.report()[0] == 0
    status, told = desk.report("--check")
    assert status == 1 and "row plain, seed 0, fold 3: runs/plain-s0-f3-tiny-" in told
