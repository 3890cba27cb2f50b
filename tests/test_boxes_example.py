"""The example of boxes from anywhere: its program of another kind, and the experiment that takes its file."""

from __future__ import annotations

import runpy
from pathlib import Path

from command import LEADERBOARD, here, variant

from benchmark.experiment.experiment import load_experiment

EXAMPLE = LEADERBOARD.with_name("boxes.yaml")
FOREST = EXAMPLE.with_suffix("") / "forest.py"


def test_what_the_program_writes_is_a_row(tmp_path: Path, synthetic_data: Path) -> None:
    """On other images of the same kind than those that its file beside it is of."""
    program = runpy.run_path(str(FOREST))
    program["main"](synthetic_data, tmp_path / "forest.csv")
    lines = (tmp_path / "forest.csv").read_text().splitlines()
    assert lines[0] == "PredictionString,image_id" and len(lines) == 1 + 12
    assert sum(len(line.split()) > 6 for line in lines) > 6

    path = variant(tmp_path, lambda c: c.update(rows=[{"name": "f", "predictions": "forest.csv"}]))
    at = ("--data-root", str(synthetic_data), "--results", str(tmp_path / "results"))
    done = here(["plan", str(path), *at])
    assert done.returncode == 0 and "1 of 1 runs are missing" in done.stdout, done.stderr


def test_it_has_a_row_of_each_kind_and_all_are_fused() -> None:
    rows = {row.name: row for row in load_experiment(EXAMPLE).rows}
    kinds = {row.labels["Boxes"] for row in rows.values()}
    assert kinds == {"trained", "given", "augmented", "fused"}
    assert set(rows["fused"].recipe.source_rows) < set(rows)
