"""The search space: what is refused, what Optuna is asked, and what a trial sets in a config."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from test_knobs import ROWS, row_config, with_overrides

from benchmark.errors import UserError
from benchmark.run.identity import essence
from benchmark.tuning.search.knobs import KNOBS, NoSuchSetting
from benchmark.tuning.search.space import Space
from benchmark.tuning.study_file import Parameter

optuna.logging.set_verbosity(optuna.logging.WARNING)

LR = {"type": "float", "low": 1e-3, "high": 0.1, "log": True}
HEAD = "model.bbox_head"
WIDE = {"octave_base_scale": 8, "scales_per_octave": 1}


def space_of(config: dict[str, Any] | None = None, /, row: str = "", **search: Any) -> Space:
    """A space; ``__`` in a name stands for a dot."""
    parsed = {
        name.replace("__", "."): Parameter.model_validate(value) for name, value in search.items()
    }
    return Space(parsed, row_config() if config is None else config, row)


def refused(config: dict[str, Any] | None = None, /, **search: Any) -> list[str]:
    with pytest.raises(UserError) as caught:
        space_of(config, row="a", **search)
    return caught.value.problems


def small_config() -> dict[str, Any]:
    return {
        "model": {"depth": 4, "rate": 0.5, "name": "plain", "sizes": (1, 2), "norm": None},
        "head": {"loss": {"type": "Focal", "gamma": 2.0}},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.01}},
        "param_scheduler": [{"type": "CosineAnnealingLR", "eta_min": 0.0005, "T_max": 9}],
        "train_dataloader": {"num_workers": 2, "ann_file": "a.json"},
    }


CONDITIONAL: dict[str, Any] = {
    "gamma": {
        "type": "float",
        "low": 0,
        "high": 5,
        "path": "head.loss.gamma",
        "when": {"loss": "focal"},
    },
    "beta": {
        "type": "float",
        "low": 1,
        "high": 3,
        "path": "head.loss.beta",
        "when": {"loss": "quality", "depth": [6, 7]},
    },
    "loss": {
        "path": "head.loss",
        "choices": {
            "focal": {"type": "Focal"},
            "quality": {"_delete_": True, "type": "Quality", "beta": 2.0},
        },
    },
    "depth": {"type": "int", "low": 4, "high": 7, "path": "model.depth"},
}


# What a space gives


def every_knob(config: dict[str, Any]) -> dict[str, Any]:
    """A search over each knob that a row has."""
    found: dict[str, Any] = {}
    for name, knob in KNOBS.items():
        try:
            own = knob.read(config)
        except NoSuchSetting:
            continue
        if name == "anchor_ratios":
            found[name] = {"choices": [[0.25, 1, 4], [0.5, 1, 2]]}
        elif knob.takes == "whole":
            found[name] = {"type": "int", "low": own, "high": own + 2}
        else:
            high = min(1.0, 4 * own) if knob.most == 1 else 4 * own
            found[name] = {"type": "float", "low": own / 2, "high": high}
    return found


@pytest.mark.parametrize("profile", ["full", "smoke"])
@pytest.mark.parametrize("row", ROWS)
def test_published_setting_is_the_row_itself(row: str, profile: str) -> None:
    config = row_config(row, profile)
    search = every_knob(config)
    space = space_of(config, row, **search)
    published = space.published()
    assert published.keys() == search.keys()
    assert published["anchor_ratios"] == "[0.5, 1, 2]"
    same = with_overrides(config, space.overrides(published))
    assert essence(same) == essence(config)
    assert same == config


def test_trial_sets_knobs_and_what_goes_along() -> None:
    space = space_of(
        small_config(),
        lr=LR,
        model__depth={
            "type": "int",
            "low": 2,
            "high": 8,
            "with": {"model.rate": 0.125, "param_scheduler.0.T_max": 2.25},
        },
    )
    assert space.overrides({"lr": 0.02, "model.depth": 8}) == {
        "optim_wrapper.optimizer.lr": 0.02,
        "param_scheduler.0.eta_min": pytest.approx(0.001),
        "model.depth": 8,
        "model.rate": 1.0,
        "param_scheduler.0.T_max": 18,
    }


def test_same_value_along() -> None:
    space = space_of(
        small_config(),
        model__depth={
            "type": "int",
            "low": 2,
            "high": 8,
            "with": ["+model.layers"],
            "published": 4,
        },
    )
    # The row has no `layers`: its own setting adds none.
    assert space.overrides({"model.depth": 4}) == {"model.depth": 4}
    assert space.overrides({"model.depth": 5}) == {"model.depth": 5, "+model.layers": 5}


def test_own_value_is_written_as_the_row_has_it() -> None:
    """4 and 4.0, or a last digit, would be two runs of the same setting."""
    search = {"octave_base_scale": {"type": "float", "low": 2, "high": 8}, "lr": LR}
    space = space_of(**search)
    assert space.published() == {"octave_base_scale": 4.0, "lr": 0.01}
    found = space.overrides({"octave_base_scale": 4.0, "lr": 0.01 * (1 + 1e-15)})
    assert json.dumps(list(found.values())) == "[0.01, 4]"
    whole = space_of(batch_size={"type": "int", "low": 1, "high": 8}).overrides({"batch_size": 4.0})
    assert json.dumps(list(whole.values())) == "[4]"


def test_lists_come_out_as_lists_and_go_in_as_the_config_has_them() -> None:
    space = space_of(small_config(), model__sizes={"choices": [[1, 2], [3, 4]]})
    assert space.published() == {"model.sizes": "[1, 2]"}
    overrides = space.overrides({"model.sizes": "[3, 4]"})
    assert overrides == {"model.sizes": [3, 4]}
    assert with_overrides(small_config(), overrides)["model"]["sizes"] == (3, 4)


def test_value_that_the_config_does_not_show() -> None:
    drop = {"type": "float", "low": 0, "high": 0.5, "path": "+model.drop"}
    assert any("'published'" in problem for problem in refused(small_config(), drop=drop))
    space = space_of(small_config(), drop={**drop, "published": 0.1})
    assert space.published() == {"drop": 0.1}
    assert space.overrides({"drop": 0.1}) == {}
    assert space.overrides({"drop": 0.2}) == {"+model.drop": 0.2}


def test_knob_whose_value_the_row_leaves_to_a_default() -> None:
    config = small_config()
    config["optim_wrapper"]["optimizer"]["weight_decay"] = None
    decay = {"type": "float", "low": 0, "high": 0.1}
    assert "own value of weight_decay" in refused(config, weight_decay=decay)[0]
    space = space_of(config, weight_decay={**decay, "published": 0})
    assert space.overrides(space.published()) == {}
    assert list(space.overrides({"weight_decay": 0.1}).values()) == [0.1]


def test_none_is_a_choice() -> None:
    choices = [None, {"type": "BN"}]
    space = space_of(small_config(), model__norm={"choices": choices})
    assert space.published() == {"model.norm": None}
    assert space.overrides({"model.norm": '{"type": "BN"}'}) == {"model.norm": {"type": "BN"}}
    named = {"path": "+clip", "choices": {"no": None, "yes": {"max": 1}}, "published": "no"}
    clip = space_of(small_config(), clip=named)
    assert clip.overrides({"clip": "no"}) == {}
    assert clip.overrides({"clip": "yes"}) == {"+clip": {"max": 1}}


def test_own_choice_of_a_mapping_is_the_one_that_changes_nothing() -> None:
    path = f"{HEAD}.anchor_generator"
    space = space_of(anchors={"path": path, "choices": {"wide": WIDE, "own": {}}})
    assert space.published() == {"anchors": "own"}
    same = {"octave_base_scale": 4}
    space = space_of(anchors={"path": path, "choices": {"wide": WIDE, "same": same}})
    assert space.published() == {"anchors": "same"}


# Conditions


def test_parameter_is_there_only_beside_what_it_waits_for() -> None:
    space = space_of(small_config(), **CONDITIONAL)
    assert space.conditional
    assert space.names == ("loss", "gamma", "depth", "beta")
    assert space.published() == {"loss": "focal", "gamma": 2.0, "depth": 4}
    quality = {"loss": "quality", "depth": 6, "beta": 2.5, "gamma": 1.0}
    assert space.overrides(quality) == {
        "head.loss": {"_delete_": True, "type": "Quality", "beta": 2.0},
        "model.depth": 6,
        "head.loss.beta": 2.5,
    }
    changed = with_overrides(small_config(), space.overrides(quality))
    assert changed["head"]["loss"] == {"type": "Quality", "beta": 2.5}
    assert not space_of(small_config(), lr=LR).conditional


def test_condition_on_a_condition() -> None:
    search = {
        "a": {"choices": [4, 5], "path": "model.depth"},
        "b": {"choices": [0.5, 1.5], "path": "model.rate", "when": {"a": 5}, "published": 0.5},
        "c": {"choices": ["plain", "odd"], "path": "model.name", "when": {"b": 1.5}},
    }
    space = space_of(small_config(), **search)
    assert space.published() == {"a": 4}
    assert list(space.overrides({"a": 4, "b": 1.5, "c": "odd"})) == ["model.depth"]
    assert len(space.overrides({"a": 5, "b": 1.5, "c": "odd"})) == 3


def test_condition_on_a_list_is_that_list_or_its_items() -> None:
    sizes = {"path": "model.sizes", "choices": [[1, 2], [3, 4]]}
    rate = {"path": "model.rate", "type": "float", "low": 0, "high": 1}
    space = space_of(small_config(), sizes=sizes, rate={**rate, "when": {"sizes": [3, 4]}})
    assert space.published() == {"sizes": "[1, 2]"}
    space = space_of(small_config(), sizes=sizes, rate={**rate, "when": {"sizes": [[1, 2]]}})
    assert space.published() == {"sizes": "[1, 2]", "rate": 0.5}


def test_two_may_set_the_same_where_they_never_meet() -> None:
    rate = {"type": "float", "low": 0, "high": 1, "path": "model.rate"}
    depth = {"path": "model.depth", "choices": [4, 8]}
    search: dict[str, Any] = {
        "depth": depth,
        "low": {**rate, "when": {"depth": 4}},
        "high": {**rate, "low": 1, "high": 2, "when": {"depth": 8}},
    }
    space = space_of(small_config(), **search)
    assert space.overrides({"depth": 8, "high": 1.5})["model.rate"] == 1.5
    search["high"]["when"] = {}
    search["high"]["low"] = 0.1
    assert any("which search.low sets too" in p for p in refused(small_config(), **search))


def test_value_within_a_mapping_of_another_is_said() -> None:
    """`published` stands for what the row does not show, which is no longer so where a choice shows it."""
    search = {
        "loss": {
            "path": "head.loss",
            "choices": {"own": {}, "smooth": {"type": "Smooth", "eps": 0.3}},
        },
        "eps": {
            "path": "+head.loss.eps",
            "type": "float",
            "low": 0,
            "high": 1,
            "published": 0.1,
        },
    }
    space = space_of(small_config(), **search)
    assert space.overrides({"loss": "own", "eps": 0.1}) == {"head.loss": {}}
    found = space.overrides({"loss": "smooth", "eps": 0.1})
    assert with_overrides(small_config(), found)["head"]["loss"]["eps"] == 0.1


# Optuna


def trials_of(space: Space, study: optuna.Study, number: int) -> list[dict[str, Any]]:
    study.enqueue_trial(space.published())
    found = []
    for index in range(number):
        trial = study.ask()
        params = space.suggest(trial)
        assert params == trial.params
        found.append(params)
        study.tell(trial, float(index % 7))
    return found


SAMPLERS: list[Callable[[], BaseSampler]] = [
    lambda: RandomSampler(seed=0),
    lambda: TPESampler(seed=0, multivariate=True, group=True, n_startup_trials=5),
]


@pytest.mark.parametrize("make", SAMPLERS)
def test_samplers_ask_for_what_is_there(make: Callable[[], BaseSampler]) -> None:
    space = space_of(small_config(), lr=LR, **CONDITIONAL)
    found = trials_of(space, optuna.create_study(sampler=make()), 40)
    assert found[0] == space.published()
    assert {params["loss"] for params in found} == {"focal", "quality"}
    for params in found:
        there = {"lr", "loss", "depth"}
        there |= {"gamma"} if params["loss"] == "focal" else set()
        there |= {"beta"} if params["loss"] == "quality" and params["depth"] >= 6 else set()
        assert params.keys() == there
        assert 1e-3 <= params["lr"] <= 0.1 and isinstance(params["depth"], int)
        with_overrides(small_config(), space.overrides(params))
    assert any("beta" in params for params in found)


@pytest.mark.slow
def test_labels_come_back_from_a_database(tmp_path: Path) -> None:
    search = {
        "sizes": {"path": "model.sizes", "choices": [[1, 2], [3, 4], [5, 6]]},
        "norm": {"path": "model.norm", "choices": {"none": None, "bn": {"type": "BN"}}},
        "depth": {"path": "model.depth", "choices": [4, 8]},
    }
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    made = optuna.create_study(storage=url, study_name="s", sampler=RandomSampler(seed=1))
    asked = trials_of(space_of(small_config(), **search), made, 12)
    stored = optuna.load_study(storage=url, study_name="s").trials
    space = space_of(small_config(), **search)
    assert [trial.params for trial in stored] == asked
    assert stored[0].params == {"sizes": "[1, 2]", "norm": "none", "depth": 4}
    for trial in stored:
        overrides = space.overrides(trial.params)
        assert overrides["model.sizes"] == json.loads(trial.params["sizes"])
        assert type(overrides["model.depth"]) is int
        with_overrides(small_config(), overrides)


def test_grid_visits_every_point() -> None:
    space = space_of(
        small_config(),
        model__depth={"type": "int", "low": 2, "high": 6, "step": 2},
        model__rate={"type": "float", "low": 0.1, "high": 0.5, "step": 0.1},
        model__sizes={"choices": [[1, 2], [3, 4]]},
    )
    grid = space.grid()
    assert grid == {
        "model.depth": [2, 4, 6],
        "model.rate": [0.1, 0.2, 0.3, 0.4, 0.5],
        "model.sizes": ["[1, 2]", "[3, 4]"],
    }
    found = set()

    def objective(trial: optuna.Trial) -> float:
        found.add(json.dumps(space.suggest(trial), sort_keys=True))
        return 0.0

    optuna.create_study(sampler=GridSampler(grid, seed=0)).optimize(objective, n_trials=30)
    assert len(found) == 30


def test_no_grid() -> None:
    with pytest.raises(UserError, match=r"search\.lr: .*'step'"):
        space_of(small_config(), lr=LR).grid()
    with pytest.raises(UserError, match="BruteForceSampler"):
        space_of(small_config(), **CONDITIONAL).grid()


def test_stored_value_that_is_no_choice() -> None:
    space = space_of(small_config(), model__depth={"choices": [4, 8]})
    with pytest.raises(UserError, match=r"search\.model\.depth: 5 is not among"):
        space.overrides({"model.depth": 5})


# Two spaces


def test_space_comes_back_from_a_file() -> None:
    search: dict[str, Any] = {
        "lr": LR,
        "sizes": {"path": "model.sizes", "choices": [[1, 2], [3, 4]]},
        "rate": {"path": "model.rate", "type": "float", "low": 0, "high": 1},
    }
    space = space_of(small_config(), **search)
    stored = json.loads(json.dumps(space.to_json()))
    assert stored == space.to_json() == space_of(small_config(), **search).to_json()


def test_what_each_parameter_sets() -> None:
    search = {
        "lr": LR,
        "rate": {"path": "model.rate", "choices": [0.5], "with": {"model.depth": 8}},
    }
    sets = space_of(small_config(), **search).sets()
    assert sets["lr"].startswith("optim_wrapper.optimizer.lr")
    assert sets["rate"] == "model.rate, model.depth"


@pytest.mark.parametrize(
    "change",
    [
        {"log": False},
        {"low": 1e-4},
        {"low": 0.01, "high": 0.02, "log": False, "step": 0.01},
        {"path": "optim_wrapper.optimizer.lr"},
        {"with": {"model.rate": 50.0}},
        {"when": {"model.depth": 4}},
    ],
)
def test_any_change_makes_another_space(change: dict[str, Any]) -> None:
    depth = {"choices": [4, 8]}
    space = space_of(small_config(), lr=LR, model__depth=depth)
    other = space_of(small_config(), lr={**LR, **change}, model__depth=depth)
    assert other.to_json()["lr"] != space.to_json()["lr"]
    assert other.to_json()["model.depth"] == space.to_json()["model.depth"]


def test_importing_the_space_imports_no_optuna() -> None:
    code = "import sys, benchmark.tuning.search.space; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"optuna", "torch", "mmdet", "mmengine"} & set(loaded.stdout.split())
