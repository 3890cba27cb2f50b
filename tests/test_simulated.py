"""Studies whose jobs train in simulated time, by the real driver: what is asked, pruned and told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from benchmark.tuning.opening import study_in_memory
from benchmark.tuning.simulated import Curve, Simulation
from benchmark.tuning.storage import Store, Strategies, StudyKey

OWN = {"x": 8}
EPOCHS = 4


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    return {"x": trial.suggest_int("x", 0, 15)}


def suggest_finely(trial: optuna.Trial) -> dict[str, Any]:
    return {"x": trial.suggest_float("x", 0, 15)}


def answer(params: Mapping[str, Any]) -> Curve:
    """Best at 11; it rises to its end, and a larger one takes longer."""
    end = 1.0 - abs(params["x"] - 11) / 20
    return Curve(
        [end * step / EPOCHS for step in range(1, EPOCHS + 1)], [1.0 + params["x"]] * EPOCHS
    )


def study(seed: int = 0, pruner: optuna.pruners.BasePruner | None = None) -> Store:
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=5)
    strategies = Strategies(sampler, pruner or optuna.pruners.NopPruner(), "TPE", "its own", 4)
    return study_in_memory(StudyKey("simulated", ["maximize"], {}, OWN), strategies)


def simulated(store: Store, slots: int = 2, target: int | None = 30) -> Simulation:
    made = Simulation(store, suggest, answer, slots, target)
    made.run()
    return made


def test_it_ends_with_what_its_storage_says() -> None:
    store = study()
    made = simulated(store)
    assert len(store.study.trials) == 30
    assert all(trial.state is TrialState.COMPLETE for trial in store.study.trials)
    assert store.study.best_params == {"x": 11}
    assert store.study.best_value == max(trial.values[-1] for trial in made.ended) == 1.0
    first = store.study.trials[0]
    assert (first.params, first.user_attrs["published"]) == (OWN, True)
    assert first.intermediate_values == dict(enumerate(answer(OWN).values, start=1))


def test_parameters_that_come_again_cost_nothing() -> None:
    store = study()
    made = simulated(store)
    known = {trial.params["x"] for trial in store.study.trials}
    assert sorted(trial.params["x"] for trial in made.ended) == sorted(known)
    assert len(known) < 30
    assert made.spent == EPOCHS * len(known)
    for trial in store.study.trials:
        assert trial.value == answer(trial.params).values[-1]


def test_same_seed_same_study() -> None:
    first, again, other = (simulated(study(seed)).ended for seed in (3, 3, 4))
    assert first == again != other


def test_what_is_worse_than_the_others_is_given_up_and_told() -> None:
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    store = study(pruner=pruner)
    made = simulated(store)
    pruned = {trial.number: trial for trial in made.ended if trial.pruned}
    assert pruned
    assert 0 not in pruned  # the row's own setting is trained to its end
    for number, trial in pruned.items():
        told = store.study.trials[number]
        assert told.state is TrialState.PRUNED
        assert told.intermediate_values == dict(enumerate(trial.values, start=1))
        assert 0 < len(trial.values) < EPOCHS
    assert made.spent == sum(len(trial.values) for trial in made.ended)
    assert made.spent < EPOCHS * len(made.ended)


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_trials_run_side_by_side(slots: int) -> None:
    store = study()
    made = Simulation(store, suggest_finely, answer, slots)
    made.run(budget=1)
    running = [trial for trial in store.study.trials if trial.state is TrialState.RUNNING]
    assert len(running) == slots
    made.run(budget=40)
    # The validations of trials in training count, too; what is left of them is not run.
    assert made.spent == 40 >= EPOCHS * len(made.ended) >= 40 - slots * EPOCHS
    spent = [trial.spent for trial in made.ended]
    assert spent == sorted(spent)


def test_the_quicker_one_of_two_ends_first() -> None:
    made = Simulation(study(), suggest_finely, answer, slots=2, target=2)
    made.run()
    (own, other) = sorted(made.ended, key=lambda trial: trial.number)
    slower = own if own.params["x"] > other.params["x"] else other
    assert made.ended[-1] is slower
    assert slower.spent == made.spent == 2 * EPOCHS
