"""What is wrong with a study is said at once, before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from command import Bench, study


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (
            {
                "search": {
                    "lr": {"type": "float", "low": 0.1, "high": 0.01},
                    "optim_wrapper.optimizer.momentumm": {"choices": [0.9]},
                    "model.test_cfg.score_thr": {"choices": ["high"]},
                    "drop_path": {"type": "float", "low": 0, "high": 0.5},
                },
                "sampler": {"type": "TPESampler", "n_startup": 3},
                "pruner": "Hyperband",
            },
            [
                "search.lr",
                "did you mean 'optim_wrapper.optimizer.momentum'",
                "search.model.test_cfg.score_thr",
                "search.drop_path",
                "TPESampler has no argument 'n_startup'",
                "did you mean 'HyperbandPruner'",
            ],
        ),
        ({"row": "plane"}, ["row: ", "no row 'plane'", "did you mean 'plain'"]),
        ({"name": "tiny"}, ["name: 'tiny' is the experiment's name"]),
        ({"train_seed": 0}, ["train_seed: 0 is one of the experiment's seeds"]),
        ({"objective": "accuracy"}, ["objective", "allowed: one of mAP50"]),
        ({"objective": [["mAP50"]]}, ["objective", "allowed: one of mAP50"]),
        ({"objective": ["mAP50", ["params"]]}, ["objective", "allowed: one of mAP50"]),
        ({"objective": ["mAP50", "params"], "pruner": "MedianPruner"}, ["pruner: Optuna cannot"]),
        ({"n_trials": 0, "serch": {}}, ["n_trials", "serch"]),
        ({"experiment": "gone.yaml"}, ["gone.yaml: cannot be read"]),
    ],
)
def test_wrong_study_is_refused_before_anything_is_made(
    change: dict[str, Any], problems: list[str], synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path, **change))
    refused = bench.here("tune", "--wandb", "off")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    for problem in problems:
        assert problem in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(bench.results.glob("studies*"))
    assert not list(bench.results.glob("runs/*-s*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--storage", "postgresql://u:secret@127.0.0.1:1/d"), "cannot be used"),
        (("--storage", "studies.db"), "this is no database URL"),
        (
            ("--trial", "3", "--seeds", "2"),
            "--seeds says what the tuned row is trained with: give --promote",
        ),
        (("--promote", "--seeds", "1,2"), "--seeds 1,2: the trials train with seed 1"),
        (("--launcher", "slurn"), "no such launcher"),
        (("--wandb", "perhaps"), "allowed: auto"),
    ],
)
def test_wrong_options(
    options: tuple[str, ...], words: str, synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path))
    refused = bench.here("tune", *options)
    assert refused.returncode == 2
    assert words in refused.stderr
    assert "secret" not in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(bench.results.glob("runs/*-s*"))


@pytest.mark.slow
def test_no_trials_at_all_only_checks(synthetic_data: Path, tmp_path: Path) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path))
    done = bench.here("tune", "--trials", "0", "--wandb", "off")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No trial is complete" in done.stdout
    assert (bench.results / "studies" / "tune" / "summary.md").exists()
    assert not list(bench.results.glob("runs/*-s*"))
    refused = bench.here("tune", "--trials", "0", "--wandb", "off", "--promote")
    assert refused.returncode == 2
    assert "no complete trial: nothing to promote" in refused.stderr


@pytest.mark.slow
def test_study_goes_on_with_the_defaults_that_it_was_begun_with(
    synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path))

    def searched_by() -> list[str]:
        done = bench.here("tune", "--trials", "0", "--wandb", "off")
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        return [line for line in lines if line.startswith(("sampler: ", "pruner: "))]

    first = searched_by()
    assert searched_by() == first
    url = f"sqlite:///{bench.results / 'studies.db'}"
    begun = optuna.load_study(study_name="tune", storage=url)
    others = {"sampler": "RandomSampler", "pruner": {"type": "MedianPruner", "n_min_trials": 2}}
    begun.set_user_attr("defaults", others)
    assert searched_by() == [
        "sampler: RandomSampler(seed=0)",
        "pruner: MedianPruner(n_min_trials=2)",
    ]
    # What an earlier version began says nothing of them: it had these.
    begun.set_user_attr("defaults", {})
    former = searched_by()
    assert former[0].startswith(
        "sampler: TPESampler(multivariate=True, constant_liar=True, group=F"
    )
    assert former[1] == "pruner: HyperbandPruner(max_resource=4)"
    # What the file names is taken, whatever the study was begun with.
    study(tmp_path, sampler="QMCSampler", pruner="NopPruner")
    assert searched_by() == ["sampler: QMCSampler(seed=0)", "pruner: none"]
