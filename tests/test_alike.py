"""Rows that their labels do not tell apart: every table for readers names them, and says in what they differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from boards import LABELS, PARTS
from desk import make_desk

from benchmark.experiment.experiment import Row
from benchmark.leaderboard.alike import differences

MOMENTUM = "optim_wrapper.optimizer.momentum"


def test_rows_that_differ_in_set_alone_are_told_apart(tmp_path: Path, synthetic_data: Path) -> None:
    desk = make_desk(tmp_path / "project", synthetic_data)
    desk.report()
    files = (desk.results / "tiny.md", desk.folder / "README.md")
    before = [path.read_text() for path in files]
    assert not any("Differs in" in text or MOMENTUM in text for text in before)

    def same_labels(content: dict[str, Any]) -> None:
        content["rows"][1]["labels"] = content["rows"][0]["labels"]

    desk.change(same_labels)
    status, output = desk.report()
    assert status == 0, output
    for path in files:
        lines = [line for line in path.read_text().splitlines() if line.startswith("| ")]
        head, _, plain, other = (
            [cell.strip() for cell in line.split("|")[1:-1]] for line in lines[:4]
        )
        place = head.index("Differs in")
        assert (head[0], plain[0], other[0]) == ("Row", "plain", "momentum")
        assert (plain[place], other[place]) == ("—", f"{MOMENTUM}=0.8")
    board = json.loads((desk.results / "tiny.json").read_text())
    assert board["rows"][1]["values"]["differs"] == f"{MOMENTUM}=0.8"
    assert "momentum=0.8" not in (desk.results / "tiny.csv").read_text(), "which has names"
    assert desk.report("--check")[0] == 0


def row(name: str, labels: dict[str, str] | None = None, **content: Any) -> Row:
    whole = {"name": name, "parts": PARTS, "labels": {**LABELS, **(labels or {})}, **content}
    return Row.model_validate(whole)


def test_what_is_common_is_left_out_and_so_are_rows_that_labels_tell_apart() -> None:
    both = {"a.b": 1}
    rows = [
        row("plain", set=both),
        row("lists", set={**both, "+x": [1, 2], "y!": "z"}),
        row("parts", parts={**PARTS, "head": "pisa"}, set=both, gpus=2),
        row("other", {"Model": "Mine"}, set={"c": 1}),
    ]
    common = "head=retina, gpus=1"
    assert differences(rows) == {
        "plain": common,
        "lists": f"x=[1, 2], y='z', {common}",
        "parts": "head=pisa, gpus=2",
    }
