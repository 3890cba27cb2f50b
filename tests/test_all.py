"""`detboard all`, which run_all.sh runs, in a folder with small experiments in place of the shipped ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml
from command import here

_PARTS = {
    "backbone": "resnet18_w16",
    "neck": "fpn_w32",
    "head": "retina_w32",
    "schedule": "adamw_9e",
}
_LR = "optim_wrapper.optimizer.lr"
_ONE_EPOCH = ("--set", "train_cfg.max_epochs=1")


def experiment(title: str, **changes: Any) -> dict[str, Any]:
    row = {"name": "r18", "parts": _PARTS, "set": changes}
    return {"title": title, "rows": [row], "dataset": {"root": "../data/synthetic"}}


def miniature() -> dict[str, Any]:
    row = {"name": "mini", "parts": _PARTS, "set": {"train_cfg.max_epochs": 1}}
    return {"rows": [row], "dataset": {"root": "../data/miniature"}, "seeds": [0, 1, 2]}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A row learns nothing at its own rate, so that one of its trials is better."""
    folder = tmp_path / "experiments"
    (folder / "tune").mkdir(parents=True)
    search = {"lr": {"type": "float", "low": 1e-8, "high": 3e-3}}
    files = {
        "leaderboard.yaml": experiment("Board"),
        "miniature.yaml": miniature(),
        "small.yaml": experiment("Small", **{_LR: 1e-8, "train_cfg.max_epochs": 1}),
        "tune/small.yaml": {
            "name": "small_tpe",
            "experiment": "../small.yaml",
            "row": "r18",
            "n_trials": 1,
            "search": search,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content))
    return tmp_path


def run_all(checkout: Path, *options: str) -> CompletedProcess[str]:
    return here(["all", *options], folder=checkout)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.*")}


@pytest.mark.trains
@pytest.mark.slow
def test_sweeps_all_experiments_and_promotes_the_best_trial(checkout: Path) -> None:
    before = contents(checkout / "experiments")
    options = ("--results", "out", "--slots", "1", "--wandb", "off", "--seeds", "5")
    done = run_all(checkout, *options, "--trials", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    out = checkout / "out"
    assert len(list((checkout / "data" / "synthetic" / "images").glob("*.png"))) == 260
    # The profile and the seeds are the leaderboard's; the small row has its own; of the miniature's seeds one is run.
    found = [path for kind in ("r18-s*", "mini-s*") for path in (out / "runs").glob(kind)]
    runs = sorted(path.name.rpartition("-")[0] for path in found)
    assert runs == ["mini-s0-full", "r18-s0-full", "r18-s5-smoke"]
    assert "smoke" in (out / "leaderboard.smoke.md").read_text()
    assert "| complete |" in (out / "miniature.md").read_text()  # on data of its own
    assert "r18_tuned" in (out / "small.synthetic.csv").read_text()
    assert (out / "studies" / "small_tpe" / "summary.md").exists()
    assert not list(out.rglob("wandb"))  # --wandb, --results and --slots go to all commands
    assert done.stdout.count(", 1 at a time") >= 3
    assert not (checkout / "results").exists()
    # The best trial became a row of a copy.
    assert contents(checkout / "experiments") == before
    copied = contents(out / "experiments")
    tuned = copied.pop(out / "experiments" / "small.tuned.yaml")
    assert b"r18_tuned" in tuned
    assert {path.relative_to(out): text for path, text in copied.items()} == {
        path.relative_to(checkout): text
        for path, text in before.items()
        if path.name not in ("leaderboard.yaml", "miniature.yaml")
    }

    again = run_all(checkout, *options)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "r18_tuned" in (out / "small.synthetic.csv").read_text()
    assert len(list((out / "runs").glob("r18_tuned*"))) == 1


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.parametrize("option", ["--data-root", "--profile"])
def test_tunes_nothing_on_data_or_under_a_profile_of_ones_own(
    checkout: Path, synthetic_data: Path, option: str
) -> None:
    data = shutil.copytree(synthetic_data, checkout / "mine")
    value = {"--data-root": str(data), "--profile": "smoke"}[option]
    done = run_all(checkout, option, value, *_ONE_EPOCH)
    assert done.returncode == 0, done.stdout + done.stderr
    (spec,) = checkout.glob("results/runs/*-smoke-*/spec.json")
    used = json.loads(spec.read_text())["dataset"]["train"]["annotations"]
    own = {"--data-root": data, "--profile": checkout / "data" / "synthetic"}[option]
    assert used == str(own / "train.json")
    assert not (checkout / "results" / "experiments").exists()
    assert not (checkout / "results" / "studies").exists()
    assert not (checkout / "data" / "miniature").exists()


@pytest.mark.trains
@pytest.mark.slow
def test_tunes_nothing_after_a_failure(checkout: Path) -> None:
    done = run_all(checkout, "--set", f"{_LR}=1e30", *_ONE_EPOCH)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "diverged" in done.stdout
    assert not (checkout / "results" / "experiments").exists()


def test_wrong_options_end_it_before_anything_runs(checkout: Path, tmp_path: Path) -> None:
    done = run_all(checkout, "--data-root", str(tmp_path / "no"), "--rows", "r19")
    assert done.returncode == 2
    assert "no such folder" in done.stderr
    assert "did you mean 'r18'?" in done.stderr
    assert not (checkout / "data").exists()
    assert not list(checkout.glob("results/runs/*"))


def test_trials_of_a_study_that_is_not_made_are_refused(checkout: Path) -> None:
    done = run_all(checkout, "--profile", "smoke", "--trials", "3")
    assert done.returncode == 2
    assert done.stderr == ("error: --trials 3: nothing is tuned with --data-root or --profile\n")
    assert not (checkout / "data").exists()


def test_rows_are_those_of_both_leaderboards(checkout: Path) -> None:
    done = run_all(checkout, "--rows", "mini, r19,")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: --rows r19: no such row; allowed: mini, r18; did you mean 'r18'?",
        "error: --rows : no such row; allowed: mini, r18",
    ]
    assert not (checkout / "data").exists()


def test_elsewhere_says_where_it_runs(tmp_path: Path) -> None:
    done = run_all(tmp_path)
    assert done.returncode == 2
    assert "in the folder of a checkout" in done.stderr
    assert not (tmp_path / "data").exists()
