"""Complete runs without a number: none is written, and one of an earlier version is shown as what it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from boards import draws, make_record, make_row, on_disk, result, write_draws
from desk import Desk, make_desk

from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.run.folder import RunFolder

NO_OBJECT = {"mAP50": None, "mAP": None, "per_class": {"Paper": {"mAP50": None, "mAP": None}}}
CASES = [
    ({}, "no mAP50: the record holds no validation"),
    (NO_OBJECT, "no mAP50: the 50 validation images that were evaluated hold no object to find"),
]


@pytest.mark.parametrize(("metrics", "told"), CASES)
def test_no_record_of_a_complete_run_is_written_without_a_score(
    metrics: dict[str, Any], told: str, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(UserError, match=told):
        folder.write_record(make_record("plain", metrics=metrics))
    assert not folder.record_file.exists()
    folder.write_record(
        make_record("plain", metrics=metrics, no_predictions=not metrics, **_end(metrics))
    )
    assert folder.finished


def _end(metrics: dict[str, Any]) -> dict[str, Any]:
    """A run that predicts nothing scores 0, and one that failed need not have a score."""
    return {"state": "failed"} if metrics else {}


@pytest.fixture(scope="module", params=CASES, ids=["nothing", "no object"])
def desk(
    request: pytest.FixtureRequest, synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Desk, str]:
    """Every row is complete; the first has a record without a score, as version 0.1 wrote them."""
    metrics, told = request.param
    made = make_desk(tmp_path_factory.mktemp("scoreless") / "desk", synthetic_data)
    (folder,) = made.results.glob("runs/plain-s0*")
    content = json.loads((folder / "record.json").read_text())
    write_json(folder / "record.json", {**content, "metrics": metrics})
    assert made.report()[0] == 0
    return made, told


def test_a_record_without_a_score_is_shown_as_what_it_is(desk: tuple[Desk, str]) -> None:
    made, told = desk
    board = json.loads((made.results / "tiny.json").read_text(), parse_constant=pytest.fail)
    line = next(line for line in board["rows"] if line["row"] == "plain")
    assert line["values"]["status"] == "complete, no mAP50"
    for key in ("map50", "map50_low", "map50_high", "rank_first", "difference"):
        assert line["values"][key] is None, key
    assert line["missing"]["map50"] == line["missing"]["map50_low"] == told
    assert line["runs"][0]["map50"] is None


def test_no_output_holds_nan(desk: tuple[Desk, str]) -> None:
    made, _ = desk
    for name in ("tiny.md", "tiny.csv", "tiny.json"):
        text = (made.results / name).read_text()
        assert not re.search(r"\bnan\b", text, re.IGNORECASE), name
    page = (made.results / "tiny.html").read_text()
    (data,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    json.loads(data, parse_constant=pytest.fail)
    assert "nan" not in made.report()[1].lower().split()


def test_seeds_with_a_score_stand_for_the_row_and_the_other_is_named(tmp_path: Path) -> None:
    from benchmark.leaderboard.judge import judged

    records = [make_record("plain", 0, 0.4), make_record("plain", 1, metrics={})]
    for record in records:
        write_draws(tmp_path, on_disk(tmp_path, record), draws(0.4, 0.01))
    (row,), _ = judged([result(make_row("plain"), *records)], tmp_path)
    assert row.map50 == 0.4
    assert row.interval is None
    assert row.unpaired == CASES[0][1]
    assert row.status == "complete, no mAP50 in 1 of 2"
