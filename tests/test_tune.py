"""From outside in: what ``detboard tune`` leaves on disk and in its storage, and what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from boards import make_record
from command import Bench, run, study
from optuna.trial import TrialState
from studies import LONG, QUICK, folder_of, recorded, states, trials, validations
from wandb_file import offline_folders, read_run

from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare

pytestmark = pytest.mark.trains

LR = "optim_wrapper.optimizer.lr"
CHOICES = {"lr": {"choices": [0.02, 0.01]}}
# Gives up every trial but the row's own setting after its first validation.
MERCILESS = {"type": "ThresholdPruner", "lower": 2.0}


@pytest.fixture(scope="module")
def tuned(
    synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Bench, subprocess.CompletedProcess[str]]:
    """Five trials, two at a time, tracked offline; the best one that is not the row's own is promoted."""
    folder = tmp_path_factory.mktemp("tuned")
    search = {
        "lr": {"type": "float", "low": 1e-3, "high": 0.1, "log": True},
        "octave_base_scale": {"type": "int", "low": 2, "high": 6},
        "optim_wrapper.optimizer.momentum": {"choices": [0.9, 0.5]},
    }
    file = study(
        folder, n_trials=5, search=search, sampler={"type": "TPESampler", "n_startup_trials": 2}
    )
    bench = Bench(synthetic_data, folder / "results", file)
    options = ("--slots", "2", "--wandb", "offline", "--set", "train_cfg.max_epochs=3")
    return bench, bench.here("tune", *options, "--promote", "--trial", "1")


def test_every_trial_ends_and_is_a_run(
    tuned: tuple[Bench, subprocess.CompletedProcess[str]],
) -> None:
    bench, done = tuned
    assert done.returncode == 0, done.stdout + done.stderr
    found = trials(bench)
    assert len(found) == 5
    assert all(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in found)
    for trial in found:
        record = recorded(bench, trial)
        assert record["state"] == trial.state.name.lower()
        spec = json.loads((folder_of(bench, trial) / "spec.json").read_text())
        assert spec["params"] == trial.params
        assert spec["trial"] == trial.number
        assert spec["experiment"] == "tune"
        assert spec["overrides"][LR] == trial.params["lr"]
        if trial.state is TrialState.COMPLETE:
            assert trial.value == record["metrics"]["mAP50"]
            assert trial.user_attrs["epochs"] == trial.user_attrs["planned_epochs"] == 3


def test_first_trial_is_the_row_as_it_stands(tuned: tuple[Bench, object]) -> None:
    bench, _ = tuned
    first = trials(bench)[0]
    own = {"lr": 0.02, "octave_base_scale": 4, "optim_wrapper.optimizer.momentum": 0.9}
    assert first.params == own
    assert first.user_attrs["published"]
    # Trained with a seed that the tuned row is not measured with.
    assert recorded(bench, first)["seed"] == 1


def test_every_validation_is_reported(tuned: tuple[Bench, object]) -> None:
    bench, _ = tuned
    for trial in trials(bench):
        text = (folder_of(bench, trial) / "metrics.jsonl").read_text()
        points = [json.loads(line) for line in text.splitlines()]
        values = [point["mAP50"] for point in points if point["kind"] == "val"]
        assert trial.intermediate_values == dict(enumerate(values, start=1))


def test_what_it_found_is_on_disk(
    tuned: tuple[Bench, subprocess.CompletedProcess[str]],
) -> None:
    bench, done = tuned
    folder = bench.results / "studies" / "tune"
    names = {path.name for path in folder.iterdir()}
    assert {"summary.md", "trials.csv", "history.png", "slice.png"} <= names
    table = pd.read_csv(folder / "trials.csv")
    assert list(table["param_lr"]) == [trial.params["lr"] for trial in trials(bench)]
    assert f"wrote {folder / 'summary.md'}" in done.stdout
    assert "5 of 5 trials" in done.stdout
    said = (folder / "summary.md").read_text()
    assert str(bench.data) not in said
    # What the best trial's lead is worth is known: the trials left their draws.
    best = max(trials(bench), key=lambda trial: (trial.state.name == "COMPLETE", trial.value))
    if not best.user_attrs.get("published"):
        assert re.search(
            r"best trial is (better than|not separated from) the row's own setting: ", said
        )
        assert re.search(r"95 % interval,? [+-]0\.\d{4} to \+0\.\d{4} over", said)
    assert "Importances are not shown: 25 complete trials are needed" in said
    weighed = "trial 1 against the row's own setting, on the validation images: (better|worse|not separated)"
    assert re.search(weighed, done.stdout)


def test_promoted_row_is_in_the_experiment_and_the_table(
    tuned: tuple[Bench, subprocess.CompletedProcess[str]],
) -> None:
    bench, done = tuned
    file = bench.experiment.parent / "tiny.tuned.yaml"
    (row,) = yaml.safe_load(file.read_text())["rows"]
    assert (row["name"], row["study"], row["trial"]) == ("plain_tuned", "tune", 1)
    assert row["labels"]["Learning Method"] == "tiny (tuned)"
    assert row["set"][LR] == trials(bench)[1].params["lr"]
    assert "published" not in row
    assert f"row plain_tuned: added to {file}" in done.stdout
    measured = bench.record("plain_tuned")
    assert (measured["seed"], measured["state"]) == (0, "complete")
    assert "tiny (tuned)" in (bench.results / "tiny.md").read_text()


def test_wandb_groups_the_trials(tuned: tuple[Bench, object]) -> None:
    bench, _ = tuned
    trial = trials(bench)[1]
    (folder,) = offline_folders(folder_of(bench, trial))
    tracked = read_run(folder)
    assert tracked.group == "tune"
    assert tracked.config["params"] == trial.params
    assert tracked.config["trial"] == 1
    assert trial.state.name.lower() in tracked.tags
    (folder,) = offline_folders(bench.results / "studies" / "tune")
    of_study = read_run(folder)
    assert of_study.group == "tune"
    assert of_study.summary["study/trials"]["nrows"] == 5
    assert of_study.summary["trials_complete"] + of_study.summary["trials_pruned"] == 5


def test_stock_optuna_command_reads_the_storage(tuned: tuple[Bench, object]) -> None:
    bench, _ = tuned
    stock = str(Path(sys.executable).parent / "optuna")
    url = ["--storage", f"sqlite:///{bench.results / 'studies.db'}"]
    studies = json.loads(run([stock, "studies", *url, "-f", "json"]).stdout)
    assert [(found["name"], found["n_trials"]) for found in studies] == [("tune", 5)]
    named = [*url, "--study-name", "tune", "-f", "json"]
    assert len(json.loads(run([stock, "trials", *named]).stdout)) == 5
    best = json.loads(run([stock, "best-trial", *named]).stdout)
    assert best["value"] == max(t.value for t in trials(bench) if t.state is TrialState.COMPLETE)


def test_same_command_again_runs_nothing(tuned: tuple[Bench, object]) -> None:
    bench, _ = tuned
    before = {path: path.stat().st_mtime_ns for path in bench.results.glob("runs/*-s*/*.json")}
    experiment = (bench.experiment.parent / "tiny.tuned.yaml").read_bytes()
    again = bench.here("tune", "--set", "train_cfg.max_epochs=3", "--promote", "--trial", "1")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing to do: 1 complete" in again.stdout
    assert "row plain_tuned: as it is in" in again.stdout
    after = {path: path.stat().st_mtime_ns for path in bench.results.glob("runs/*-s*/*.json")}
    assert after == before
    assert (bench.experiment.parent / "tiny.tuned.yaml").read_bytes() == experiment


def test_promoted_row_runs_with_the_seeds_of_the_leaderboard(
    tuned: tuple[Bench, object], tmp_path: Path
) -> None:
    """Without a training: what the command would run has a record already."""
    folder = Path(shutil.copytree(tuned[0].experiment.parent, tmp_path / "copy"))
    bench = Bench(tuned[0].data, folder / "results", folder / "tune.yaml")
    request = Request(folder / "tiny.yaml", bench.results, data_root=bench.data)
    started = make_plan(replace(request, rows=("plain",), seeds=(1, 5)))  # trials train with 1
    for planned in started.runs:
        prepare(planned)
    wanted = make_plan(replace(request, rows=("plain_tuned",), seeds=(5, 8)))
    for planned in wanted.runs:
        prepare(planned)
        spec = planned.spec
        record = make_record(spec.row, spec.seed, run_id=spec.run_id, profile=spec.profile)
        planned.folder.write_record(record)
    options = ("--set", "train_cfg.max_epochs=3", "--promote", "--trial", "1", "--wandb", "off")
    done = bench.here("tune", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 1 of the leaderboard is left out for the tuned row" in done.stdout
    assert "nothing to do: 3 complete" in done.stdout  # of seeds 0, 5, 8
    chosen = bench.here("tune", *options, "--seeds", "8")
    assert "nothing to do: 1 complete" in chosen.stdout, chosen.stdout + chosen.stderr


def test_pruned_trial_ends_early_and_keeps_its_best(synthetic_data: Path, tmp_path: Path) -> None:
    bench = Bench(
        synthetic_data, tmp_path / "results", study(tmp_path, n_trials=3, pruner=MERCILESS)
    )
    done = bench.here("tune", *LONG)
    assert done.returncode == 0, done.stdout + done.stderr
    assert states(bench) == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED]
    for trial in trials(bench)[1:]:
        record = recorded(bench, trial)
        folder = folder_of(bench, trial)
        assert record["state"] == "pruned"
        assert record["best"]["mAP50"] == trial.user_attrs["best"]
        assert 1 <= validations(folder) < 5  # the decision falls at the first
        assert trial.user_attrs["epochs"] < trial.user_attrs["planned_epochs"] == 6
        assert not (folder / "stop").exists()
    summary = (bench.results / "studies" / "tune" / "summary.md").read_text()
    assert "2 pruned" in summary


def test_same_parameters_are_not_trained_twice(synthetic_data: Path, tmp_path: Path) -> None:
    file = study(tmp_path, n_trials=20, search=CHOICES, sampler="GridSampler", pruner="NopPruner")
    bench = Bench(synthetic_data, tmp_path / "results", file)
    done = bench.here("tune", *QUICK, "--slots", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    found = trials(bench)
    assert len(list(bench.results.glob("runs/tune-s*"))) == 2
    assert 3 <= len(found) <= 4  # the row's own setting, the two points, one again while it ran
    twin = next(trial for trial in found if "same_as" in trial.user_attrs)
    first = found[twin.user_attrs["same_as"]]
    assert (twin.params, twin.value) == (first.params, first.value)
    assert twin.user_attrs["epochs"] == 0
    assert bench.here("tune", *QUICK).returncode == 0
    assert len(trials(bench)) == len(found)  # exhausted


def test_objective_that_never_arrives_ends_the_study_at_the_first_validation(
    synthetic_data: Path, tmp_path: Path
) -> None:
    file = study(tmp_path, n_trials=4, objective="mAP_l")  # no object is that large
    bench = Bench(synthetic_data, tmp_path / "results", file)
    done = bench.here("tune", *LONG)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "objective 'mAP_l': the first validation of trial 0 has no such value" in done.stderr
    (trial,) = trials(bench)
    assert trial.state is TrialState.FAIL
    assert validations(folder_of(bench, trial)) < 6


def test_two_objectives_give_a_front_and_prune_nothing(
    synthetic_data: Path, tmp_path: Path
) -> None:
    search = {"width": {"choices": [16, 8], "path": "model.neck.out_channels"}}
    search["width"]["with"] = ["model.bbox_head.in_channels"]
    file = study(tmp_path, n_trials=3, search=search, objective=["mAP50", "latency"])
    bench = Bench(synthetic_data, tmp_path / "results", file)
    done = bench.here("tune", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    found = trials(bench)
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * 3
    for trial in found:
        assert trial.values[1] == recorded(bench, trial)["latency_ms"]["median"] > 0
        assert not trial.intermediate_values
    assert "two objectives: no trial is pruned" in done.stdout
    assert "Pareto front: trials" in done.stdout
    assert (bench.results / "studies" / "tune" / "pareto.png").stat().st_size > 5000
    refused = bench.here("tune", *QUICK, "--promote")
    assert refused.returncode == 2
    assert "--trial NUMBER" in refused.stderr


def test_failing_trials_are_said_and_the_study_goes_on(
    synthetic_data: Path, tmp_path: Path
) -> None:
    search = {
        "lr": {"choices": [0.02, 1e30]},  # the second diverges
        "model.neck.num_outs": {"choices": [5, 3]},  # the second does not fit the anchors
    }
    sampler = {"type": "BruteForceSampler"}
    file = study(tmp_path, n_trials=5, search=search, sampler=sampler, pruner="NopPruner")
    bench = Bench(synthetic_data, tmp_path / "results", file)
    done = bench.here("tune", "--set", "train_cfg.max_epochs=1", "--wandb", "off")
    assert done.returncode == 0, done.stdout + done.stderr
    found = trials(bench)
    assert TrialState.RUNNING not in [trial.state for trial in found]
    failed = [trial for trial in found if trial.state is TrialState.FAIL]
    kinds = {trial.user_attrs["cause"].partition(":")[0] for trial in failed}
    assert kinds == {"diverged", "error"}
    for trial in failed:
        assert f"trial {trial.number}: failed: {trial.user_attrs['cause']}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
