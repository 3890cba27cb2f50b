"""What every output says of the validation that its numbers are of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from boards import make_board, make_record, make_row, result, write_report

import benchmark
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.kept import read_leaderboard
from benchmark.leaderboard.outputs.plots.plots import _frame
from benchmark.leaderboard.outputs.terminal import notes
from benchmark.run.record import RunRecord

BEST = {"best_iter": 42, "best_epoch": 7.0, "best_mAP50": 0.4123}
LAST = {"select": "last", "count": 12, "iter": 72, "epoch": 12.0, **BEST}
CHOSEN = {**LAST, "select": "best", "iter": 42, "epoch": 7.0}
WORDS = "best of 12 validations: 0.4123 at epoch 7; the table shows the last"
TOO_HIGH = "chosen on the very images that it is reported on: too high"


def _record(row: str, map50: float, said: dict[str, Any] | None) -> RunRecord:
    return make_record(row, map50=map50, **({"validations": said} if said else {}))


def _board(**ends: tuple[float, dict[str, Any] | None]) -> Leaderboard:
    return make_board(*(result(make_row(row), _record(row, *end)) for row, end in ends.items()))


def _written(board: Leaderboard, folder: Path) -> dict[str, str]:
    """The text of every file that is written, by its suffix."""
    (folder / "README.md").write_text("<!-- detboard:board:begin -->\n<!-- detboard:board:end -->")
    write_report(board, folder / "results", {}, folder / "README.md")
    files = [*(folder / "results").glob("board.*"), folder / "README.md"]
    return {path.name.removeprefix("board."): path.read_text(encoding="utf-8") for path in files}


def test_an_earlier_validation_that_was_better_is_told(tmp_path: Path) -> None:
    board = _board(r50=(0.39, LAST), r18=(0.4123, {**LAST, "best_iter": 72, "best_epoch": 12.0}))
    files = _written(board, tmp_path)
    assert f"- r50, seed 0: {WORDS}\n" in files["md"]
    assert "- r18, seed 0" not in files["md"]
    counted = "1 run was better at an earlier validation than at the last, which the table shows"
    assert counted in files["README.md"]
    assert notes(board) == [f"note: {counted}", f"  r50, seed 0: {WORDS}"]
    frame = pd.read_csv(tmp_path / "results" / "board.csv")
    assert frame["best_map50"].tolist() == [0.4123, 0.4123]
    assert frame["validation"].tolist() == ["last", "last"]
    (run,) = json.loads(files["json"])["rows"][0]["runs"]
    assert run["validations"] == {
        **{key: value for key, value in LAST.items() if key != "best_mAP50"},
        "best_map50": 0.4123,
        "words": WORDS,
    }
    assert WORDS in files["html"]
    assert TOO_HIGH not in "".join(files.values())
    assert read_leaderboard(tmp_path / "results" / "board.json") == board
    assert benchmark.results(tmp_path / "results")["best_map50"].tolist() == [0.4123, 0.4123]


def test_chosen_numbers_are_said_to_be_too_high_everywhere(tmp_path: Path) -> None:
    board = _board(r50=(0.4123, CHOSEN))
    files = _written(board, tmp_path)
    for name in ("md", "json", "html", "README.md"):
        assert TOO_HIGH in files[name], name
    assert "chosen on the images reported on" in files["csv"]
    (note,) = notes(board)
    assert note.endswith(TOO_HIGH)
    assert TOO_HIGH in _frame(board, "mAP50", "").caveat
    (run,) = board.rows[0].runs
    assert run.validations is not None
    assert run.validations.words == "the table shows the best of 12 validations, at epoch 7"


@pytest.mark.parametrize(
    ("changed", "at"),
    [
        ({"best_epoch": 0.3333}, "at iteration 42"),
        ({"best_epoch": 7.0}, "at epoch 7"),
    ],
)
def test_best_validation_is_named_by_what_the_loop_counts(changed: dict[str, Any], at: str) -> None:
    board = _board(r50=(0.39, {**LAST, **changed}))
    (sentence,) = board.earlier_better
    assert f"0.4123 {at};" in sentence


def test_records_of_before_say_nothing_and_change_nothing(tmp_path: Path) -> None:
    board = _board(r50=(0.39, None))
    files = _written(board, tmp_path)
    assert "best_map50" not in files["csv"]
    assert "validation" not in json.loads(files["json"])["rows"][0]["runs"][0]
    assert "selection" not in json.loads(files["json"])
    assert notes(board) == []


def test_many_are_listed_in_part_on_a_terminal() -> None:
    board = _board(**{f"r{number}": (0.39, LAST) for number in range(12)})
    told = notes(board)
    assert told[0].startswith("note: 12 runs were better at an earlier validation")
    assert told[-1] == "  and 3 more, in the Markdown file"
    assert len(told) == 11
