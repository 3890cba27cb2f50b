"""Trials whose jobs a cluster runs: pruned, left by their driver, found again, taken over; none is run twice."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from command import Bench, study, wait_until
from optuna.trial import FrozenTrial, TrialState
from sites import Driver, Site
from studies import folder_of, states, trials
from test_study_storage import RANDOM

from benchmark.tuning.database import storage_url
from benchmark.tuning.opening import open_study
from benchmark.tuning.storage import FOLDER_ID, Store, StudyKey
from benchmark.tuning.study_run import _folder_id

KEY = StudyKey("study", ["maximize"], {"row": "plain"}, {"lr": 0.02})
PRUNED = {"type": "MedianPruner", "n_startup_trials": 1}


@pytest.fixture
def searched(site: Site, tmp_path: Path) -> Site:
    """The site, with a study of three trials: the second and the third are pruned at their second validation."""
    site.bench.experiment = study(tmp_path, n_trials=3, pruner=PRUNED)
    return site


def test_a_study_prunes_on_a_cluster_and_finds_its_jobs_again(
    searched: Site, drive: Callable[..., Driver]
) -> None:
    cluster, bench = searched.cluster, searched.bench
    first = drive("--slots", "1", verb="tune")
    first.hears("queued, toy job 1: Resources")
    cluster.start("1")
    first.hears("iteration 3/9")
    cluster.finish()
    first.hears("queued, toy job 2: Resources")
    (cluster.folder / "finish").unlink()
    cluster.start("2")
    first.hears(": pruned")  # and its slot goes to the next
    first.hears("queued, toy job 3: Resources")
    first.process.kill()
    first.process.wait()
    cluster.start("3")
    pruned = folder_of(bench, trials(bench)[2])
    wait_until(lambda: (pruned / "metrics.jsonl").exists(), "the third")
    second = drive("--slots", "1", verb="tune")
    second.hears("found again: running, toy job 3 on t1")
    assert second.ends() == 0, second.told
    assert states(bench) == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED]
    assert len(cluster.entries()) == 3
    assert len((pruned / "starts.jsonl").read_text().splitlines()) == 1


def left_by_its_driver(site: Site, drive: Callable[..., Driver]) -> None:
    """A trial that runs and one that is queued."""
    driver = drive("--slots", "2", verb="tune")
    driver.hears("queued, toy job 2: Resources")
    site.cluster.start("1")
    driver.hears("iteration 3/9")
    driver.process.send_signal(signal.SIGINT)
    assert driver.ends() == 128 + signal.SIGINT
    assert "left running: 2 jobs (trial 0 " in driver.told
    assert site.cluster.states() == ["running", "queued"]


def test_a_trial_that_is_left_goes_on_and_one_that_is_stopped_waits_for_the_next_driver(
    searched: Site, drive: Callable[..., Driver]
) -> None:
    left_by_its_driver(searched, drive)
    cluster, bench = searched.cluster, searched.bench
    watching = drive("--slots", "2", verb="tune")
    watching.hears("found again: queued, toy job 2: Resources")
    stopped, other = (folder_of(bench, trial).name for trial in trials(bench)[:2])
    assert "taken out of the queue" in searched.stop(other)
    assert "asked to end" in searched.stop(stopped)
    watching.hears("queued, toy job 3: Resources")  # the third, and none of these two again
    cluster.start("3")
    cluster.finish()
    watching.ends()
    assert states(bench) == [TrialState.RUNNING, TrialState.RUNNING, TrialState.COMPLETE]
    (cluster.folder / "finish").unlink()
    third = drive("--slots", "2", verb="tune")
    third.hears("queued, toy job 5: Resources")
    assert "recorded as pruned" in searched.stop(other, "--as-is")
    cluster.start("4")
    cluster.finish()
    assert third.ends() == 0, third.told
    assert states(bench) == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE]


# What other drivers of a shared study do with such a trial


def begun(tmp_path: Path, outlives: bool = True) -> Store:
    """The hands of a driver that has begun a trial and is gone."""
    store = driver_of(tmp_path, "a")
    store.outlives = outlives
    trial = store.next_trial(1)
    assert trial is not None
    trial.set_user_attr("run_id", "trial-0")
    return store


def driver_of(tmp_path: Path, owner: str) -> Store:
    store = open_study(storage_url(None, tmp_path), KEY, owner, RANDOM)
    store.results = tmp_path / owner
    (store.results / "runs").mkdir(parents=True, exist_ok=True)
    (store.results / "runs" / FOLDER_ID).write_text(json.dumps({"id": owner}))
    return store


def after_patience(store: Store) -> optuna.Trial | None:
    assert store.next_trial(1) is None  # it has only just looked
    time.sleep(0.3)
    return store.next_trial(1)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETBOARD_PATIENCE_S", "0.2")


@pytest.mark.usefixtures("impatient")
def test_who_takes_a_trial_over_goes_on_with_its_run_where_that_is(tmp_path: Path) -> None:
    begun(tmp_path)
    other = driver_of(tmp_path, "b")
    taken = after_patience(other)
    assert taken is not None and taken.number == 0
    assert other.where(taken) == tmp_path / "a"
    third = driver_of(tmp_path, "c")  # and who takes it over from that one, too
    again = after_patience(third)
    assert again is not None and third.where(again) == tmp_path / "a"


@pytest.mark.usefixtures("impatient")
def test_a_trial_whose_folder_cannot_be_seen_is_left_alone(tmp_path: Path) -> None:
    begun(tmp_path)
    shutil.move(tmp_path / "a", tmp_path / "away")
    other = driver_of(tmp_path, "b")
    assert other.others_work()  # until it is silent for long enough
    assert after_patience(other) is None
    assert [trial.number for trial in other.out_of_reach()] == [0]
    assert not other.others_work()
    # The folder itself, which has another name, and so another id, now.
    (tmp_path / "c" / "runs" / "trial-0").mkdir(parents=True)
    moved = after_patience(driver_of(tmp_path, "c"))
    assert moved is not None


@pytest.mark.usefixtures("impatient")
def test_a_trial_whose_job_has_ended_with_its_driver_is_begun_anew(tmp_path: Path) -> None:
    begun(tmp_path, outlives=False)
    shutil.move(tmp_path / "a", tmp_path / "away")
    other = driver_of(tmp_path, "b")
    taken = after_patience(other)
    assert taken is not None and other.where(taken) == tmp_path / "b"


def test_a_shared_folder_is_the_same_from_another_machine(tmp_path: Path) -> None:
    first = _folder_id(tmp_path)
    file = tmp_path / "runs" / FOLDER_ID
    elsewhere = {**json.loads(file.read_text()), "host": "login2"}
    file.write_text(json.dumps(elsewhere))
    assert _folder_id(tmp_path) == first
    file.write_text(json.dumps({**elsewhere, "inode": "1"}))  # a copy, on another machine
    assert _folder_id(tmp_path) != first


@pytest.mark.slow
def test_several_drivers_share_a_study_and_its_jobs_on_a_cluster(
    site: Site, drive: Callable[..., Driver], postgresql_url: str, tmp_path: Path
) -> None:
    file = study(tmp_path, name="onacluster", n_trials=2)
    shared = ("--storage", postgresql_url, "--slots", "1")
    site.bench = Bench(site.bench.data, tmp_path / "one", file)
    first = drive(*shared, verb="tune")
    first.hears("queued, toy job 1: Resources")
    site.cluster.start("1")
    first.hears("iteration 3/9")
    first.process.send_signal(signal.SIGTERM)
    assert first.ends() == 128 + signal.SIGTERM
    site.bench = Bench(site.bench.data, tmp_path / "two", file)
    second = drive(*shared, verb="tune", DETBOARD_PATIENCE_S="3")
    second.hears("queued, toy job 2: Resources")
    site.cluster.start("2")
    site.cluster.finish()
    assert second.ends() == 0, second.told
    found = _trials(postgresql_url)
    assert found[0].user_attrs["run_id"] in second.told
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * 2
    assert len(site.cluster.entries()) == 2, "none was run twice"
    assert (tmp_path / "one" / "runs" / found[0].user_attrs["run_id"] / "record.json").exists()
    assert not (tmp_path / "two" / "runs" / found[0].user_attrs["run_id"]).exists()


def _trials(url: str) -> list[FrozenTrial]:
    return optuna.load_study(study_name="onacluster", storage=url).get_trials()
