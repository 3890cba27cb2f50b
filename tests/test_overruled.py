"""A search over what ``precision`` and ``compile`` decide: trials train what they draw, or the study is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command import Bench, study, variant

from benchmark.config.faster import precision_of
from benchmark.errors import UserError
from benchmark.run.plan import Request
from benchmark.tuning.study import Study, read_study

TYPE = {"optim_wrapper.type": {"choices": ["OptimWrapper", "AmpOptimWrapper"]}}
DTYPE = {"optim_wrapper.dtype": {"choices": ["bfloat16", "float16"]}}
MODE = {"compile.mode": {"choices": ["default", "reduce-overhead"]}}
IN_PLACE = (
    "search it in place of this, as {path: +precision, choices: [fp32, bf16], published: bf16}"
)
BF16 = {"precision": "bf16"}


def precision(published: str = "fp32") -> dict[str, Any]:
    return {"p": {"path": "+precision", "choices": ["fp32", "bf16"], "published": published}}


def compiled(**more: Any) -> dict[str, Any]:
    return {"c": {"path": "+compile", "choices": [False, True], "published": False, **more}}


def read(
    data: Path, folder: Path, search: dict[str, Any], option: dict[str, Any], **keys: Any
) -> Study:
    """A study over the tiny row: options of the command line, keys of the experiment; ``set`` is the row's."""

    def change(content: dict[str, Any]) -> None:
        content["rows"][0]["set"] = keys.pop("set", {})
        content.update(keys)

    variant(folder, change)
    path = study(folder, search=search)
    return read_study(Request(path, folder / "results", data_root=data, overrides=option))


@pytest.mark.parametrize(
    ("search", "option", "keys", "words"),
    [
        (
            TYPE,
            BF16,
            {},
            [
                "'OptimWrapper': precision: ",
                f"; --precision says the same: leave that out, or {IN_PLACE}",
            ],
        ),
        (
            TYPE,
            {},
            BF16,
            [
                "'AmpOptimWrapper' stands for the row's own setting, and is another; 'precision' of the exp"
            ],
        ),
        (TYPE, {}, {"set": BF16}, ["'precision' in the row's 'set' says the same: ", IN_PLACE]),
        (
            DTYPE,
            {},
            BF16,
            ["no such key 'dtype'", "'precision' of the experiment says the same: ", IN_PLACE],
        ),
        (DTYPE, BF16, {}, ["--precision says the same"]),
        (
            precision(),
            BF16,
            {},
            [
                "'fp32' stands for the row's own setting, and is another; 'published' is what the row has, bf16"
            ],
        ),
        (
            TYPE,
            {},
            {"set": {"precision": "fp32"}},
            ["the tuned row could not be trained; 'precision' in the row's"],
        ),
        (
            precision("bf16"),
            {},
            {"set": {"optim_wrapper.type": "OptimWrapper"}},
            [
                "optim_wrapper.type in the row's 'set' says the same: write 'precision' there in its place"
            ],
        ),
        (precision(), {}, BF16, ["'published' is what the row has, bf16"]),
        (
            precision(),
            {"optim_wrapper.type": "OptimWrapper"},
            {},
            ["no --set may name 'optim_wrapper.type' or its dtype"],
        ),
        (
            {**TYPE, **precision()},
            {},
            {},
            ["search.p: 'fp32': precision: optim_wrapper.type say the same"],
        ),
        (
            compiled(),
            {"compile": True},
            {},
            ["the first trial is the row's own setting, but False changes compile"],
        ),
        (
            MODE,
            {},
            {"set": {"compile": {"mode": "default"}}},
            ["search it as {path: +compile, choices: [false, true]"],
        ),
        (
            {"precision": {"choices": ["fp32", "bf16"]}},
            {},
            {},
            [
                "search.precision: 'precision' is no key of mmdet's: search it as '+precision', in 'path'",
                "published: fp32}",
            ],
        ),
        (
            {"c": {"path": "compile", "choices": [True, False]}},
            {},
            {},
            ["search it as '+compile', in 'path'"],
        ),
    ],
)
def test_what_is_written_over_is_refused_with_the_way_out(
    search: dict[str, Any],
    option: dict[str, Any],
    keys: dict[str, Any],
    words: list[str],
    synthetic_data: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError) as refused:
        read(synthetic_data, tmp_path, search, option, **keys)
    text = "\n".join(refused.value.problems)
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("search", "option", "keys", "come_to"),
    [
        (TYPE, {}, {}, ["fp32", "amp"]),
        (TYPE, {}, {"precision": "fp32"}, ["fp32", "amp"]),
        (precision(), {}, {}, ["fp32", "bf16"]),
        (precision(), {"precision": "fp32"}, {}, ["fp32", "bf16"]),
        (precision("bf16"), {}, BF16, ["fp32", "bf16"]),
        (precision("bf16"), BF16, {}, ["fp32", "bf16"]),
        (compiled(), {"compile": False}, {}, [None, True]),
        ({"compile": {"choices": [False, True]}}, {"compile": True}, {}, [None, True]),
    ],
)
def test_trials_train_what_they_draw(
    search: dict[str, Any],
    option: dict[str, Any],
    keys: dict[str, Any],
    come_to: list[Any],
    synthetic_data: Path,
    tmp_path: Path,
) -> None:
    made = read(synthetic_data, tmp_path, search, option, **keys)
    (name,) = made.space.names
    configs = [made.run_with(set_).config for _, set_ in made.space.ends()]
    found = [
        config.get("compile") if "optim" not in name and name != "p" else precision_of(config)
        for config in configs
    ]
    assert found == come_to
    own = made.run_with(made.space.overrides(made.space.published()))
    assert own.spec.run_id == made.base.runs[0].spec.run_id


def test_a_searched_value_comes_after_what_the_command_line_sets(
    synthetic_data: Path, tmp_path: Path
) -> None:
    """Its key stood where --set had it, before the mapping that another parameter puts in."""
    search = {
        "optimizer": {
            "path": "optim_wrapper.optimizer",
            "choices": {
                "own": {},
                "other": {"_delete_": True, "type": "SGD", "lr": 0.01, "momentum": 0.5},
            },
        },
        "momentum": {
            "path": "optim_wrapper.optimizer.momentum",
            "type": "float",
            "low": 0.5,
            "high": 0.95,
        },
    }
    made = read(synthetic_data, tmp_path, search, {"optim_wrapper.optimizer.momentum": 0.85})
    params = {"optimizer": "other", "momentum": 0.75}
    run = made.plan_trial("an id", 1, params)
    assert run.config["optim_wrapper"]["optimizer"]["momentum"] == 0.75
    assert [*made.promoted(params)] == [
        "optim_wrapper.optimizer",
        "optim_wrapper.optimizer.momentum",
    ]


def test_a_value_that_the_machine_cannot_train_is_refused_before_anything_is_made(
    synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path, search=TYPE))
    refused = bench.here("tune", "--wandb", "off")
    assert refused.returncode == 2
    assert "search.optim_wrapper.type: 'AmpOptimWrapper': " in refused.stderr
    assert "AmpOptimWrapper needs a GPU" in refused.stderr
    assert not [*tmp_path.glob("results/studies*"), *tmp_path.glob("results/runs/*-s*")]
