"""The driver's decisions that no short study shows: what a record becomes, and a storage that is gone for a while."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from records import record

from benchmark.data.dataset import Dataset, Split
from benchmark.errors import UserError
from benchmark.files import read_json, write_json
from benchmark.run import folder
from benchmark.run.folder import RunFolder
from benchmark.run.journal import Journal, Tail
from benchmark.run.record import Metrics, RunRecord, State
from benchmark.run.spec import RunSpec
from benchmark.run.state import Planned, look
from benchmark.tuning.database import OUTAGES, storage_url
from benchmark.tuning.driver import Asked, Tuner
from benchmark.tuning.open_trial import as_trial, outcome
from benchmark.tuning.opening import open_study
from benchmark.tuning.storage import Store, Strategies, StudyKey
from benchmark.tuning.study import planned_validations

SPLIT = Split(Path("train.json"), Path("images"), "0" * 64)
DATA = Dataset("data", ("Metal",), SPLIT, SPLIT)


@pytest.mark.parametrize(
    ("given", "objectives", "expected"),
    [
        (record(), ["mAP50"], (TrialState.COMPLETE, [0.5], "")),
        (record(metrics={}, no_predictions=True), ["mAP50"], (TrialState.COMPLETE, [0.0], "")),
        (record(), ["mAP_l"], (TrialState.FAIL, None, "the run has no value for mAP_l")),
        (
            replace(record(), metrics=Metrics({"mAP50": float("nan")})),
            ["mAP50"],
            (TrialState.FAIL, None, "the run has no value for mAP50"),
        ),
        (record(state=State.PRUNED), ["mAP50"], (TrialState.PRUNED, None, "")),
        (
            record(state=State.FAILED, failure={"kind": "diverged", "message": "loss is nan\nmore"}),
            ["mAP50"],
            (TrialState.FAIL, None, "diverged: loss is nan"),
        ),
    ],
)  # fmt: skip
def test_what_a_record_becomes(given: RunRecord, objectives: list[str], expected: Any) -> None:
    assert outcome(given, objectives) == expected


@pytest.mark.parametrize(
    ("loop", "number"),
    [
        ({"max_epochs": 12, "val_interval": 1}, 12),
        ({"max_epochs": 12, "val_interval": 5}, 3),  # 5, 10, and the end
        ({"max_epochs": 12, "val_interval": 1, "val_begin": 10}, 3),
        ({"max_iters": 90000, "val_interval": 1000}, 90),
        ({"max_epochs": 3, "val_interval": 10}, 1),
    ],
)
def test_number_of_validations(loop: dict[str, int], number: int) -> None:
    assert planned_validations({"train_cfg": loop}) == number


class Silent:
    """A watcher that shows nothing, and remembers what it was to say."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def started(self, run: Planned) -> None: ...
    def ended(self, run: Planned, cause: str) -> None: ...
    def stands(self, run: Planned) -> None: ...
    def put_back(self, run: Planned, cause: str) -> None: ...
    def say(self, text: str) -> None:
        self.said.append(text)

    def tick(self) -> None: ...


def planned(results: Path, params: dict[str, Any], number: int = 0) -> Planned:
    digest = f"{abs(hash(str(params))) % 16**8:08x}"
    spec = RunSpec(f"plain-s0-tiny-{digest}", "tiny", "plain", {}, "parts", {}, 0, DATA, "tiny")
    run = look(spec, {}, RunFolder(results / "runs" / spec.run_id))
    return as_trial(run, "study", "an id", number, params)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    key = StudyKey("study", ["maximize"], {}, {"x": 1})
    url = storage_url(None, tmp_path)
    random = optuna.samplers.RandomSampler(0)
    return open_study(
        url, key, "a", Strategies(random, optuna.pruners.NopPruner(), "random", "none", 4)
    )


def tuner_of(store: Store, results: Path, target: int, watcher: Silent | None = None) -> Tuner:
    def suggest(trial: optuna.Trial) -> dict[str, Any]:
        return {"x": trial.suggest_int("x", 1, 1)}  # every trial the same

    def plan(number: int, params: Any) -> Planned:
        return planned(results, dict(params), number)

    return Tuner(store, Asked(suggest, plan, ["mAP50"], target, 1), watcher or Silent())


def taken(tuner: Tuner) -> Planned:
    """The run that the tuner wants next."""
    run = tuner.take()
    assert run is not None
    return run


def gone(*_: Any, **__: Any) -> None:
    """A storage that does not answer."""
    raise optuna.exceptions.StorageInternalError("connection refused")


def finish(run: Planned, state: State = State.COMPLETE, **content: Any) -> Planned:
    run.folder.path.mkdir(parents=True, exist_ok=True)
    run.folder.write_spec(run.spec)
    content.setdefault("run_id", run.spec.run_id)
    # Past `RunFolder.write_record`: earlier versions wrote records of complete runs without a score, too.
    write_json(run.folder.record_file, record(state=state, **content).to_json())
    return look(run.spec, run.config, run.folder)


def validate(run: Planned, *values: float | None) -> None:
    """Appends validations to the run's journal."""
    run.folder.path.mkdir(parents=True, exist_ok=True)
    done = run.folder.metrics_file.read_text() if run.folder.metrics_file.exists() else ""
    first = done.count("\n") + 1
    points = [
        {"kind": "val", "iter": number, "epoch": float(number), "mAP50": value}
        for number, value in enumerate(values, start=first)
    ]
    with run.folder.metrics_file.open("a") as file:
        file.writelines(json.dumps(point) + "\n" for point in points)


def test_trial_is_named_after_its_study(tmp_path: Path) -> None:
    run = planned(tmp_path, {"x": 1}, 7)
    assert run.spec.run_id.startswith("study-s0-tiny-")
    assert run.folder.path.name == run.spec.run_id
    assert (run.spec.experiment, run.spec.trial, run.spec.params) == ("study", 7, {"x": 1})


def test_twin_waits_for_the_run_that_it_shares(store: Store, tmp_path: Path) -> None:
    tuner = tuner_of(store, tmp_path, target=3)
    run = taken(tuner)
    assert tuner.take() is None  # the second trial has the same parameters
    tuner.ended(finish(run), "")
    tuner.tick()
    first, twin = store.study.get_trials()
    assert (first.value, twin.value) == (0.5, 0.5)
    assert (twin.user_attrs["same_as"], twin.user_attrs["device_seconds"]) == (0, 0.0)
    assert first.user_attrs["device_seconds"] == 8.0


def test_storage_that_is_gone_for_a_while_loses_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Silent()
    tuner = tuner_of(store, tmp_path, target=1, watcher=watcher)
    run = taken(tuner)

    with monkeypatch.context() as outage:
        outage.setattr(store.study._storage, "set_trial_state_values", gone)
        outage.setattr(store.study._storage, "get_all_trials", gone)
        tuner.ended(finish(run), "")
        tuner.tick()
        assert not tuner.done()
        assert tuner.gpus() is None
    tuner.tick()
    (trial,) = store.study.get_trials()
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.5)
    assert watcher.said == [
        "the storage does not answer (connection refused): jobs go on, and it is asked again",
        "the storage answers again",
    ]


def test_storage_that_stays_away_is_said(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuner = tuner_of(store, tmp_path, target=1)

    assert tuner.gpus() == 1
    monkeypatch.setattr(store, "next_trial", gone)
    assert tuner.take() is None
    tuner.tick()  # asks the storage for nothing, and so says nothing of it
    assert not tuner.done()
    monkeypatch.setenv("DETBOARD_PATIENCE_S", "1e-9")
    with pytest.raises(OUTAGES, match="connection refused"):
        tuner.take()


def test_trial_that_another_driver_took_is_let_go(store: Store, tmp_path: Path) -> None:
    tuner = tuner_of(store, tmp_path, target=1)
    run = taken(tuner)
    validate(run, 0.1)
    (trial,) = store.study.get_trials()
    store.study._storage.set_trial_user_attr(trial._trial_id, "owner", "b")
    store._next_beat = 0.0
    tuner.tick()
    assert run.folder.stop_file.read_text().strip() == '{"state": "interrupted"}'
    tuner.ended(finish(run), "")
    assert store.study.get_trials()[0].state is TrialState.RUNNING  # b's to tell


def test_trial_that_cannot_be_composed_has_failed(store: Store, tmp_path: Path) -> None:
    tuner = tuner_of(store, tmp_path, target=1)

    def plan(number: int, params: Any) -> Planned:
        raise UserError(["row 'plain': a.b: no such key 'b'", "and more"])

    tuner.asked.plan = plan
    assert tuner.take() is None
    (trial,) = store.study.get_trials()
    assert trial.state is TrialState.FAIL
    assert trial.user_attrs["cause"] == "row 'plain': a.b: no such key 'b'; and more"


def test_failed_composing_is_told_after_an_outage(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuner = tuner_of(store, tmp_path, target=1)

    def plan(number: int, params: Any) -> Planned:
        raise UserError("row 'plain': no such key")

    tuner.asked.plan = plan
    with monkeypatch.context() as outage:
        outage.setattr(store.study, "tell", gone)
        assert tuner.take() is None
        assert [trial.state for trial in store.study.get_trials()] == [TrialState.RUNNING]
    tuner.tick()
    assert [trial.state for trial in store.study.get_trials()] == [TrialState.FAIL]


def test_validations_keep_their_steps_over_an_outage(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuner = tuner_of(store, tmp_path, target=1)
    run = taken(tuner)
    validate(run, 0.1, 0.2, 0.3)
    report = store.study._storage.set_trial_intermediate_value
    calls = iter([True, False, *[True] * 9])

    def flaky(*arguments: Any) -> None:
        if not next(calls):
            gone()
        report(*arguments)

    monkeypatch.setattr(store.study._storage, "set_trial_intermediate_value", flaky)
    tuner.tick()
    tuner.tick()
    (trial,) = store.study.get_trials()
    assert trial.intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3}


@pytest.mark.slow
def test_twin_of_a_trial_that_was_taken_over_still_ends(store: Store, tmp_path: Path) -> None:
    tuner = tuner_of(store, tmp_path, target=2)
    run = taken(tuner)
    assert tuner.take() is None  # its twin
    first, _ = store.study.get_trials()
    store.study._storage.set_trial_user_attr(first._trial_id, "owner", "b")
    store._next_beat = 0.0
    tuner.tick()
    tuner.ended(look(run.spec, run.config, run.folder), "stopped")  # interrupted, without a record
    again = tuner.take()  # the twin trains for itself
    assert again is not None
    assert again.spec.run_id == run.spec.run_id
    tuner.ended(finish(again), "")
    assert store.study.get_trials()[1].state is TrialState.COMPLETE


def test_trial_that_another_driver_has_ended_is_no_error(store: Store, tmp_path: Path) -> None:
    tuner = tuner_of(store, tmp_path, target=1)
    run = taken(tuner)
    (trial,) = store.study.get_trials()
    storage = store.study._storage
    storage.set_trial_user_attr(trial._trial_id, "owner", "b")
    storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [0.9])
    validate(run, 0.1)
    tuner.tick()
    tuner.ended(finish(run), "")
    assert store.study.get_trials()[0].value == 0.9


def test_run_of_a_complete_trial_elsewhere_is_not_run_again(store: Store, tmp_path: Path) -> None:
    away = tuner_of(store, tmp_path / "away", target=1)
    run = taken(away)
    validate(run, 0.4, 0.5)
    away.ended(finish(run), "")
    here = tuner_of(store, tmp_path / "here", target=2)
    assert here.take() is None
    first, twin = store.study.get_trials()
    assert (twin.state, twin.value) == (TrialState.COMPLETE, 0.5)
    assert twin.intermediate_values == first.intermediate_values == {1: 0.4, 2: 0.5}
    assert (twin.user_attrs["same_as"], twin.user_attrs["epochs"]) == (0, 0.0)


def test_run_that_ran_out_of_memory_is_tried_again_by_a_later_trial(
    store: Store, tmp_path: Path
) -> None:
    tuner = tuner_of(store, tmp_path, target=2)
    run = taken(tuner)
    tuner.ended(finish(run, State.FAILED, failure={"kind": "oom", "message": "no memory"}), "oom")
    again = taken(tuner)
    assert again.spec.run_id == run.spec.run_id
    tuner.ended(finish(again), "")
    found = store.study.get_trials()
    assert [trial.state for trial in found] == [TrialState.FAIL, TrialState.COMPLETE]
    assert "same_as" not in found[1].user_attrs


def test_study_stops_where_the_data_is_not_what_it_was_planned_with(
    store: Store, tmp_path: Path
) -> None:
    """Every other trial would fail in the same way: none is used up, and the same command takes this one up again."""
    tuner = tuner_of(store, tmp_path, target=2)
    failure = {"kind": "data", "message": "val.json is not what was planned", "again": True}
    with pytest.raises(UserError, match=r"trial 0: val.json is not what was planned"):
        tuner.ended(finish(taken(tuner), State.FAILED, failure=failure), "data")
    (trial,) = store.study.get_trials()
    assert trial.state is TrialState.RUNNING
    assert 0 not in store.active


def test_objective_that_is_missing_later_fails_its_trial_alone(
    store: Store, tmp_path: Path
) -> None:
    tuner = tuner_of(store, tmp_path, target=1)
    run = taken(tuner)
    validate(run, 0.3, None)
    tuner.tick()  # says nothing: the study goes on
    tuner.ended(finish(run, metrics={"mAP50": None}), "")
    (trial,) = store.study.get_trials()
    assert trial.state is TrialState.FAIL
    assert "no value for mAP50" in trial.user_attrs["cause"]


def test_attempt_that_a_kill_undid_is_forgotten(store: Store, tmp_path: Path) -> None:
    tuner = tuner_of(store, tmp_path, target=1)
    run = taken(tuner)
    journal = Journal(run.folder.metrics_file)
    run.folder.path.mkdir(parents=True)
    journal.start(0, 3)
    for iteration, value in enumerate((0.1, 0.9), start=1):
        journal.write({"kind": "val", "iter": iteration, "epoch": iteration, "mAP50": value})
    tuner.tick()
    tuner.ended(look(run.spec, run.config, run.folder), "killed by signal 9")
    again = taken(tuner)
    journal.start(1, 3)  # the newest checkpoint is that of iteration 1
    journal.write({"kind": "val", "iter": 2, "epoch": 2, "mAP50": 0.2})
    tuner.ended(finish(again), "")
    (trial,) = store.study.get_trials()
    assert trial.intermediate_values == {1: 0.1, 2: 0.9}  # Optuna keeps what it was told first
    assert trial.user_attrs["best"] == 0.2


def test_each_file_of_a_trial_is_read_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path) -> Any:
        read.append(path.name)
        return read_json(path)

    def new_points(tail: Tail) -> list[dict[str, Any]]:
        points = new(tail)
        read.extend("metrics.jsonl" for _ in points)
        return points

    new = Tail.new_points
    monkeypatch.setattr(folder, "read_json", counted)
    monkeypatch.setattr(Tail, "new_points", new_points)
    tuner = tuner_of(store, tmp_path, target=2)
    run = taken(tuner)
    assert tuner.take() is None  # a twin, which reads the journal for itself
    for value in (0.1, 0.2):
        validate(run, value)
        tuner.tick()
    tuner.ended(finish(run), "")
    assert [trial.state for trial in store.study.get_trials()] == [TrialState.COMPLETE] * 2
    assert sorted(read) == ["metrics.jsonl"] * 4 + ["record.json"]


def test_files_of_a_trial_that_had_ended_are_read_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path) -> Any:
        read.append(path.name)
        return read_json(path)

    validate(run := planned(tmp_path, {"x": 1}), 0.5)
    finish(run)
    monkeypatch.setattr(folder, "read_json", counted)
    tuner = tuner_of(store, tmp_path, target=1)
    assert tuner.take() is None
    (trial,) = store.study.get_trials()
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.5)
    assert sorted(read) == ["record.json", "spec.json"]
