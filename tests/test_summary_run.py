from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import wandb
from boards import failed, make_board, make_record, make_row, result
from PIL import Image
from wandb_file import offline_folders, read_run

from benchmark.experiment.experiment import Tracking
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.track_leaderboard import track_leaderboard
from benchmark.statistics.intervals import Interval
from benchmark.tracking.summaries import Summary, track_summary
from benchmark.tuning.track_study import trials_table

pytestmark = pytest.mark.usefixtures("clean_wandb")

OFFLINE = Tracking(project="boards", mode="offline")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def board() -> Leaderboard:
    """A failed row, so that columns begin with an absent value; two complete ones, one without all seeds."""
    records = make_record("r50", 0, map50=0.25), failed("r50", 1)
    half = replace(result(make_row("r50"), *records), interval=Interval(0.2, 0.3))
    best = result(make_row("x101", published=None), make_record("x101", 0, map50=0.5))
    return make_board(result(make_row("gone"), failed("gone")), half, best)


def table_in(folder: Path, value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a logged table by column."""
    content = json.loads((folder / "files" / value["path"]).read_text())
    return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


@pytest.mark.slow
def test_the_leaderboard_is_a_run_in_the_group_of_its_runs(results: Path) -> None:
    for name in ("board-pareto.png", "board-intervals.png", "board-other.png"):
        Image.new("RGB", (8, 6)).save(results / name)
    track_leaderboard(board(), results, OFFLINE)
    [folder] = offline_folders(results)
    run = read_run(folder)
    assert (run.id, run.name, run.group) == ("leaderboard-board-full", "leaderboard board", "board")
    assert (run.project, run.tags, run.exit_code) == ("boards", ["leaderboard"], 0)
    [logged] = [point for point in run.points if "leaderboard/table" in point]
    assert {key for key in logged if key.startswith("leaderboard/")} == {
        "leaderboard/table",
        "leaderboard/board-pareto",
        "leaderboard/board-intervals",
    }
    picture = folder / "files" / logged["leaderboard/board-pareto"]["path"]
    assert Image.open(picture).size == (8, 6)
    assert run.config["rows"] == ["gone", "r50", "x101"]
    assert run.config["profile"] == "full"
    summary = ("rows", "rows_complete", "best_row", "best_mAP50")
    assert [run.summary[key] for key in summary] == [3, 1, "x101", 0.5]


@pytest.mark.slow
def test_numbers_of_the_table_are_numbers_and_what_is_absent_is_null(results: Path) -> None:
    track_leaderboard(board(), results, OFFLINE)
    [folder] = offline_folders(results)
    [logged] = [point for point in read_run(folder).points if "leaderboard/table" in point]
    gone, half, best = table_in(folder, logged["leaderboard/table"])
    assert set(best) == {column.key for column in board().columns}
    assert [row["map50"] for row in (gone, half, best)] == [None, 0.25, 0.5]
    assert [row["map50_low"] for row in (gone, half, best)] == [None, 0.2, None]
    assert [row["params"] for row in (gone, half, best)] == [None, 36_350_000, 36_350_000]
    assert [row["leaderboard_map50"] for row in (gone, half, best)] == [0.4527, 0.4527, None]
    assert [row["state"] for row in (gone, half, best)] == ["failed", "complete", "complete"]
    assert gone["failure"] == "oom"


def test_written_again_it_is_the_same_run(results: Path) -> None:
    track_leaderboard(board(), results, OFFLINE)
    track_leaderboard(make_board(result(make_row(), failed("r50"))), results, OFFLINE)
    first, second = (read_run(folder) for folder in offline_folders(results))
    assert first.id == second.id
    assert (second.summary["rows_complete"], second.summary["best_mAP50"]) == (0, None)


def test_a_leaderboard_of_another_profile_is_another_run(results: Path) -> None:
    smoke = make_board(result(make_row(), make_record(profile="smoke")), profile="smoke")
    track_leaderboard(smoke, results, OFFLINE)
    [folder] = offline_folders(results)
    assert read_run(folder).id == "leaderboard-board-smoke"


def test_without_tracking_nothing_is_written(results: Path) -> None:
    track_leaderboard(board(), results, Tracking(mode="off"))
    assert list(results.iterdir()) == []


def test_wandb_that_fails_is_a_warning(
    results: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr(wandb, "Table", broken)
    track_leaderboard(board(), results, OFFLINE)
    assert capfd.readouterr().err.count("no space left on device") == 1


def test_a_study_is_summed_up_in_the_same_way(results: Path) -> None:
    Image.new("RGB", (8, 6)).save(results / "history.png")
    trials = pd.DataFrame({"number": [0, 1], "mAP50": [0.5, None]})
    plots, found = [results / "history.png"], {"best": 0.5}
    asked = {"sampler": "TPE"}
    study = Summary(
        kind="study",
        id="study-small-12",
        group="small",
        folder=results,
        config=asked,
        tables=lambda: {"trials": trials_table(trials)},
        plots=plots,
        summary=found,
    )
    track_summary(study, OFFLINE)
    [folder] = offline_folders(results)
    run = read_run(folder)
    assert (run.id, run.name, run.group) == ("study-small-12", "study small", "small")
    assert (run.config["sampler"], run.summary["best"]) == ("TPE", 0.5)
    [logged] = [point for point in run.points if "study/trials" in point]
    assert "study/history" in logged
    assert [row["mAP50"] for row in table_in(folder, logged["study/trials"])] == ["0.5", "None"]
