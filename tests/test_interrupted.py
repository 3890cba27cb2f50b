"""A run that was asked to end is interrupted, and says where; one that was killed is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from boards import make_row, result
from desk import Desk, make_desk

from benchmark.files import append_jsonl, json_line
from benchmark.run.folder import RunFolder
from benchmark.run.plan import Request, make_plan
from benchmark.run.reached import status_of
from benchmark.run.record import State

START = {"kind": "start", "iter": 0, "max_iters": 24, "time": "2026-01-01T00:00:00+00:00"}
MIDDLE = [START, {"kind": "train", "iter": 9, "epoch": 1.5}]
END_OF_EPOCH = [*MIDDLE, {"kind": "val", "iter": 12, "epoch": 2.0}]


@pytest.fixture
def desk(synthetic_data: Path, tmp_path: Path) -> Desk:
    """The row ``plain`` was started and has no record."""
    made = make_desk(tmp_path / "project", synthetic_data)
    folder = run_folder(made)
    folder.record_file.unlink()
    folder.job_file.write_text("{}")
    return made


def run_folder(desk: Desk) -> RunFolder:
    (path,) = desk.results.glob("runs/plain-s*")
    return RunFolder(path)


def status(desk: Desk) -> str:
    request = Request(desk.experiment, desk.results, data_root=desk.data, rows=("plain",))
    (run,) = make_plan(request).runs
    return status_of(run)


CASES = [
    ('{"state": "interrupted"}', MIDDLE, "interrupted, epoch 2 of 4"),
    ("", [START], "interrupted, epoch 1 of 4"),
    ("by hand", [], "interrupted"),
    ('{"state": "pruned"}', MIDDLE, "lost"),  # it was killed before it could say so
    (None, MIDDLE, "lost"),
    ('{"state": "interrupted"}', END_OF_EPOCH, "interrupted, epoch 2 of 4"),
]


def test_a_run_says_where_it_was_interrupted(desk: Desk) -> None:
    folder = run_folder(desk)
    for stop, points, shown in CASES:
        folder.metrics_file.write_text("".join(map(json_line, points)))
        folder.stop_file.unlink(missing_ok=True)
        if stop is not None:
            folder.stop_file.write_text(stop)
        assert status(desk) == shown
    assert desk.report()[0] == 0
    assert f"| {CASES[-1][2]} |" in (desk.results / "tiny.md").read_text()


def test_a_schedule_that_counts_iterations_says_these(desk: Desk) -> None:
    def by_iteration(content: dict[str, object]) -> None:
        rows = content["rows"]
        assert isinstance(rows, list)
        loop = {"type": "IterBasedTrainLoop", "max_iters": 24, "val_interval": 12}
        rows[0]["set"] = {"train_cfg": {"_delete_": True, **loop}}

    desk.change(by_iteration)
    desk.run_all()
    newest = max(desk.results.glob("runs/plain-s*"), key=lambda path: path.stat().st_mtime_ns)
    folder = RunFolder(newest)
    folder.record_file.unlink()
    folder.job_file.write_text("{}")
    folder.stop_file.touch()
    for point in MIDDLE:
        append_jsonl(folder.metrics_file, point)
    assert status(desk) == "interrupted, iteration 9 of 24"


def test_the_first_interrupted_seed_speaks_for_a_row() -> None:
    row = result(make_row(), State.WAITING, State.INTERRUPTED, State.INTERRUPTED)
    said = replace(row, reached=("", "epoch 2 of 4", "epoch 3 of 4"))
    assert (row.status, said.status) == ("interrupted", "interrupted, epoch 2 of 4")
    assert result(make_row(), State.INTERRUPTED, State.LOST).status == "lost"
