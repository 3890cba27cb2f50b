"""A study that begins with what an earlier one has found: with which trials, and that they never become its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from command import Bench, study
from optuna.trial import FrozenTrial, TrialState, create_trial
from studies import trials

from benchmark.run.plan import Request
from benchmark.tuning.informed import InformedSampler, aligned
from benchmark.tuning.prior import WARM
from benchmark.tuning.study import Study, read_study
from benchmark.tuning.study_run import open_store
from benchmark.tuning.warm import inform

RATE = {"type": "float", "low": 0.001, "high": 0.1, "log": True}
DECAY = {"path": "optim_wrapper.optimizer.weight_decay", "type": "float", "low": 0.0, "high": 0.1}
SEARCH = {"lr": RATE, "decay": DECAY}


def bench_of(data: Path, folder: Path, **content: Any) -> Bench:
    """A study over the tiny row; its results are in ``folder/results``."""
    folder.mkdir(exist_ok=True)
    return Bench(data, folder / "results", study(folder, **{"search": SEARCH, **content}))


def opened(bench: Bench, *more: str) -> Any:
    """Opens the study as `tune` does, and runs nothing."""
    return bench.here("tune", "--trials", "0", "--wandb", "off", *more)


def storage_of(bench: Bench) -> str:
    return f"sqlite:///{bench.results / 'studies.db'}"


@pytest.fixture(name="before", scope="module")
def fixture_before(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A study called ``before`` with made-up trials: the lower the rate, the better. Tests only read it."""
    bench = bench_of(synthetic_data, tmp_path_factory.mktemp("warm") / "before", name="before")
    assert opened(bench).returncode == 0
    made = optuna.load_study(study_name="before", storage=storage_of(bench))
    made.sampler = optuna.samplers.RandomSampler(seed=1)
    for number in range(14):
        trial = made.ask()
        rate = trial.suggest_float("lr", 0.001, 0.1, log=True)
        trial.suggest_float("decay", 0.0, 0.1)
        trial.report(0.3, 1)
        state = {3: TrialState.FAIL, 5: TrialState.PRUNED}.get(number, TrialState.COMPLETE)
        made.tell(trial, 0.6 - rate if state is TrialState.COMPLETE else None, state)
    return bench


def beside(before: Bench, folder: Path, **content: Any) -> Bench:
    """A study of another results folder that begins with ``before``."""
    place = f"{before.results}#before"
    asked = {"name": "after", "warm_start": place, "n_trials": 9, "sampler": "TPESampler"}
    return bench_of(before.data, folder, **{**asked, **content})


def complete(bench: Bench, name: str) -> list[FrozenTrial]:
    found = [trial for trial in trials(bench, name) if trial.state is TrialState.COMPLETE]
    return sorted(found, key=lambda trial: -trial.value)


def study_of(bench: Bench) -> Study:
    return read_study(Request(bench.experiment, bench.results, data_root=bench.data))


def drawn(bench: Bench) -> list[dict[str, Any]]:
    """The parameters of five more trials, as the driver draws them, each told as complete; the study goes on."""
    made = study_of(bench)
    store = open_store(made, None)
    inform(store.study, made.space)
    found = []
    for number in range(5):
        trial = store.next_trial(100)
        found.append(made.space.suggest(trial))
        store.tell(trial, TrialState.COMPLETE, [0.1 + 0.01 * number], {})
    store.close()
    return found


@pytest.mark.slow
def test_the_best_are_tried_after_the_row_s_own_and_none_becomes_a_trial(
    before: Bench, tmp_path: Path
) -> None:
    bench = beside(before, tmp_path / "after")
    done = opened(bench)
    assert done.returncode == 0, done.stderr
    known = "12 complete trials of study 'before' in "
    assert f"warm start: {known}" in done.stdout, done.stdout
    assert "the best 3 are tried first, the sampler knows all" in done.stdout
    asked = trials(bench, "after")
    best = [trial for trial in complete(before, "before") if trial.number != 0][:3]
    assert [trial.state for trial in asked] == [TrialState.WAITING] * 4
    fixed = [trial.system_attrs["fixed_params"] for trial in asked]
    assert fixed[1:] == [trial.params for trial in best]
    assert [trial.user_attrs.get(WARM) for trial in asked] == [None, *(t.number for t in best)]
    summary = (bench.results / "studies/after/summary.md").read_text()
    assert f"- Warm start: {known}" in summary.replace("\\", "")
    for number, trial in enumerate(best, 1):  # in the table, so that a reader can look at them
        assert (
            f"|     {number} | waiting, setting of the warm start's trial {trial.number} "
            in summary
        )


@pytest.mark.slow
def test_a_resume_draws_the_same_when_the_other_study_is_gone(
    before: Bench, tmp_path: Path
) -> None:
    bench, copy = (beside(before, tmp_path / name) for name in ("after", "copy"))
    assert opened(bench).returncode == 0
    there = drawn(copy)
    file = before.results / "studies.db"
    hidden = file.rename(file.with_name("hidden"))
    try:
        again = opened(bench)
        assert again.returncode == 0, again.stderr
        assert drawn(bench) == there
        refused = opened(beside(before, tmp_path / "late"))
    finally:
        hidden.rename(file)
    assert refused.returncode == 2
    assert f"warm_start: there is no {file}" in refused.stderr
    assert not (tmp_path / "late/results/studies.db").exists()
    made = optuna.load_study(study_name="after", storage=storage_of(bench))
    assert [trial.number for trial in made.get_trials()] == list(range(5))
    assert made.best_value == 0.1 + 0.01 * 4


@pytest.mark.slow
def test_what_the_sampler_draws_comes_of_what_it_knows(before: Bench, tmp_path: Path) -> None:
    """A study of five trials has TPE draw at random, unless it knows others."""
    warm = beside(before, tmp_path / "warm")
    rates = [params["lr"] for params in drawn(warm)]
    cold = bench_of(before.data, tmp_path / "cold", name="after", sampler="TPESampler")
    assert drawn(cold)[4]["lr"] != rates[4]
    assert rates[4] < 0.02  # where the earlier study's trials were good


@pytest.mark.slow
def test_what_lies_outside_is_left_out_and_said(before: Bench, tmp_path: Path) -> None:
    narrow = {**SEARCH, "lr": {**RATE, "low": 0.005}}
    bench = beside(before, tmp_path / "narrow", search=narrow)
    inside = [trial for trial in complete(before, "before") if trial.params["lr"] >= 0.005]
    done = opened(bench)
    out = 12 - len(inside)
    assert out and f"; {out} lie outside of what is searched here" in done.stdout, done.stdout
    fixed = [t.system_attrs["fixed_params"] for t in trials(bench, "after")[1:]]
    assert fixed == [trial.params for trial in inside if trial.number != 0][:3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {
                "search": {"lr": {"choices": [0.01, 0.02]}, "momentum": {
                    "path": "optim_wrapper.optimizer.momentum", "type": "float", "low": 0.5, "high": 0.95}},
                "objective": "mAP",
            },
            [
                "its objective is mAP50, here it is mAP",
                "it has no parameter 'momentum', which is searched here",
                "its parameter 'decay' is not searched here",
                "'lr': 'type' is 'float' there, 'categorical' here",
            ],
        ),
        ({"warm_start": "gone#before"}, ["warm_start: there is no "]),
        ({"warm_start": "after"}, ["warm_start: there is no "]),
        ({"warm_start": "mysql://u:secret@h/d#x"}, ["warm_start: "]),
        (
            {"warm_start": "postgresql://u:secret@127.0.0.1:1/d#x"},
            ["error: warm_start: postgresql://", "127.0.0.1:1/d: cannot be used: "],
        ),
        ({"warm_start": ""}, ["warm_start"]),
        (
            {"search": {**SEARCH, "lr": {**RATE, "low": 0.0199, "high": 0.0201}}, "sampler": "RandomSampler"},
            [],
        ),
    ],
)  # fmt: skip
def test_a_study_of_something_else_is_refused_before_anything_is_made(
    before: Bench, tmp_path: Path, content: Mapping[str, Any], words: list[str]
) -> None:
    bench = beside(before, tmp_path / "other", **content)
    refused = opened(bench)
    if not words:  # the row's own setting, which is in every range
        assert refused.returncode == 0, refused.stderr
        assert (
            "1 complete trial of study" in refused.stdout
            and "none is tried first" in refused.stdout
        )
        assert "the sampler does not learn from others" in refused.stdout
        return
    assert refused.returncode == 2, refused.stdout
    assert all(word in refused.stderr for word in words), refused.stderr
    assert "secret" not in refused.stderr
    assert not (bench.results / "studies.db").exists()


@pytest.mark.slow
def test_a_study_keeps_the_warm_start_that_it_was_made_with(before: Bench, tmp_path: Path) -> None:
    bench = bench_of(before.data, tmp_path / "cold", name="after", n_trials=2)
    assert opened(bench).returncode == 0
    itself = opened(bench_of(before.data, tmp_path / "cold", name="after", warm_start="after"))
    assert itself.returncode == 2
    assert "study 'after' was made for another warm start: after is new" in itself.stderr
    other = opened(bench_of(before.data, tmp_path / "cold", name="second", warm_start="third"))
    assert "has no study 'third'; " in other.stderr and "after" in other.stderr
    idle = opened(bench_of(before.data, tmp_path / "cold", name="second", warm_start="after"))
    assert "study 'after' has no complete trial that is of use: wait for one" in idle.stderr


def frozen(rate: float, *values: float) -> FrozenTrial:
    space = {"lr": optuna.distributions.FloatDistribution(0.0, 1.0)}
    return create_trial(params={"lr": rate}, distributions=space, values=list(values))


def test_values_of_another_row_count_by_their_order_alone() -> None:
    known = [frozen(0.1, 30.0), frozen(0.2, 10.0), frozen(0.3, 20.0), frozen(0.4, 20.0)]
    few = aligned(known, [frozen(0.5, 0.4)])
    assert [trial.values for trial in few] == [[30.0], [10.0], [20.0], [20.0]]
    own = [frozen(0.5, value) for value in (0.0, 0.1, 0.2, 0.3, 0.4)]
    moved = aligned(known, own)
    assert np.allclose([t.value for t in moved], [0.35, 0.05, 0.2, 0.2])
    assert [t.number for t in moved] == [-4, -3, -2, -1]
    assert [t.values for t in known] == [[30.0], [10.0], [20.0], [20.0]]


@pytest.mark.parametrize("pruner", [optuna.pruners.NopPruner(), optuna.pruners.HyperbandPruner()])
@pytest.mark.parametrize("kind", [optuna.samplers.TPESampler, optuna.samplers.GPSampler])
def test_a_sampler_sees_them_and_the_study_does_not(
    kind: Any, pruner: optuna.pruners.BasePruner
) -> None:
    """The best of the known trials are near 0.8: so is what is drawn, when the study has one trial of its own."""
    known = [frozen(rate / 20, -abs(rate / 20 - 0.8)) for rate in range(20)]
    made = optuna.create_study(
        direction="maximize", sampler=InformedSampler(kind(seed=0), known), pruner=pruner
    )
    for _ in range(2):
        trial = made.ask()
        rate = trial.suggest_float("lr", 0.0, 1.0)
        trial.report(0.0, 1)
        trial.should_prune()
        made.tell(trial, 0.0)
    assert abs(rate - 0.8) < 0.2
    assert len(made.get_trials()) == 2 and made.best_trial.number in (0, 1)
