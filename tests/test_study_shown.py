"""What is said of a study while it runs: each trial's parameters, and a pruner that has too few trials."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import TINY
from rich.console import Console

from benchmark.leaderboard.select import seeds_of_board
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.state import Planned
from benchmark.sweep.progress import SweepProgress
from benchmark.sweep.watchers import LineWatcher, LiveWatcher
from benchmark.tuning.pruning import pruner_hint
from benchmark.tuning.study_file import StudyFile


@pytest.fixture(scope="module")
def run(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Planned:
    results = tmp_path_factory.mktemp("shown") / "results"
    return make_plan(Request(TINY, results, data_root=synthetic_data)).runs[0]


def trial(run: Planned, number: int, **params: object) -> Planned:
    named = {name.replace("__", "."): value for name, value in params.items()}
    return replace(run, spec=replace(run.spec, trial=number, params=named))


def test_live_table_shows_each_trial_s_parameters(run: Planned) -> None:
    text = io.StringIO()
    console = Console(file=text, width=120, height=20, force_terminal=True)
    with LiveWatcher(console, SweepProgress(2)) as watcher:
        watcher.started(trial(run, 0, optim_wrapper__optimizer__lr=0.02, backbone="r[50]"))
        watcher.started(trial(run, 1, a__lr=1 / 3, b__lr=True))
        watcher.tick()
    shown = text.getvalue()
    assert "parameters" in shown
    assert "backbone=r[50], lr=0.02" in shown
    assert "a.lr=0.3333, b.lr=true" in shown  # two that end in the same are told in full


def test_the_last_trials_are_in_sight_where_parameters_fold(run: Planned) -> None:
    text = io.StringIO()
    console = Console(file=text, width=80, height=24, force_terminal=True)
    params = {"focal_gamma": 1.5, "lr": 0.0004371, "octave_base_scale": 5.5, "warmup": 30}
    with LiveWatcher(console, SweepProgress(16)) as watcher:
        for number in range(16):
            watcher.started(trial(run, number, **params, weight_decay=number / 1000))
        watcher.tick()
    shown = text.getvalue().rpartition("parameters")[2]
    assert "trial 15 " in shown and "focal_gamma=1.5" in shown
    assert "trial 5 " not in shown
    assert len(shown.splitlines()) < 24


def test_table_of_a_sweep_has_no_such_column(run: Planned) -> None:
    text = io.StringIO()
    console = Console(file=text, width=120, height=20, force_terminal=True)
    with LiveWatcher(console, SweepProgress(1)) as watcher:
        watcher.started(run)
        watcher.tick()
    assert "parameters" not in text.getvalue()


def test_line_of_a_start_shows_them(run: Planned) -> None:
    text = io.StringIO()
    watcher = LineWatcher(Console(file=text, width=80), SweepProgress(2))
    watcher.started(trial(run, 3, lr=0.02, way="a\x1b[31m"))
    watcher.started(run)
    first, second = text.getvalue().splitlines()
    assert first.endswith(f"trial 3 {run.spec.run_id}: started with lr=0.02, way=a\\x1b[31m")
    assert second.endswith(f"{run.spec.run_id}: started")


def study_file(pruner: object, **content: Any) -> StudyFile:
    search = {"lr": {"type": "float", "low": 0, "high": 1}}
    whole = {"name": "small_tpe", "experiment": Path("e.yaml"), "row": "plain", "n_trials": 4}
    made = {**whole, "search": search, "pruner": pruner, "path": Path("s.yaml"), **content}
    return StudyFile.model_validate(made)


PATIENT = {
    "type": "PatientPruner",
    "patience": 2,
    "wrapped_pruner": {"type": "MedianPruner", "n_startup_trials": 3},
}


@pytest.mark.parametrize(
    ("pruner", "trials", "validations", "words"),
    [
        ("MedianPruner", 5, 8, "prune none of 5 trials of 8 validations each: ask for at least 6"),
        ("MedianPruner", 6, 8, ""),
        ({"type": "MedianPruner", "n_startup_trials": 2, "n_warmup_steps": 5}, 4, 8, ""),
        ({"type": "MedianPruner", "n_warmup_steps": 8}, 40, 8, "none of 40 trials of 8 validations each: lower"),
        ({"type": "PercentilePruner", "percentile": 25.0}, 4, 8, "n_startup_trials"),
        (PATIENT, 3, 8, "patience"),
        (PATIENT, 4, 8, ""),
        ({"type": "SuccessiveHalvingPruner", "min_resource": 20}, 9, 8, "lower what it waits for (min_resource"),
        (None, 2, 12, "hint: SuccessiveHalvingPruner can prune none of 2 trials"),
        (None, 16, 12, ""),
        (None, 1000, 90, ""),
        ("MedianPruner", 9, 1, "validated once, at their end: MedianPruner has nothing to prune"),
        ({"type": "ThresholdPruner", "lower": 0.1}, 2, 8, ""),  # it looks at each trial alone
        ("NopPruner", 2, 8, ""),
        ("MedianPruner", 1, 8, ""),  # the row's own setting is not pruned
    ],
)  # fmt: skip
def test_hint_where_a_pruner_has_too_few_trials(
    pruner: object, trials: int, validations: int, words: str
) -> None:
    hint = pruner_hint(study_file(pruner), validations, trials)
    assert bool(hint) == bool(words), hint
    assert words in hint


def test_no_hint_where_nothing_is_pruned_at_all() -> None:
    assert pruner_hint(study_file(None, objective=["mAP50", "latency"]), 8, 2) == ""


def test_seeds_of_the_leaderboard_are_those_that_were_started(
    synthetic_data: Path, tmp_path: Path
) -> None:
    request = Request(TINY, tmp_path / "results", data_root=synthetic_data)
    plan = make_plan(request)
    assert seeds_of_board(plan, request) == (0,)
    for run in make_plan(replace(request, seeds=(7, 5), rows=("plain",))).runs:
        prepare(run)
    other = replace(request, seeds=(9,), overrides={"optim_wrapper.optimizer.lr": 0.5})
    prepare(make_plan(other).runs[0])  # a trial with --set is not on the leaderboard
    assert seeds_of_board(plan, request) == (0, 5, 7)
