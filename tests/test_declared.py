"""A score or a measurement is declared once: one more entry is found in everything that is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from command import TINY
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.experiment.experiment import Tracking
from benchmark.files import read_jsonl
from benchmark.job.job import run_job
from benchmark.job.measure import MEASUREMENTS, Measurement, Objective, Reading, number
from benchmark.job.measure.trained import Trained
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.record import Numbers, RunRecord
from benchmark.statistics.scores import SCORES, Score, at
from benchmark.tuning.open_trial import outcome
from benchmark.tuning.study_file import StudyFile

AR100 = Score("AR100", "AR at 100", "Recall over IoU.", "bbox_AR@100", at(8))
WEIGHT = Measurement(
    key="weight",
    function=f"{__name__}:weigh",
    readings=(
        Reading(
            key="weight_mib",
            title="Weight (MiB)",
            about="Memory of the parameters.",
            read=number("weight", "mib"),
            over=max,
            unit="MiB",
            text=lambda mib: f"{mib:.3f} heavy",
            objective=Objective("weight", "weight", "MiB", "MiB"),
        ),
    ),
)


def weigh(trained: Trained) -> Numbers:
    return {"mib": sum(p.numel() * p.element_size() for p in trained.model.parameters()) / 2**20}


@pytest.fixture(scope="module")
def results(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of one run, trained and reported with both declared."""
    folder = tmp_path_factory.mktemp("declared") / "results"
    request = Request(
        TINY,
        folder,
        data_root=synthetic_data,
        rows=("plain",),
        overrides={"train_cfg.max_epochs": 2},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCORES, AR100.key, AR100)
        patch.setitem(MEASUREMENTS, WEIGHT.key, WEIGHT)
        (run,) = make_plan(request).runs
        prepare(run)
        run_job(run.folder.path, JobOptions(Tracking(mode="off"), Resources(gpus=(), threads=1)))
        changed = ("--set", "train_cfg.max_epochs=2")
        done = CliRunner().invoke(app, ["report", str(TINY), "--results", str(folder), *changed])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def record(results: Path) -> RunRecord:
    (folder,) = results.glob("runs/*")
    return RunFolder(folder).read_record()


@pytest.mark.trains
def test_record_and_journal_hold_both(results: Path, record: RunRecord) -> None:
    recall = record.score("AR100")
    assert recall is not None and 0 < recall < 1
    assert (record.best or {})["AR100"] >= recall
    assert record.measured["weight"]["mib"] > 0.01
    (journal,) = results.glob("runs/*/metrics.jsonl")
    points = [point for point in read_jsonl(journal) if point["kind"] == "val"]
    assert points[-1]["AR100"] == recall


@pytest.mark.trains
def test_table_csv_and_json_hold_both(results: Path, record: RunRecord) -> None:
    recall, weight = record.score("AR100"), record.measured["weight"]["mib"]
    text = (results / "tiny.md").read_text()
    assert "AR at 100" in text and f"{recall:.4f}" in text
    assert "Weight (MiB)" in text and f"{weight:.3f} heavy" in text
    line = next(csv.DictReader((results / "tiny.csv").read_text().splitlines()))
    assert (float(line["ar100"]), float(line["weight_mib"])) == (recall, weight)
    board = json.loads((results / "tiny.json").read_text())
    assert board["rows"][0]["values"]["ar100"] == recall
    assert board["rows"][0]["values"]["weight_mib"] == weight
    about = {column["key"]: column for column in board["columns"]}
    assert (about["ar100"]["unit"], about["ar100"]["better"]) == ("fraction", "higher")
    assert (about["weight_mib"]["unit"], about["weight_mib"]["better"]) == ("MiB", "lower")


@pytest.mark.trains
def test_page_holds_both(results: Path) -> None:
    page = (results / "tiny.html").read_text()
    assert '"ar100"' in page and "AR at 100" in page
    assert '"weight_mib"' in page and "Weight (MiB)" in page


@pytest.mark.trains
def test_studies_take_both_as_objectives(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "name": "s",
        "experiment": "e.yaml",
        "row": "plain",
        "n_trials": 1,
        "search": {"lr": {"type": "float", "low": 0.1, "high": 0.2}},
        "path": "s.yaml",
        "objective": ["AR100", "weight"],
    }
    with pytest.raises(ValueError, match="allowed: one of mAP50"):
        StudyFile.model_validate(content)
    monkeypatch.setitem(SCORES, AR100.key, AR100)
    monkeypatch.setitem(MEASUREMENTS, WEIGHT.key, WEIGHT)
    file = StudyFile.model_validate(content)
    assert file.directions == ["maximize", "minimize"]
    assert not file.costs_time
    values = [record.score("AR100"), record.measured["weight"]["mib"]]
    assert outcome(record, file.objectives)[1] == values
