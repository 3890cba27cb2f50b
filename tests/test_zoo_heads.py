"""One small config of each kind of head, from a user's file to a number in the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from command import Bench

EXPERIMENT = Path(__file__).parent / "zoo" / "zoo.yaml"
ROWS = [row["name"] for row in yaml.safe_load(EXPERIMENT.read_text())["rows"]]


@pytest.mark.slow
@pytest.mark.trains
def test_every_kind_of_head_comes_to_a_number(synthetic_data: Path, tmp_path: Path) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", EXPERIMENT)
    done = bench.here("sweep", "--slots", "2", "--wandb", "off")
    assert done.returncode == 0, done.stdout + done.stderr
    table = (bench.results / "zoo.md").read_text()
    for row in ROWS:
        record = bench.record(row)
        assert record["state"] == "complete"
        assert 0 <= record["metrics"]["mAP50"] <= 1
        assert not record["no_predictions"]
        assert row in table
    for path in bench.results.glob("runs/*/spec.json"):
        changes = json.loads(path.read_text())["changes"]
        assert any(line.endswith("bbox_head.num_classes: 80 -> 10") for line in changes), changes
