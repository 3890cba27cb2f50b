"""The miniature leaderboard: rows in the image of the published ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from command import LEADERBOARD

from benchmark.cli.all import MINIATURE_IMAGES
from benchmark.experiment.experiment import Experiment, Row, load_experiment
from benchmark.run.plan import Plan, Request, make_plan

MINIATURE = LEADERBOARD.with_name("miniature.yaml")
SHARED = ("Model", "Head")  # labels; what is narrower or shorter is called otherwise


@cache
def planned(path: Path, data: Path) -> Plan:
    return make_plan(Request(path, Path("nowhere"), data_root=data, seeds=(0,), needs_data=False))


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return load_experiment(MINIATURE)


@pytest.fixture(scope="module")
def configs(synthetic_data: Path) -> Mapping[str, Mapping[str, Any]]:
    """The composed config of each row of both leaderboards, by name."""
    plans = (planned(path, synthetic_data) for path in (MINIATURE, LEADERBOARD))
    return {run.spec.row: run.config for plan in plans for run in plan.runs}


def counterparts(experiment: Experiment) -> list[tuple[Row, Row]]:
    published = {row.name: row for row in load_experiment(LEADERBOARD).rows}
    return [(row, published[row.labels["Counterpart"]]) for row in experiment.rows[:9]]


def kinds(config: Mapping[str, Any]) -> dict[str, object]:
    """What a row is: the types of its parts, and how its training goes."""
    model, loader = config["model"], config["train_dataloader"]["dataset"]
    return {
        "detector": model["type"],
        # RegNet is ResNeXt's heir: bottlenecks of grouped convolutions. mmdet has no ResNeXt under 50 layers.
        "backbone": model["backbone"]["type"].replace("RegNet", "ResNeXt"),
        "neck": model["neck"]["type"],
        "head": model["bbox_head"]["type"],
        "loop": config["train_cfg"]["type"],
        "rate": [(step["type"], step["by_epoch"]) for step in config["param_scheduler"]],
        "repeated": loader.get("times", 1),
        "augmentation": [step["type"] for step in loader.get("dataset", loader)["pipeline"]],
    }


def test_every_published_row_has_its_counterpart_in_its_order(experiment: Experiment) -> None:
    published = load_experiment(LEADERBOARD).rows
    assert [row.labels.get("Counterpart") for row in experiment.rows[:9]] == [
        r.name for r in published
    ]
    assert not any("Counterpart" in row.labels for row in experiment.rows[9:])
    for row, whole in counterparts(experiment):
        assert {key: row.labels[key] for key in SHARED} == {
            key: whole.labels[key] for key in SHARED
        }
    # Published values are of other models and other data.
    assert all(row.published is None for row in experiment.rows)


def test_each_is_of_the_kinds_of_its_counterpart(
    experiment: Experiment, configs: Mapping[str, Mapping[str, Any]]
) -> None:
    for row, whole in counterparts(experiment):
        assert kinds(configs[row.name]) == kinds(configs[whole.name]), row.name


def test_no_row_fetches_or_freezes(
    configs: Mapping[str, Mapping[str, Any]], experiment: Experiment
) -> None:
    """All learn from random weights: nothing is fetched, and no backbone keeps statistics that it never learned."""
    for row in experiment.rows:
        backbone = configs[row.name]["model"]["backbone"]
        assert backbone.get("init_cfg") is None and backbone.get("frozen_stages", -1) < 1, row.name
        assert not backbone.get("norm_eval"), row.name
        assert configs[row.name].get("load_from") is None


def test_the_experiment_says_how_its_data_is_drawn() -> None:
    options = " ".join(f"--{name} {count}" for name, count in MINIATURE_IMAGES.items())
    (said,) = re.findall(r"detboard data synthesize data/miniature (.*)", MINIATURE.read_text())
    assert said == options
