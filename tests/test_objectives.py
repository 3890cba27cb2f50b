"""A score and a cost as the two objectives of a study: every cost that a measurement offers, from record to words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from records import latency, record
from test_strategies import file_of, opened, run
from test_study_summary import ABOUT, trial, two

from benchmark.errors import UserError
from benchmark.job.measure import objectives
from benchmark.tuning.findings.chapters import chapters
from benchmark.tuning.findings.findings import Findings, read_findings
from benchmark.tuning.findings.summary import trials_frame
from benchmark.tuning.findings.texts import axis_text, difference_text, scaled
from benchmark.tuning.open_trial import outcome
from benchmark.tuning.strategies import pruner_of, sampler_of


@dataclass(frozen=True)
class Cost:
    """A cost: its name, a record that has it and one that has not, its value, and how that is worded."""

    name: str
    measured: dict[str, Any]
    absent: dict[str, Any]
    value: float
    text: str
    less: str
    axis: str
    on_axis: float


COSTS = [
    Cost(
        name="latency",
        measured={"latency_ms": latency(7.5, 9.0)},
        absent={},
        value=7.5,
        text="7.50 ms",
        less="-1.50 ms",
        axis="latency (ms, lower is better)",
        on_axis=7.5,
    ),
    Cost(
        name="params",
        measured={"params": 36516542},
        absent={"params": None},
        value=36516542.0,
        text="36.52 M",
        less="-0.00 M",
        axis="parameters (millions, lower is better)",
        on_axis=36.516542,
    ),
]
every_cost = pytest.mark.parametrize("cost", COSTS, ids=lambda cost: cost.name)


def test_every_cost_is_in_the_table() -> None:
    assert [cost.name for cost in COSTS] == sorted(objectives())


def findings_of(cost: Cost) -> Findings:
    study = two()
    trial(study, [0.5, cost.value])
    about = replace(ABOUT, objectives=("mAP50", cost.name))
    return read_findings(study, about)


@every_cost
def test_record_has_the_values_of_both(cost: Cost) -> None:
    both = ["mAP", cost.name]
    expected = (TrialState.COMPLETE, [0.3, cost.value], "")
    assert outcome(record(**cost.measured), both) == expected
    missing = (TrialState.FAIL, None, f"the run has no value for {cost.name}")
    assert outcome(record(**cost.absent), both) == missing


@every_cost
def test_words_have_its_unit_and_the_table_is_exact(cost: Cost) -> None:
    found = findings_of(cost)
    assert cost.text in "\n".join(chapters(found))
    assert list(trials_frame(found)[cost.name]) == [cost.value]
    assert axis_text(cost.name, found.higher_better[1]) == cost.axis
    assert scaled(cost.name, cost.value) == cost.on_axis
    assert difference_text(cost.name, -1.5) == cost.less


@every_cost
def test_strategies_that_cannot_have_two_objectives_are_refused(cost: Cost) -> None:
    both = {"objective": ["mAP50", cost.name]}
    assert file_of(**both).directions == ["maximize", "minimize"]
    with pytest.raises(UserError, match="CmaEsSampler takes one objective"):
        sampler_of(file_of(sampler="CmaEsSampler", **both), None)
    with pytest.raises(UserError, match="cannot prune a study with two objectives"):
        pruner_of(file_of(pruner="MedianPruner", **both), 9)
    made, words = pruner_of(file_of(**both), 9)
    assert isinstance(made, optuna.pruners.NopPruner)
    assert "no trial is pruned" in words


@pytest.mark.slow
@pytest.mark.parametrize("name", ["TPESampler", "NSGAIISampler", "GPSampler", "RandomSampler"])
def test_sampler_draws_for_two_objectives(name: str, tmp_path: Path) -> None:
    file = file_of(sampler=name, objective=["mAP50", "params"])
    store, space = opened(tmp_path, file)
    run(store, space, 8)
    assert store.study.best_trials
    assert [direction.name for direction in store.study.directions] == ["MAXIMIZE", "MINIMIZE"]
