"""A journal with damaged lines: the good ones count, and the bad ones are said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from damage import WRONG, paths, with_value, without

from benchmark.leaderboard.curves import _points
from benchmark.run.journal import Journal, Tail, damages
from benchmark.run.validations import best_of, chosen, validations_of
from benchmark.sweep.progress import RunProgress, show_eta, show_value

START = {
    "kind": "start",
    "iter": 0,
    "max_iters": 24,
    "time": "2026-11-22T23:46:28+00:00",
    "elapsed_s": 0.0,
}
TRAIN = {
    "kind": "train",
    "iter": 6,
    "epoch": 1.0,
    "lr": 0.02,
    "loss": 2.13,
    "memory_mib": 647,
    "elapsed_s": 0.6,
}
VAL = {
    "kind": "val",
    "iter": 6,
    "epoch": 1.0,
    "mAP50": 0.25,
    "mAP": 0.2,
    "mAP_l": None,
    "per_class": {"Metal": {"mAP50": 0.25, "mAP": None}},
    "no_predictions": False,
    "elapsed_s": 0.9,
}
LATER = {**VAL, "iter": 12, "epoch": 2.0, "mAP50": 0.5, "elapsed_s": 1.9}


def lines_of(*points: dict[str, Any] | str) -> str:
    return "".join(f"{p if isinstance(p, str) else json.dumps(p)}\n" for p in points)


def read_all(path: Path) -> None:
    """Everything that reads a journal: a job, a sweep that watches one, a report."""
    progress = RunProgress(Tail(path))
    progress.update()
    show_eta(progress.eta_s), show_value(progress.mAP50)
    points = Journal(path).validations()
    best_of(points), chosen(points, "best"), validations_of(points, "best")
    _points(path)


def test_every_field_with_every_wrong_type_costs_its_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    said = 0
    for point in (START, TRAIN, VAL):
        damaged = [
            with_value(point, where, value) for where in paths(point) for value in WRONG.values()
        ]
        damaged += [without(point, where) for where in paths(point)]
        for line in damaged:
            path.write_text(lines_of(START, line, LATER))
            read_all(path)
            assert Journal(path).last_validation() == LATER
            said += "line 2 (" in damages(path)
    assert said > 150


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("\0" * 300, "null"),
        (json.dumps(VAL)[:40], "EOF"),
        (json.dumps(VAL)[:40] + json.dumps(LATER), "key must be a string"),
        ('{"iter": 3}', "kind: is missing"),
        ("[1]", "the whole: must be a mapping"),
        ("\udcff{}".encode("utf-8", "surrogateescape").decode("latin-1"), "expected"),
    ],
)
def test_a_job_that_goes_on_counts_the_good_lines_and_says_the_bad(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: str, why: str
) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines_of(START, VAL, bad, LATER) + '{"kind": "tra')
    assert [point["iter"] for point in Journal(path).validations()] == [6, 12]
    journal = Journal(path)
    journal.start(12, 24)
    said = capsys.readouterr().out
    assert f"{path}: damaged, and left out: line 3 (" in said and why in said
    assert journal.elapsed_s >= 1.9
    assert (journal.validations(), damages(path)) == ([VAL, LATER], "")


def test_what_stands_behind_null_characters_counts(tmp_path: Path) -> None:
    """A file system that was cut from power fills up with them; the next attempt appended to the line."""
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines_of(START, "\0" * 50 + json.dumps(VAL)))
    assert Journal(path).last_validation() == VAL
