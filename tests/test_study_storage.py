"""The contract of a shared study, over each storage: no trial is lost, and none has two drivers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from benchmark.errors import UserError
from benchmark.tuning import database, storage
from benchmark.tuning.database import Busy, open_storage, storage_url
from benchmark.tuning.opening import open_study
from benchmark.tuning.storage import Store, Strategies, StudyKey

MADE_FOR = {"row": "plain", "search space": {"lr": {"low": 0.001, "high": 0.1}}}

RANDOM = Strategies(
    optuna.samplers.RandomSampler(0), optuna.pruners.NopPruner(), "RandomSampler", "none", 4
)

Open = Callable[..., Store]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same study for a driver by its owner's name."""
    if request.param == "sqlite":
        url = storage_url(None, tmp_path / "results")
    else:
        url = storage_url(request.getfixturevalue("postgresql_url"), tmp_path)
    name = uuid.uuid4().hex

    def open_for(owner: str, made_for: dict[str, Any] = MADE_FOR) -> Store:
        key = StudyKey(name, ["maximize"], made_for, {"lr": 0.02})
        return open_study(url, key, owner, RANDOM)

    return open_for


def _suggest(trial: optuna.Trial | None) -> float:
    assert trial is not None
    return trial.suggest_float("lr", 0.001, 0.1, log=True)


def _states(store: Store) -> list[TrialState]:
    return [trial.state for trial in store.study.get_trials()]


def test_first_trial_is_the_published_setting_once(opened: Open) -> None:
    first, second = opened("a"), opened("b")
    ours, theirs = first.next_trial(2), second.next_trial(2)
    assert _suggest(ours) == 0.02
    assert ours.user_attrs["published"]
    assert _suggest(theirs) != 0.02
    assert first.next_trial(2) is None
    assert second.next_trial(2) is None


def test_trial_of_a_dead_driver_goes_on_in_its_folder(opened: Open) -> None:
    before = opened("a")
    trial = before.next_trial(1)
    value = _suggest(trial)
    trial.report(0.5, 1)
    after = opened("a")  # the folder's lock says that the first driver is dead
    again = after.next_trial(1)
    assert (again.number, _suggest(again)) == (trial.number, value)
    assert after.tell(again, TrialState.COMPLETE, [0.7], {"epochs": 3.0})
    (told,) = after.study.get_trials()
    assert (told.state, told.value, told.intermediate_values) == (
        TrialState.COMPLETE,
        0.7,
        {1: 0.5},
    )
    assert told.user_attrs["epochs"] == 3.0
    assert after.next_trial(1) is None


def test_silent_driver_loses_its_trial_and_cannot_tell(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper, survivor = opened("a"), opened("b")
    trial = sleeper.next_trial(1)
    value = _suggest(trial)
    sleeper.beat()
    assert survivor.next_trial(1) is None  # seen alive
    assert survivor.others_work()
    monkeypatch.setenv("DETBOARD_PATIENCE_S", "1e-9")
    taken = survivor.next_trial(1)
    assert (taken.number, _suggest(taken)) == (trial.number, value)
    monkeypatch.setattr(sleeper, "_next_beat", 0.0)
    assert sleeper.beat() == {trial.number}
    assert not sleeper.tell(trial, TrialState.COMPLETE, [0.1], {})
    assert survivor.tell(taken, TrialState.COMPLETE, [0.9], {})
    assert [t.value for t in survivor.study.get_trials()] == [0.9]


def test_driver_that_gives_signs_keeps_its_trial(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, other = opened("a"), opened("b")
    worker.next_trial(1)
    signs = iter(range(100))
    monkeypatch.setattr(storage, "now", lambda: f"sign {next(signs)}")
    monkeypatch.setenv("DETBOARD_PATIENCE_S", "1e-9")
    for _ in range(3):
        worker._next_beat = 0.0
        worker.beat()
        assert other.next_trial(1) is None


def test_trial_is_told_once(opened: Open) -> None:
    store = opened("a")
    trial = store.next_trial(1)
    _suggest(trial)
    assert store.tell(trial, TrialState.FAIL, None, {"cause": "error: x"})
    assert not store.tell(trial, TrialState.COMPLETE, [1.0], {})
    assert _states(store) == [TrialState.FAIL]


def test_study_for_something_else_is_refused(opened: Open) -> None:
    opened("a")
    other = {"row": "plain", "search space": {"lr": {"low": 0.001, "high": 0.5}}, "profile": "full"}
    with pytest.raises(UserError) as refused:
        opened("a", other)
    words = str(refused.value)
    assert "another search space: lr (high (was 0.1, is 0.5))" in words
    assert "another profile: full is new" in words
    assert len(refused.value.problems) == 2


@pytest.mark.slow
def test_study_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    url = storage_url(None, tmp_path)
    study = optuna.create_study(storage=open_storage(url), study_name="theirs")
    study.tell(study.ask(), 1.0)
    key = StudyKey("theirs", ["maximize"], MADE_FOR, {"lr": 0.02})
    with pytest.raises(UserError, match="DetBoard did not make"):
        open_study(url, key, "a", RANDOM)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "this is no database URL"),
        ("mysql://u:secret@h/d", "cannot hold a study"),
        ("sqlite://", "cannot hold a study"),
        ("sqlite:///:memory:", "cannot hold a study"),
        ("postgresql://u:sec:secret@h:1@x/d", "no database URL"),
        ("postgresql://u:a@secret:b/d", "no database URL"),
        ("postgresql://u:a@secret@h:1/d", "no database URL"),
        ("mysql://h/d?user=u&password=secret", "mysql://h/d cannot hold a study"),
        ("postgresql://u:secret@h", "cannot hold a study"),
        ("sqlite:////nowhere/at/all/studies.db", "no folder /nowhere/at/all"),
    ],
)
def test_url_that_cannot_hold_a_study(url: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words) as refused:
        storage_url(url, tmp_path)
    assert "secret" not in str(refused.value)


def test_storage_that_cannot_be_reached(tmp_path: Path) -> None:
    url = storage_url("postgresql://someone:secret@127.0.0.1:1/none", tmp_path)
    with pytest.raises(UserError, match="cannot be used") as refused:
        open_storage(url)
    assert "secret" not in str(refused.value)
    assert len(refused.value.problems) == 1


def test_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "studies.db").write_text("not a database, but a text of some length" * 100)
    with pytest.raises(UserError, match=r"studies\.db: cannot be used: .*not a database"):
        open_storage(storage_url(None, tmp_path))


@pytest.mark.slow
def test_wrong_password_is_said_without_it(postgresql_url: str, tmp_path: Path) -> None:
    wrong = postgresql_url.replace(postgresql_url.split(":")[2].split("@")[0], "wrong-secret")
    with pytest.raises(UserError, match="password authentication failed") as refused:
        open_storage(storage_url(wrong, tmp_path))
    assert "wrong-secret" not in str(refused.value)


def test_sign_of_life_comes_before_the_trial(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another driver still remembers the last sign of the one before, from long ago."""
    before, other = opened("a"), opened("b")
    before.next_trial(1)
    assert other.next_trial(1) is None
    monkeypatch.setenv("DETBOARD_PATIENCE_S", "0.05")
    time.sleep(0.1)
    monkeypatch.setattr(storage, "now", lambda: "a new sign")
    again = opened("a").next_trial(1)
    assert again is not None
    assert other.next_trial(1) is None


def test_lock_that_is_held_is_an_outage_and_no_end(opened: Open) -> None:
    first, second = opened("a"), opened("b")
    with first.lock.held(), pytest.raises(Busy), second.lock.held(0.2):
        pass
    assert isinstance(Busy(), database.OUTAGES)
    with second.lock.held(0.2):
        pass


def test_no_more_trials_than_asked_for(opened: Open) -> None:
    assert opened("a").next_trial(0) is None  # the row's own setting waits, too


def test_study_that_was_deleted_and_made_again_has_another_id(tmp_path: Path) -> None:
    url, key = storage_url(None, tmp_path), StudyKey("s", ["maximize"], MADE_FOR, {"lr": 0.02})
    first = open_study(url, key, "a", RANDOM).study_id
    assert open_study(url, key, "a", RANDOM).study_id == first
    optuna.delete_study(study_name="s", storage=str(url))
    assert open_study(url, key, "a", RANDOM).study_id != first
