"""Kill anything in a study, or ask for more of it: no trial is lost, none is run twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command import Bench, job_pid, kill_group, study, wait_until
from held_out import give_test, with_test
from optuna.trial import FrozenTrial, TrialState
from studies import LONG, QUICK, folder_of, states, trials, validations

from benchmark import locks
from benchmark.data.dataset import describe
from benchmark.run.folder import RunFolder

pytestmark = pytest.mark.trains

NO_PRUNER = {"pruner": "NopPruner", "n_trials": 2}


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


@pytest.mark.slow
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

    again = bench.here("tune", *LONG)
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
def tested_data(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data with a test split."""
    data = with_test(synthetic_data, tmp_path_factory.mktemp("tested") / "data", apart=False)
    give_test(data)
    return data


@pytest.fixture(scope="module")
def one_trial(tested_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of one trial that has ended."""
    folder = tmp_path_factory.mktemp("one")
    done = Bench(tested_data, folder / "results", study(folder, n_trials=1)).here("tune", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def ended(one_trial: Path, tested_data: Path, tmp_path: Path) -> Bench:
    """A copy of that folder."""
    folder = Path(shutil.copytree(one_trial, tmp_path / "copy"))
    # As if it had always been there: a copy is another folder, and would wait for the first one's sign of life.
    name = folder / "results" / "runs" / ".folder-id"
    name.write_text(name.read_text().replace(str(one_trial), str(folder)))
    return Bench(tested_data, folder / "results", folder / "tune.yaml")


def test_no_trial_holds_anything_of_the_test_split(ended: Bench) -> None:
    """Neither its folder, nor its record, nor the study's storage, although the data of the study has one."""
    (trial,) = trials(ended)
    folder = folder_of(ended, trial)
    assert not [path for path in folder.rglob("*") if "test" in path.name]
    known = describe(ended.data).test
    assert known is not None
    spec = RunFolder(folder).read_spec()
    assert spec.study is not None
    assert spec.dataset.test is None
    with closing(sqlite3.connect(ended.results / "studies.db")) as connection:
        stored = "\n".join(connection.iterdump())
    written = [path.read_text(errors="replace") for path in folder.glob("*.json*")]
    for text in (stored, *written, (folder / "log.txt").read_text()):
        assert known.sha256 not in text
        assert "test.json" not in text
        assert "on test" not in text
        assert "test_map" not in text.lower()


def test_more_trials_can_be_asked_for(ended: Bench) -> None:
    (first,) = trials(ended)
    more = ended.here("tune", *QUICK, "--trials", "2")
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
    again = ended.here("tune", *QUICK)
    assert again.returncode == 0, again.stdout + again.stderr
    (after,) = trials(ended)
    assert (after.state, after.value) == (TrialState.COMPLETE, before.value)
    assert after.user_attrs["epochs"] == 2
    assert "same_as" not in after.user_attrs
    assert (folder_of(ended, before) / "record.json").stat().st_mtime_ns == record


def test_study_for_something_else_is_refused(ended: Bench) -> None:
    study(ended.experiment.parent, search={"lr": {"type": "float", "low": 0.01, "high": 0.1}})
    refused = ended.here("tune", *QUICK)
    assert refused.returncode == 2
    assert "study 'tune' was made for another search space: lr" in refused.stderr
    assert "another 'name'" in refused.stderr
    assert "another config of that row" not in refused.stderr
    changed = ended.here("tune", "--set", "train_cfg.max_epochs=1", "--wandb", "off")
    assert "another config of that row" in changed.stderr
    assert len(trials(ended)) == 1


def test_promotion_without_a_better_trial_says_so(ended: Bench) -> None:
    experiment = ended.experiment.parent / "tiny.yaml"
    before = experiment.read_bytes()
    done = ended.here("tune", *QUICK, "--promote")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to promote: no trial beat the row's own setting" in done.stdout
    assert experiment.read_bytes() == before
    assert not experiment.with_name("tiny.tuned.yaml").exists()
    wrong = ended.here("tune", *QUICK, "--promote", "--trial", "7")
    assert wrong.returncode == 2
    assert "--trial 7: no such complete trial; allowed: 0" in wrong.stderr
