"""Samplers and pruners by Optuna's names: each works on a real storage, and a resume draws nothing twice."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from benchmark.errors import UserError
from benchmark.tuning.database import storage_url
from benchmark.tuning.opening import open_study
from benchmark.tuning.search.space import Space
from benchmark.tuning.storage import Store, StudyKey
from benchmark.tuning.strategies import SAMPLERS, pruner_of, sampler_of, strategies_of
from benchmark.tuning.study_file import StudyFile

CONFIG = {"lr": 0.02, "depth": 4, "kind": "a"}
SEARCH: dict[str, Any] = {
    "lr": {"path": "lr", "type": "float", "low": 0.01, "high": 0.1, "step": 0.01},
    "depth": {"path": "depth", "type": "int", "low": 1, "high": 6},
    "kind": {"path": "kind", "choices": ["a", "b"]},
}


def file_of(**content: Any) -> StudyFile:
    whole = {"name": "s", "experiment": "e", "row": "r", "n_trials": 9, "path": "p"}
    return StudyFile.model_validate({**whole, "search": SEARCH, **content})


def opened(folder: Path, file: StudyFile, name: str = "s", owner: str = "a") -> tuple[Store, Space]:
    space = Space(file.search, CONFIG)
    key = StudyKey(name, file.directions, {}, space.published())
    made = strategies_of(file, space, validations=9)
    return open_study(storage_url(None, folder), key, owner, made), space


def run(store: Store, space: Space, target: int) -> list[dict[str, Any]]:
    """Trials up to ``target``; the value is highest near lr 0.05 and depth 3."""
    while (trial := store.next_trial(target)) is not None:
        params: dict[str, Any] = space.suggest(trial)
        value = -abs(params["lr"] - 0.05) - abs(params["depth"] - 3)
        values = [value] if len(store.study.directions) == 1 else [value, params["depth"]]
        store.tell(trial, TrialState.COMPLETE, values, {})
    return [trial.params for trial in store.study.get_trials()]


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_fills_a_study(name: str, tmp_path: Path) -> None:
    store, space = opened(tmp_path, file_of(sampler=name))
    found = run(store, space, 13)
    assert len(found) == 13
    assert found[0] == space.published()
    assert len({str(params) for params in found}) > 7
    for params in found:
        assert set(params) == set(SEARCH)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["RandomSampler", "TPESampler", "QMCSampler", "CmaEsSampler"])
def test_interrupted_study_draws_what_it_would_have_drawn(name: str, tmp_path: Path) -> None:
    file = file_of(sampler=name)
    whole = run(*opened(tmp_path, file), 12)
    for target in (3, 12):
        resumed = run(*opened(tmp_path / "again", file), target)
    assert resumed == whole


@pytest.mark.slow
def test_another_seed_draws_another_study(tmp_path: Path) -> None:
    first = run(*opened(tmp_path, file_of(sampler="RandomSampler")), 6)
    other = run(*opened(tmp_path / "other", file_of(sampler="RandomSampler", seed=1)), 6)
    assert first[0] == other[0]
    assert first[1:] != other[1:]


@pytest.mark.slow
def test_drivers_side_by_side_do_not_draw_the_same(tmp_path: Path) -> None:
    file = file_of(sampler={"type": "RandomSampler", "seed": 7})
    drivers = [opened(tmp_path, file, owner=owner) for owner in ("a", "b")]
    asked = [(store, space, store.next_trial(8)) for _ in range(4) for store, space in drivers]
    params = [str(space.suggest(trial)) for _, space, trial in asked]
    assert len(set(params)) == 8


def test_grid_ends_when_it_is_used_up(tmp_path: Path) -> None:
    search = {"depth": {"path": "depth", "type": "int", "low": 3, "high": 5}}
    store, space = opened(tmp_path, file_of(sampler="GridSampler", search=search))
    while (trial := store.next_trial(50)) is not None:
        space.suggest(trial)
        store.tell(trial, TrialState.COMPLETE, [0.0], {})
    found = [trial.params["depth"] for trial in store.study.get_trials()]
    assert found[0] == 4  # the row's own setting
    assert sorted(found[1:]) == [3, 4, 5]
    assert opened(tmp_path, file_of(sampler="GridSampler", search=search))[0].next_trial(50) is None


def test_conditional_parameters_are_visited_by_brute_force(tmp_path: Path) -> None:
    search = {
        "kind": SEARCH["kind"],
        "depth": {"path": "depth", "choices": [4, 5], "when": {"kind": "a"}},
    }
    with pytest.raises(UserError, match="BruteForceSampler"):
        opened(tmp_path, file_of(sampler="GridSampler", search=search))
    store, space = opened(tmp_path, file_of(sampler="BruteForceSampler", search=search))
    while (trial := store.next_trial(50)) is not None:
        space.suggest(trial)
        store.tell(trial, TrialState.COMPLETE, [0.0], {})
    found = {tuple(sorted(trial.params.items())) for trial in store.study.get_trials()}
    assert found == {(("depth", 4), ("kind", "a")), (("depth", 5), ("kind", "a")), (("kind", "b"),)}


@pytest.mark.slow
def test_hyperband_knows_its_resource_from_the_start(tmp_path: Path) -> None:
    """Optuna's own default prunes nothing before the first trial is complete."""
    store, space = opened(tmp_path, file_of(pruner="HyperbandPruner"))
    pruned = 0
    trials = [store.next_trial(24) for _ in range(24)]
    for trial in trials:
        space.suggest(trial)
        trial.report(1.0 / (1 + trial.number), 1)  # each worse than all before it
        pruned += trial.should_prune()
    assert pruned > 5


def test_words_say_what_is_used() -> None:
    space = Space(file_of().search, CONFIG)
    _, sampler = sampler_of(file_of(), space)
    expected = "multivariate=True, constant_liar=True, group=False, n_startup_trials=5, seed=0"
    assert sampler == f"TPESampler({expected})"
    halving = "SuccessiveHalvingPruner(min_resource={}, reduction_factor=3)"
    for validations, first in ((1, 1), (2, 1), (9, 3), (36, 12)):
        assert pruner_of(file_of(), validations)[1] == halving.format(first)
    hyperband = file_of(pruner="HyperbandPruner")
    assert pruner_of(hyperband, 9)[1] == "HyperbandPruner(max_resource=9)"
    assert pruner_of(file_of(pruner="NopPruner"), 9)[1] == "none"


def test_pruner_within_a_pruner() -> None:
    wrapped = {"type": "MedianPruner", "n_startup_trials": 2}
    made, _ = pruner_of(
        file_of(pruner={"type": "PatientPruner", "patience": 1, "wrapped_pruner": wrapped}), 9
    )
    assert isinstance(made, optuna.pruners.PatientPruner)


@pytest.mark.parametrize(
    ("field", "strategy", "words"),
    [
        ("sampler", "Tpe", ["no 'Tpe' here; allowed: BruteForceSampler"]),
        (
            "sampler",
            {"type": "TPESampler", "n_startup_trials": "ten", "gama": 1},
            ["n_startup_trials: must be a whole number", "did you mean 'gamma'"],
        ),
        # Found out only when a trial is drawn after those at random, or judged after several validations.
        ("sampler", {"type": "TPESampler", "gamma": 2}, ["Optuna says: ", "not callable; arguments of TPESampler: "]),
        ("sampler", {"type": "TPESampler", "gamma": 2, "n_startup_trials": 30}, ["Optuna says: ", "not callable"]),
        (
            "pruner",
            {"type": "PatientPruner", "patience": 3.0, "wrapped_pruner": "NopPruner"},
            ["Optuna says: ", "; arguments of PatientPruner: wrapped_pruner, patience, min_delta"],
        ),
        ("pruner", {"type": "PercentilePruner", "percentile": "x"}, ["Optuna says: "]),
        ("sampler", {"type": "NSGAIISampler", "crossover": "uniform"}, ["Optuna says: ", "crossover"]),
        ("sampler", {"type": "GPSampler", "independent_sampler": 3}, ["name a strategy"]),
        ("sampler", {"type": "GPSampler", "independent_sampler": "Random"}, ["no 'Random' here"]),
        ("pruner", "PatientPruner", ["needs 'wrapped_pruner'", "needs 'patience'"]),
        ("pruner", {"type": "SuccessiveHalvingPruner", "reduction_factor": 1}, ["reduction_factor"]),
        ("pruner", {"type": "MedianPruner", "n_startup_trials": 1.5}, ["must be a whole number"]),
        ("sampler", {"type": "TPESampler", "seed": "x"}, ["seed: give a whole number"]),
        ("sampler", {"type": "TPESampler", "seed": None}, ["seed: give a whole number"]),
        ("sampler", {"type": "TPESampler", "n_ei_candidates": 0}, ["Optuna says"]),
        ("sampler", {"type": "GridSampler", "search_space": {}}, ["drop 'search_space'"]),
        ("pruner", {"type": "HyperbandPruner", "max_resource": 0}, ["Optuna says"]),
        ("pruner", {"type": "HyperbandPruner", "min_resource": 0}, ["Optuna says"]),
        ("pruner", {"type": "HyperbandPruner", "reduction_factor": 1}, ["Optuna says"]),
    ],
)  # fmt: skip
def test_wrong_strategies_are_all_said(field: str, strategy: Any, words: list[str]) -> None:
    file = file_of(**{field: strategy})
    with pytest.raises(UserError) as refused:
        strategies_of(file, Space(file.search, CONFIG), validations=9)
    for word in words:
        assert word in str(refused.value)
    assert all(problem.startswith(field) for problem in refused.value.problems)


@pytest.mark.slow
def test_studies_of_different_names_share_a_storage(tmp_path: Path) -> None:
    for name in (uuid.uuid4().hex, uuid.uuid4().hex):
        assert len(run(*opened(tmp_path, file_of(sampler="RandomSampler"), name), 3)) == 3


def test_endless_space_is_refused_where_every_point_is_visited() -> None:
    search = {"lr": {"path": "lr", "type": "float", "low": 0.01, "high": 0.1}}
    file = file_of(sampler="BruteForceSampler", search=search)
    with pytest.raises(UserError, match=r"sampler: Optuna says: .*step"):
        strategies_of(file, Space(file.search, CONFIG), validations=9)


@pytest.mark.parametrize(
    "depth",
    [
        {"type": "int", "low": 1, "high": 10**9},
        {"type": "float", "low": 1, "high": 9, "step": 1e-9},
    ],
)
def test_grid_without_measure_is_refused(depth: dict[str, Any]) -> None:
    file = file_of(sampler="GridSampler", search={"depth": {"path": "depth", **depth}})
    with pytest.raises(UserError, match="more than 100000 values"):
        strategies_of(file, Space(file.search, CONFIG), validations=9)


@pytest.mark.slow
def test_another_sampler_goes_on_where_a_grid_is_used_up(tmp_path: Path) -> None:
    search = {"depth": {"path": "depth", "type": "int", "low": 3, "high": 5}}
    grid = file_of(sampler="GridSampler", search=search)
    store, space = opened(tmp_path, grid)
    while (trial := store.next_trial(50)) is not None:
        space.suggest(trial)
        store.tell(trial, TrialState.COMPLETE, [0.0], {})
    other, _ = opened(tmp_path, file_of(sampler="RandomSampler", search=search))
    assert other.next_trial(50) is not None
