"""A results folder that version 0.1 wrote gives the same table, under the same run ids."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command import TINY, here

from benchmark.leaderboard.kept import read_leaderboard

RECORDED = Path(__file__).parent / "recorded" / "v0_1"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Four runs: two seeds of one row, one of the other, and one that diverged under ``--set``."""
    folder = tmp_path / "results"
    shutil.copytree(RECORDED, folder)
    return folder


def test_the_table_is_the_same_to_the_last_digit(results: Path) -> None:
    for name in ("tiny.csv", "tiny.md"):
        (results / name).unlink()
    done = here(["report", str(TINY), "--results", str(results)])
    assert done.returncode == 0, done.stderr
    assert (results / "tiny.csv").read_bytes() == (RECORDED / "tiny.csv").read_bytes()
    # One row has one complete seed: version 0.1 claimed seeds for its interval, too.
    claimed, true = b"over images and seeds", b"over images, and over seeds where a row has several"
    page = (RECORDED / "tiny.md").read_bytes().replace(claimed, true)
    assert (results / "tiny.md").read_bytes() == page
    assert "stale" not in done.stdout


def test_the_failed_run_is_read_with_its_kind_and_cause(results: Path) -> None:
    changed = ("--set", "optim_wrapper.optimizer.lr=1.0e+9")
    done = here(["report", str(TINY), "--results", str(results), *changed])
    assert done.returncode == 0, done.stderr
    text = (results / "tiny.md").read_text(encoding="utf-8")
    cause = "diverged: Diverged: loss is nan at iteration 2"
    log = "runs/momentum-s2-tiny-eb165a86/log.txt"
    assert f"- momentum, seed 2: {cause} ([log]({log}))" in text


def test_its_leaderboard_is_read_where_the_runs_are_gone(results: Path) -> None:
    shutil.rmtree(results / "runs")
    board = read_leaderboard(results / "tiny.json")
    kept = json.loads((RECORDED / "tiny.json").read_text(encoding="utf-8"))
    ids = {run["run_id"] for row in kept["rows"] for run in row["runs"]}
    assert {run.run_id for line in board.rows for run in line.runs} == ids
    assert [line.values["map50"] for line in board.rows] == [
        row["values"]["map50"] for row in kept["rows"]
    ]
    # Run ids are computed again from the experiment: none of them has changed.
    done = here(["report", str(TINY), "--results", str(results), "--check"])
    assert "was made with another config" not in done.stdout
