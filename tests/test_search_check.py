"""What is wrong with a search space is told before a study is touched: all of it, and where."""

from __future__ import annotations

from typing import Any

import pytest
from test_knobs import row_config
from test_space import CONDITIONAL, LR, refused, small_config, space_of

from benchmark.tuning.search.knobs import KNOBS

RANGES: list[tuple[dict[str, Any], str]] = [
    ({"type": "float", "low": 0.2, "high": 0.1}, "low <= high"),
    ({"type": "float", "low": 0, "high": 0.1, "log": True}, "low > 0"),
    ({"type": "float", "low": 0.1, "high": 0.7, "log": True, "step": 0.1}, "step"),
    ({"type": "float", "low": 0.1, "high": 0.75, "step": 0.2}, "not divisible"),
    ({"type": "float", "low": 0.1, "high": 0.7, "step": -0.1}, "step"),
    ({"type": "float", "low": 0.1, "high": float("nan")}, "'high' is not finite"),
    ({"type": "float", "low": float("-inf"), "high": 1}, "'low' is not finite"),
    ({"type": "int", "low": 0.5, "high": 3}, "'low' is not a whole number: 0.5"),
    ({"type": "int", "low": 1, "high": 4, "step": 0.5}, "'step' is not a whole number"),
    ({"type": "int", "low": 1, "high": 4, "step": 2}, "not divisible"),
    ({"type": "int", "low": 1, "high": 5, "step": 2, "log": True}, "step"),
    ({"choices": [0.5, 1, True]}, "the choices repeat: True"),
    ({"choices": [[1, 2], "[1, 2]", 0.5]}, "the choices repeat"),
    ({"choices": [0.5, {1, 2}]}, "no config can hold"),
    ({"type": "float", "low": 0.6, "high": 1}, "the row's own value 0.5 is outside 0.6 to 1.0"),
    ({"type": "float", "low": 0.2, "high": 0.8, "step": 0.2}, "0.5 is not 0.2 and a multiple"),
    ({"type": "int", "low": 0, "high": 1}, "0.5 is not a whole number"),
    ({"choices": [0.25, 0.75]}, "own value 0.5 is not among the choices 0.25, 0.75"),
    ({"choices": [0.5, 1.0], "published": 2}, "'published' 2 is not among the choices"),
    ({"choices": [0.5, 1.0], "published": 1.0}, "1.0 changes model.rate from 0.5 to 1.0"),
    ({"choices": [0.5, "fast"]}, "'fast' is a text; the value there is a number"),
    ({"type": "float", "low": 0, "high": 1, "path": "model.name"}, "is a text"),
    ({"type": "float", "low": 0, "high": 1, "path": "model.sizes"}, "is not a number"),
    ({"type": "float", "low": 0, "high": 1, "path": "model.rat"}, "did you mean 'model.rate'"),
    ({"type": "float", "low": 0, "high": 1, "with": ["model.rates"]}, "no such key 'rates'"),
    ({"type": "float", "low": 0, "high": 1, "with": ["model.depth"]}, "depth: 0.382 is not whole"),
    ({"type": "float", "low": 0, "high": 1, "with": ["head.loss.gamma"]}, "gamma from 2.0 to 0.5"),
    ({"choices": ["a"], "with": {"model.rate": 2.0}, "path": "model.name"}, "to multiply by"),
    ({"choices": ["a", "b"], "path": "train_dataloader.ann_file"}, "comes from the data set"),
    ({"choices": [2, 4], "path": "train_dataloader.num_workers"}, "changes nothing that is"),
    ({"choices": [0.5, 1], "when": {"x": 1}}, "when.x: no such parameter; allowed: model.rate"),
    ({"choices": [0.5, 1], "when": {"model.rate": 0.5}}, "in a circle: model.rate -> model.rate"),
]


@pytest.mark.parametrize(("parameter", "problem"), RANGES)
def test_refused(parameter: dict[str, Any], problem: str) -> None:
    problems = refused(small_config(), model__rate=parameter)
    assert any(problem in told for told in problems), problems
    assert all(told.startswith("search.model.rate: ") for told in problems)


def test_every_problem_at_once_and_once() -> None:
    problems = refused(
        row_config(),
        lr={"type": "float", "low": 0.2, "high": 0.1},
        gama={"type": "float", "low": 1, "high": 3},
        drop_path={"type": "float", "low": 0, "high": 0.5},
        batch_size={"type": "float", "low": 1, "high": 8},
        nms_iou={"type": "float", "low": 0.3, "high": 1.7},
        neck={"type": "int", "low": 1, "high": 2, "path": "model.neck.out_chanels"},
        focal_alpha={"type": "float", "low": 0, "high": 1, "when": {"lr": 0.1}},
    )
    assert [problem.split(":")[0] for problem in problems] == [
        "search.lr",
        "search.drop_path",
        "search.batch_size",
        "search.nms_iou",
        "search.gama",
        "search.neck",
    ]
    assert problems[1] == "search.drop_path: row a has no model.backbone.drop_path_rate"
    assert "make it of type int" in problems[2] and "1.7 is above 1" in problems[3]
    assert all(f" {name}" in problems[4] for name in KNOBS)
    assert "did you mean 'model.neck.out_channels'?" in problems[5]


def test_name_near_a_knob() -> None:
    (problem,) = refused(focal_gama={"type": "float", "low": 1, "high": 3})
    assert "did you mean 'focal_gamma'" in problem


def test_warm_up_beyond_the_training() -> None:
    warm_up = {"type": "int", "low": 100, "high": 100_000}
    (problem,) = refused(row_config("r50_fpn_90k"), warmup=warm_up)
    assert problem == (
        "search.warmup: a warm-up of 100000 iterations is longer than the training, 90000 iterations"
    )


def test_knob_and_its_linked_key_path() -> None:
    eta = {"type": "float", "low": 0, "high": 0.01, "path": "param_scheduler.0.eta_min"}
    assert refused(small_config(), lr=LR, eta=eta) == [
        "search.eta: sets param_scheduler.0.eta_min, which search.lr sets too"
    ]
    alone = space_of(small_config(), lr={**LR, "path": "optim_wrapper.optimizer.lr"}, eta=eta)
    assert alone.published() == {"lr": 0.01, "eta": 0.0005}


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ({"depth": 9}, "when.depth: 9 is outside 4 to 7"),
        ({"depth": [5, 4.5]}, "when.depth: 4.5 is not a whole number"),
        ({"loss": "other"}, "when.loss: 'other' is not among the choices"),
        ({"loss": []}, "when.loss: [] is not among the choices"),
        ({"rate": 0.5}, "when.rate: a float has no single values"),
        ({"beta": 2, "loss": "focal"}, "its conditions never hold together"),
    ],
)
def test_condition_that_cannot_be(when: dict[str, Any], problem: str) -> None:
    search = {
        **CONDITIONAL,
        "rate": {"type": "float", "low": 0, "high": 1, "path": "model.rate"},
        "beta": {**CONDITIONAL["beta"], "type": "int"},
        "late": {"path": "model.name", "choices": ["plain", "odd"], "when": when},
    }
    (told,) = refused(small_config(), **search)
    assert told.startswith("search.late: ") and problem in told


def test_circle_of_conditions() -> None:
    search = {
        "a": {"path": "model.depth", "choices": [4, 5], "when": {"b": "odd"}},
        "b": {"path": "model.name", "choices": ["plain", "odd"], "when": {"a": 5}},
        "c": {"path": "model.rate", "choices": [0.5, 1.0], "when": {"b": "odd"}},
    }
    (problem,) = refused(small_config(), **search)
    assert "a -> b -> a" in problem
