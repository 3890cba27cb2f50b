"""Experiments whose training split is divided into folds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Bench, variant

from benchmark.run.plan import Request, make_plan

FOLDS = 3


@pytest.fixture
def bench(tmp_path: Path, synthetic_data: Path) -> Bench:
    experiment = variant(tmp_path, lambda content: content.update(folds=FOLDS))
    return Bench(synthetic_data, tmp_path / "results", experiment)


def test_a_plan_has_a_run_for_each_row_seed_and_fold(bench: Bench) -> None:
    done = bench.here("plan", "--seeds", "0,1")
    assert done.returncode == 0, done.stderr
    assert f"{2 * 2 * FOLDS} of {2 * 2 * FOLDS} runs are missing" in done.stdout
    for seed in (0, 1):
        for fold in range(FOLDS):
            assert f"plain-s{seed}-f{fold}-tiny-" in done.stdout


def test_the_folds_divide_the_training_images(bench: Bench) -> None:
    plan = make_plan(Request(bench.experiment, bench.results, data_root=bench.data))
    whole = json.loads((bench.data / "train.json").read_text())
    every = {image["id"] for image in whole["images"]}
    held: list[int] = []
    for dataset in plan.dataset.folds:
        train, val = (json.loads(s.annotations.read_text()) for s in (dataset.train, dataset.val))
        ids = [{image["id"] for image in split["images"]} for split in (train, val)]
        assert ids[0] | ids[1] == every and not ids[0] & ids[1]
        assert {a["image_id"] for a in val["annotations"]} <= ids[1]
        assert len(train["annotations"]) + len(val["annotations"]) == len(whole["annotations"])
        assert train["categories"] == val["categories"] == whole["categories"]
        held += ids[1]
    assert sorted(held) == sorted(every)
