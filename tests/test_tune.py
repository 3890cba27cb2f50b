"""From outside in: what ``detboard tune`` leaves on disk and in its storage, and what it says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
import yaml
from command import Bench, job_pid, kill_group, run, study, wait_until
from optuna.trial import FrozenTrial, TrialState
from wandb_file import offline_folders, read_run

from benchmark import locks

QUICK = ("--set", "train_cfg.max_epochs=2", "--wandb", "off")
LR = "optim_wrapper.optimizer.lr"
CHOICES = {"lr": {"choices": [0.02, 0.01]}}
# Gives up every trial but the row's own setting after its first validation.
MERCILESS = {"type": "ThresholdPruner", "lower": 2.0}


def trials(bench: Bench, name: str = "tune") -> list[FrozenTrial]:
    url = f"sqlite:///{bench.results / 'studies.db'}"
    return optuna.load_study(study_name=name, storage=url).get_trials()


def states(bench: Bench) -> list[TrialState]:
    return [trial.state for trial in trials(bench)]


def folder_of(bench: Bench, trial: FrozenTrial) -> Path:
    return bench.results / "runs" / trial.user_attrs["run_id"]


def recorded(bench: Bench, trial: FrozenTrial) -> dict[str, Any]:
    return json.loads((folder_of(bench, trial) / "record.json").read_text())


def validations(folder: Path) -> int:
    path = folder / "metrics.jsonl"
    return path.read_text().count('"kind": "val"') if path.exists() else 0


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
    return bench, bench.run("tune", *options, "--promote", "--trial", "1")


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
    assert {"summary.md", "trials.csv", "study.html", "history.png", "slice.png"} <= names
    table = pd.read_csv(folder / "trials.csv")
    assert list(table["param_lr"]) == [trial.params["lr"] for trial in trials(bench)]
    assert f"wrote {folder / 'summary.md'}" in done.stdout
    assert "5 of 5 trials" in done.stdout
    assert str(bench.data) not in (folder / "summary.md").read_text()


def test_promoted_row_is_in_the_experiment_and_the_table(
    tuned: tuple[Bench, subprocess.CompletedProcess[str]],
) -> None:
    bench, _ = tuned
    text = (bench.experiment.parent / "tiny.yaml").read_text()
    row = yaml.safe_load(text)["rows"][-1]
    assert (row["name"], row["study"]) == ("plain_tuned", "tune")
    assert row["labels"]["Learning Method"] == "tiny (tuned)"
    assert row["set"][LR] == trials(bench)[1].params["lr"]
    assert "published" not in row
    assert "# study tune, trial 1" in text
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
    experiment = (bench.experiment.parent / "tiny.yaml").read_bytes()
    again = bench.run("tune", "--set", "train_cfg.max_epochs=3", "--promote", "--trial", "1")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing to do: 1 complete" in again.stdout
    assert "row plain_tuned: as it is in" in again.stdout
    after = {path: path.stat().st_mtime_ns for path in bench.results.glob("runs/*-s*/*.json")}
    assert after == before
    assert (bench.experiment.parent / "tiny.yaml").read_bytes() == experiment


def test_pruned_trial_ends_early_and_keeps_its_best(synthetic_data: Path, tmp_path: Path) -> None:
    bench = Bench(
        synthetic_data, tmp_path / "results", study(tmp_path, n_trials=3, pruner=MERCILESS)
    )
    done = bench.run("tune", *LONG)
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


def _start_and_wait(bench: Bench, *options: str, number: int, times: int) -> subprocess.Popen[str]:
    """Starts a study and waits until a trial has been validated so often."""
    driver = bench.start("tune", *options)
    wait_until(_validated(bench, number, times), f"{times} validations of trial {number}")
    return driver


def _validated(bench: Bench, number: int, times: int) -> Callable[[], bool]:
    def enough() -> bool:
        specs = list(bench.results.glob("runs/tune-s*/spec.json"))
        mine = [s for s in specs if json.loads(s.read_text())["trial"] == number]
        return bool(mine) and validations(mine[0].parent) >= times

    return enough


LONG = ("--set", "train_cfg.max_epochs=6", "--wandb", "off")
NO_PRUNER = {"pruner": "NopPruner", "n_trials": 2}


def test_whatever_is_killed_no_trial_is_lost(synthetic_data: Path, tmp_path: Path) -> None:
    """First the job of a trial, which its driver continues; then the driver, in the next trial."""
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path, **NO_PRUNER))
    driver = _start_and_wait(bench, *LONG, number=0, times=2)
    os.kill(job_pid(folder_of(bench, trials(bench)[0])), signal.SIGKILL)
    wait_until(_validated(bench, 1, 2), "two validations of trial 1")
    kill_group(driver)
    finished, interrupted = trials(bench)
    assert (finished.state, interrupted.state) == (TrialState.COMPLETE, TrialState.RUNNING)
    assert len(finished.intermediate_values) == len(_points(bench, finished, "val")) == 6
    assert len(_points(bench, finished, "start")) == 2
    untouched = (folder_of(bench, finished) / "record.json").stat().st_mtime_ns

    again = bench.run("tune", *LONG)
    assert again.returncode == 0, again.stdout + again.stderr
    assert states(bench) == [TrialState.COMPLETE] * 2
    continued = trials(bench)[1]
    assert continued.params == interrupted.params
    assert continued.user_attrs["run_id"] == interrupted.user_attrs["run_id"]
    before, after = interrupted.intermediate_values, continued.intermediate_values
    assert set(before.items()) <= set(after.items())
    assert len(after) == 6
    assert [start["iter"] > 0 for start in _points(bench, continued, "start")] == [False, True]
    assert (folder_of(bench, finished) / "record.json").stat().st_mtime_ns == untouched


def _points(bench: Bench, trial: FrozenTrial, kind: str) -> list[dict[str, Any]]:
    lines = (folder_of(bench, trial) / "metrics.jsonl").read_text().splitlines()
    return [point for line in lines if (point := json.loads(line))["kind"] == kind]


def test_trial_whose_job_is_killed_each_time_fails(synthetic_data: Path, tmp_path: Path) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path, n_trials=1))
    driver = bench.start("tune", *LONG)
    killed: set[int] = set()
    for _ in range(3):
        wait_until(lambda: _new_job(bench, killed) is not None, "a job")
        pid = _new_job(bench, killed)
        killed.add(pid)
        os.kill(pid, signal.SIGKILL)
    output, _ = driver.communicate(timeout=200)
    assert driver.returncode == 1, output
    (trial,) = trials(bench)
    assert trial.state is TrialState.FAIL
    assert "lost 3 times: killed by signal 9" in trial.user_attrs["cause"]
    assert "trial 0: failed: lost 3 times" in output


def _new_job(bench: Bench, before: set[int]) -> int | None:
    for holder in bench.results.glob("runs/tune-s*/job.lock.holder"):
        pid = json.loads(holder.read_text())["pid"]
        if pid not in before:
            return pid
    return None


def _sql(database: Path, statement: str) -> None:
    import sqlite3

    with sqlite3.connect(database) as connection:
        connection.execute(statement)
    connection.close()


def test_same_parameters_are_not_trained_twice(synthetic_data: Path, tmp_path: Path) -> None:
    file = study(tmp_path, n_trials=20, search=CHOICES, sampler="GridSampler", pruner="NopPruner")
    bench = Bench(synthetic_data, tmp_path / "results", file)
    done = bench.run("tune", *QUICK, "--slots", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    found = trials(bench)
    assert len(list(bench.results.glob("runs/tune-s*"))) == 2
    assert 3 <= len(found) <= 4  # the row's own setting, the two points, one again while it ran
    twin = next(trial for trial in found if "same_as" in trial.user_attrs)
    first = found[twin.user_attrs["same_as"]]
    assert (twin.params, twin.value) == (first.params, first.value)
    assert twin.user_attrs["epochs"] == 0
    assert bench.run("tune", *QUICK).returncode == 0
    assert len(trials(bench)) == len(found)  # exhausted


def test_objective_that_never_arrives_ends_the_study_at_the_first_validation(
    synthetic_data: Path, tmp_path: Path
) -> None:
    file = study(tmp_path, n_trials=4, objective="mAP_l")  # no object is that large
    bench = Bench(synthetic_data, tmp_path / "results", file)
    done = bench.run("tune", *LONG)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "objective 'mAP_l': the first validation of trial 0 has no such value" in done.stderr
    (trial,) = trials(bench)
    assert trial.state is TrialState.FAIL
    assert validations(folder_of(bench, trial)) < 6


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
        ({"objective": ["mAP50", "params"], "pruner": "MedianPruner"}, ["pruner: Optuna cannot"]),
        ({"n_trials": 0, "serch": {}}, ["n_trials", "serch"]),
        ({"experiment": "gone.yaml"}, ["gone.yaml: cannot be read"]),
    ],
)
def test_wrong_study_is_refused_before_anything_is_made(
    change: dict[str, Any], problems: list[str], synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path, **change))
    refused = bench.run("tune", "--wandb", "off")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    for problem in problems:
        assert problem in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(bench.results.glob("studies*"))
    assert not list(bench.results.glob("runs/*-s*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--storage", "postgresql://u:secret@127.0.0.1:1/d"), "cannot be used"),
        (("--storage", "studies.db"), "this is no database URL"),
        (("--trial", "3"), "give --promote"),
        (("--launcher", "slurm"), "no such launcher"),
        (("--wandb", "perhaps"), "allowed: auto"),
    ],
)
def test_wrong_options(
    options: tuple[str, ...], words: str, synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path))
    refused = bench.run("tune", *options)
    assert refused.returncode == 2
    assert words in refused.stderr
    assert "secret" not in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(bench.results.glob("runs/*-s*"))


def test_ctrl_c_keeps_the_study(synthetic_data: Path, tmp_path: Path) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path, n_trials=1))
    driver = _start_and_wait(bench, *LONG, number=0, times=2)
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=100)
    assert driver.returncode == 130, output
    assert "interrupted: the same command continues where it was" in output
    assert "Traceback" not in output
    (trial,) = trials(bench)
    assert not (folder_of(bench, trial) / "record.json").exists()
    wait_until(lambda: not locks.is_held(folder_of(bench, trial) / "job.lock"), "the job's end")


@pytest.fixture(scope="module")
def one_trial(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of one trial that has ended."""
    folder = tmp_path_factory.mktemp("one")
    done = Bench(synthetic_data, folder / "results", study(folder, n_trials=1)).run("tune", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def ended(one_trial: Path, synthetic_data: Path, tmp_path: Path) -> Bench:
    """A copy of that folder."""
    folder = Path(shutil.copytree(one_trial, tmp_path / "copy"))
    # As if it had always been there: a copy is another folder, and would wait for the first one's sign of life.
    name = folder / "results" / "runs" / ".folder-id"
    name.write_text(name.read_text().replace(str(one_trial), str(folder)))
    return Bench(synthetic_data, folder / "results", folder / "tune.yaml")


def test_more_trials_can_be_asked_for(ended: Bench) -> None:
    (first,) = trials(ended)
    more = ended.run("tune", *QUICK, "--trials", "2")
    assert more.returncode == 0, more.stdout + more.stderr
    assert len(trials(ended)) == 3
    assert trials(ended)[0].datetime_complete == first.datetime_complete


def test_driver_killed_before_it_could_tell_tells_later(ended: Bench) -> None:
    (before,) = trials(ended)
    # As it stood after record.json was written and before Optuna was told.
    database = ended.results / "studies.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE trials SET state = 'RUNNING', datetime_complete = NULL")
        connection.execute("DELETE FROM trial_values")
    record = (folder_of(ended, before) / "record.json").stat().st_mtime_ns
    again = ended.run("tune", *QUICK)
    assert again.returncode == 0, again.stdout + again.stderr
    (after,) = trials(ended)
    assert (after.state, after.value) == (TrialState.COMPLETE, before.value)
    assert after.user_attrs["epochs"] == 2
    assert "same_as" not in after.user_attrs
    assert (folder_of(ended, before) / "record.json").stat().st_mtime_ns == record


def test_study_for_something_else_is_refused(ended: Bench) -> None:
    study(ended.experiment.parent, search={"lr": {"type": "float", "low": 0.01, "high": 0.1}})
    refused = ended.run("tune", *QUICK)
    assert refused.returncode == 2
    assert "study 'tune' was made for another search space: lr" in refused.stderr
    assert "another 'name'" in refused.stderr
    assert "another config of that row" not in refused.stderr
    changed = ended.run("tune", "--set", "train_cfg.max_epochs=1", "--wandb", "off")
    assert "another config of that row" in changed.stderr
    assert len(trials(ended)) == 1


def test_promotion_without_a_better_trial_says_so(ended: Bench) -> None:
    experiment = ended.experiment.parent / "tiny.yaml"
    before = experiment.read_bytes()
    done = ended.run("tune", *QUICK, "--promote")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to promote: no trial beat the row's own setting" in done.stdout
    assert experiment.read_bytes() == before
    wrong = ended.run("tune", *QUICK, "--promote", "--trial", "7")
    assert wrong.returncode == 2
    assert "--trial 7: no such complete trial; allowed: 0" in wrong.stderr


def test_two_objectives_give_a_front_and_prune_nothing(
    synthetic_data: Path, tmp_path: Path
) -> None:
    search = {"width": {"choices": [16, 8], "path": "model.neck.out_channels"}}
    search["width"]["with"] = ["model.bbox_head.in_channels"]
    file = study(tmp_path, n_trials=3, search=search, objective=["mAP50", "latency"])
    bench = Bench(synthetic_data, tmp_path / "results", file)
    done = bench.run("tune", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    found = trials(bench)
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * 3
    for trial in found:
        assert trial.values[1] == recorded(bench, trial)["latency_ms"]["median"] > 0
        assert not trial.intermediate_values
    assert "two objectives: no trial is pruned" in done.stdout
    assert "Pareto front: trials" in done.stdout
    assert (bench.results / "studies" / "tune" / "pareto.png").stat().st_size > 5000
    refused = bench.run("tune", *QUICK, "--promote")
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
    done = bench.run("tune", "--set", "train_cfg.max_epochs=1", "--wandb", "off")
    assert done.returncode == 0, done.stdout + done.stderr
    found = trials(bench)
    assert TrialState.RUNNING not in [trial.state for trial in found]
    failed = [trial for trial in found if trial.state is TrialState.FAIL]
    kinds = {trial.user_attrs["cause"].partition(":")[0] for trial in failed}
    assert kinds == {"diverged", "error"}
    for trial in failed:
        assert f"trial {trial.number}: failed: {trial.user_attrs['cause']}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
