"""``detboard tune --dry-run`` says how far a budget goes, and makes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from command import Bench, study
from optuna.trial import TrialState
from records import record
from sqlalchemy import create_engine, text

from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.run.journal import Journal
from benchmark.run.plan import Request
from benchmark.run.prepare import prepare
from benchmark.tuning import dry_run as module
from benchmark.tuning import forecast
from benchmark.tuning.database import reading, storage_url
from benchmark.tuning.storage import note_exhaustion
from benchmark.tuning.study import Study, read_study
from benchmark.tuning.study_run import open_store

PRUNER = {"type": "SuccessiveHalvingPruner", "min_resource": 1, "reduction_factor": 2}


def studied(folder: Path, data: Path, **content: Any) -> Study:
    return read_study(Request(study(folder, **content), folder / "results", data_root=data))


def dry_run(
    made: Study, slots: int, prunes: bool, trials: int | None, storage: str | None = None
) -> str:
    return "\n".join(module.dry_run(made, slots, prunes, trials, storage))


def number(text: str, line: str) -> float:
    """The median that stands in a line of the table."""
    found = re.search(rf"^ *{re.escape(line)}  +(\d+)", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def trained(made: Study, curves: Sequence[Sequence[float]], seconds: float) -> None:
    """Leaves complete trials of a study in the results folder, with these validations."""
    for count, values in enumerate(curves):
        run = made.plan_trial("an id", count, {"lr": 0.001 * (count + 1)})
        prepare(run)
        journal = Journal(run.folder.metrics_file)
        for epoch, value in enumerate(values, start=1):
            journal.write({"kind": "val", "iter": epoch, "epoch": float(epoch), "mAP50": value})
        of_run = {"row": run.spec.row, "seed": run.spec.seed, "profile": run.spec.profile}
        content = record(run_id=run.spec.run_id, train_seconds=seconds, **of_run)
        write_json(run.folder.record_file, content.to_json())


def test_how_far_a_budget_goes_is_said_and_nothing_is_made(
    synthetic_data: Path, tmp_path: Path
) -> None:
    file = study(tmp_path, n_trials=8, pruner=PRUNER)
    bench = Bench(synthetic_data, tmp_path / "results", file)
    before = sorted(tmp_path.rglob("*"))
    done = bench.here("tune", "--dry-run", "--slots", "2")
    assert done.returncode == 0, done.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert max(map(len, done.stdout.splitlines())) <= 80
    words = " ".join(done.stdout.split())
    assert "nothing is trained, and nothing is made" in words
    assert "8 trials of row plain, 2 at a time; a training takes 4 epochs, with 4 vali" in words
    assert "of a family, by lot" in words
    assert "No run of this row in the results folder says how long" in words
    given_up, whole = number(done.stdout, "given up"), number(done.stdout, "trained to the end")
    assert given_up + whole == number(done.stdout, "trials") == 8
    assert given_up >= 2
    epochs = number(done.stdout, "epochs in all")
    assert 4 * whole + given_up <= epochs < 4 * 8
    assert bench.here("tune", "--dry-run", "--slots", "2").stdout == done.stdout
    refused = bench.here("tune", "--dry-run", "--promote")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--dry-run trains nothing: drop --promote" in refused.stderr


def test_trials_that_there_are_say_what_others_come_to(
    synthetic_data: Path, tmp_path: Path
) -> None:
    made = studied(tmp_path, synthetic_data, n_trials=10, pruner=PRUNER)
    rising = [[0.1 * n, 0.2 * n, 0.3 * n, 0.4 * n] for n in (1.0, 1.2, 1.4, 1.6)]
    trained(made, rising, seconds=60.0)
    few = " ".join(dry_run(made, 2, True, None).split())
    assert "only 4 trials of this row in the results folder were trained to the end, and 5" in few
    assert "A training takes 1 min 00 s: the median of 4 complete runs" in few
    # All alike: halving cannot tell one from another, and gives up none.
    for run in (made.request.results / "runs").iterdir():
        (run / "metrics.jsonl").unlink()
    trained(made, [rising[0]] * 5, seconds=60.0)
    alike = dry_run(made, 1, True, None)
    assert "two of the 5 trials of this row" in " ".join(alike.split())
    assert (number(alike, "given up"), number(alike, "epochs in all")) == (0, 40)
    assert re.search(r"^time +10 min 00 s", alike, re.MULTILINE)


def test_a_grid_ends_and_a_launcher_that_sees_nothing_prunes_nothing(
    synthetic_data: Path, tmp_path: Path
) -> None:
    search = {"lr": {"choices": [0.01, 0.02, 0.03]}}
    made = studied(
        tmp_path, synthetic_data, n_trials=20, search=search, sampler="GridSampler", pruner=PRUNER
    )
    text = dry_run(made, 1, False, None)
    assert "pruner: none: the launcher looks at a trial when it has ended" in text
    assert number(text, "trials") == 4  # the row's own setting, and the grid
    assert number(text, "with the result of an earlier one") == 1
    assert number(text, "epochs in all") == 12


def test_conditional_parameters_and_two_objectives(synthetic_data: Path, tmp_path: Path) -> None:
    search = {
        "optimizer": {
            "path": "optim_wrapper.optimizer",
            "choices": {"own": {}, "adam": {"_delete_": True, "type": "Adam", "lr": 0.001}},
        },
        "momentum": {
            "path": "optim_wrapper.optimizer.momentum",
            "type": "float",
            "low": 0.8,
            "high": 0.98,
            "when": {"optimizer": "own"},
        },
    }
    made = studied(
        tmp_path, synthetic_data, n_trials=6, search=search, objective=["mAP50", "params"]
    )
    text = dry_run(made, 4, True, trials=9)
    assert "pruner: none (two objectives: no trial is pruned)" in text
    reused = number(text, "with the result of an earlier one")
    assert (number(text, "trials"), number(text, "given up")) == (9, 0)
    assert reused > 0  # adam is one setting
    assert number(text, "epochs in all") == 4 * (9 - reused)


# Studies that are there already


COMPLETE, PRUNED, RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING


@contextmanager
def known(url: str, made: Study) -> Iterator[optuna.Study]:
    """A study in its storage, which is left closed."""
    storage = optuna.storages.RDBStorage(url)
    yield optuna.load_study(
        study_name=made.file.name, storage=storage, sampler=made.strategies.sampler
    )
    storage.remove_session()
    storage.engine.dispose()


def begun(made: Study, *states: TrialState) -> str:
    """Opens a study as `tune` does, with trials in these states, the first one the row's own; the storage's URL."""
    open_store(made, None).close()
    url = f"sqlite:///{made.request.results / 'studies.db'}"
    with known(url, made) as there:
        for count, state in enumerate(states):
            trial = there.ask()
            made.space.suggest(trial)
            for step in range(1, 3 if state is not COMPLETE else 5):
                trial.report(0.01 * step * (count + 1), step)
            if state is not RUNNING:
                there.tell(trial, 0.04 * (count + 1) if state is COMPLETE else None, state)
    return url


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file's content; of SQLite's shared memory, in which readers leave their marks, that it is there."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path: b"" if path.match("*-shm") else path.read_bytes() for path in files}


def test_a_study_goes_on_from_where_it_is(synthetic_data: Path, tmp_path: Path) -> None:
    file = study(tmp_path, n_trials=8)
    bench = Bench(synthetic_data, tmp_path / "results", file)
    made = studied(tmp_path, synthetic_data, n_trials=8)
    url = begun(made, COMPLETE, COMPLETE, PRUNED, RUNNING)
    others = {"sampler": "RandomSampler", "pruner": {"type": "MedianPruner", "n_min_trials": 2}}
    with known(url, made) as there:
        there.set_user_attr("defaults", others)
    before = contents(tmp_path)
    done = bench.here("tune", "--dry-run", "--slots", "2")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path) == before
    words = " ".join(done.stdout.split())
    assert "8 trials of row plain, 2 at a time" in words
    assert "sampler: RandomSampler(seed=0) pruner: MedianPruner(n_min_trials=2)" in words
    assert "4 trials of it have begun: 2 complete, 1 pruned, 1 in work" in words
    assert "that in work is simulated anew, whatever of it is trained already" in words
    assert "the highest end is 0.08, the best of the study so far" in words
    whole, given_up = number(done.stdout, "trained to the end"), number(done.stdout, "given up")
    assert number(done.stdout, "trials to come") == whole + given_up == 5
    # As `tune` has it, these are so many more, the one in work included.
    assert number(dry_run(made, 2, True, 6), "trials to come") == 7
    assert contents(tmp_path) == before


def test_a_study_that_is_complete_has_nothing_to_come(synthetic_data: Path, tmp_path: Path) -> None:
    made = studied(tmp_path, synthetic_data, n_trials=2)
    begun(made, COMPLETE, PRUNED)
    text = dry_run(made, 2, True, None)
    assert "nothing is left to be trained; --trials N asks for more" in text
    assert "median" not in text


def test_a_grid_that_is_visited_has_nothing_to_come(synthetic_data: Path, tmp_path: Path) -> None:
    search = {"lr": {"choices": [0.01, 0.02, 0.03]}}
    made = studied(tmp_path, synthetic_data, n_trials=20, search=search, sampler="GridSampler")
    url = begun(made, COMPLETE)
    with known(url, made) as there:
        note_exhaustion(there, made.strategies)
        for _ in search["lr"]["choices"]:
            trial = there.ask()
            made.space.suggest(trial)
            there.tell(trial, 0.1)
    for more in (None, 5):
        text = dry_run(made, 2, True, more)
        assert "nothing is left to be trained: the sampler has visited every setting" in text
        assert "median" not in text
    with known(url, made) as there:
        there.set_user_attr("exhausted", "another sampler")
    text = dry_run(made, 2, True, None)
    assert number(text, "trials to come") == 1
    assert number(text, "with the result of an earlier one") == 1


def test_of_a_grid_that_is_mostly_visited_the_rest_is_to_come(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = {"lr": {"choices": [0.001 * count for count in range(1, 25)]}}
    made = studied(tmp_path, synthetic_data, n_trials=90, search=search, sampler="GridSampler")
    begun(made, *[COMPLETE] * 21)  # the row's own setting, and 20 of 24
    monkeypatch.setattr(forecast, "_ONE_MS", 0.0)
    text = dry_run(made, 1, True, None)
    assert number(text, "trials to come") == 4
    assert "Simulated are" not in text


def test_a_study_that_was_made_for_something_else_is_refused_as_by_tune(
    synthetic_data: Path, tmp_path: Path
) -> None:
    begun(studied(tmp_path, synthetic_data), COMPLETE)
    other = studied(tmp_path, synthetic_data, search={"lr": {"choices": [0.01, 0.02]}})
    with pytest.raises(UserError, match="study 'tune' was made for another search space"):
        dry_run(other, 1, True, None)


def test_results_that_are_there_are_not_trained_again(synthetic_data: Path, tmp_path: Path) -> None:
    search = {"lr": {"choices": [0.01, 0.02, 0.03]}}
    made = studied(tmp_path, synthetic_data, n_trials=20, search=search, sampler="GridSampler")
    url = begun(made, COMPLETE, PRUNED)
    text = dry_run(made, 1, True, None)
    # Two points of the grid are left. One of the three is the row's own setting, whose result is there.
    with known(url, made) as there:
        again = there.trials[0].params != there.trials[1].params
    assert number(text, "trials to come") == 2
    assert number(text, "with the result of an earlier one") == again
    assert number(text, "trained to the end") + number(text, "given up") == 2 - again


def test_what_a_warm_start_tries_first_is_said_and_simulated(
    synthetic_data: Path, tmp_path: Path
) -> None:
    earlier = studied(tmp_path, synthetic_data, name="before")
    begun(earlier, COMPLETE, COMPLETE, COMPLETE)
    made = studied(tmp_path, synthetic_data, name="after", warm_start="before", n_trials=6)
    before = contents(tmp_path)
    text = dry_run(made, 2, True, None)
    assert contents(tmp_path) == before
    said = "warm start: 3 complete trials of study 'before' in "
    assert said in " ".join(text.split())
    assert number(text, "trials") == 6
    url = begun(made, COMPLETE)
    optuna.delete_study(study_name="before", storage=url)
    # It goes on with its copy.
    assert said in " ".join(dry_run(made, 2, True, None).split())
    lost = studied(tmp_path, synthetic_data, name="late", warm_start="before")
    with pytest.raises(UserError, match="has no study 'before'"):
        dry_run(lost, 2, True, None)


def test_of_very_many_trials_the_first_are_simulated(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 took minutes without a word."""
    monkeypatch.setattr(forecast, "_ONE_MS", 100.0)
    monkeypatch.setattr(forecast, "_ALL_MS", 250.0)
    made = studied(tmp_path, synthetic_data, n_trials=10_000, pruner="NopPruner")
    lines = module.dry_run(made, 2, True, None)
    assert next(lines).startswith("dry run of study")  # at once
    text = "\n".join(lines)
    words = " ".join(text.split())
    found = re.search(r"Simulated are the first (\d+) of 10,000 trials to come", words)
    assert found and 20 <= int(found[1]) < 200
    assert f"the numbers are {10_000 / int(found[1]):.3g} times theirs" in words
    assert re.search(r"^over [2-9] simulated studies", text, re.MULTILINE)
    assert re.search(r"^trials +10,000 ", text, re.MULTILINE)
    assert re.search(r"^epochs in all +40,000 ", text, re.MULTILINE)
    assert re.search(r"as a share of all trials in full +100 %", text)


@pytest.fixture
def empty_database(postgresql_url: str) -> str:
    """The URL of a database that no other test has made tables in."""
    engine = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE of_a_dry_run"))
    engine.dispose()
    return f"{postgresql_url.rpartition('/')[0]}/of_a_dry_run"


def test_a_shared_study_is_read_where_it_is(
    synthetic_data: Path, tmp_path: Path, empty_database: str
) -> None:
    made = studied(tmp_path, synthetic_data, n_trials=3)
    assert number(dry_run(made, 2, True, None, empty_database), "trials") == 3
    with reading(storage_url(empty_database, tmp_path)) as nothing:
        assert nothing is None  # no tables were made
    open_store(made, empty_database).close()
    with known(empty_database, made) as study_there:
        study_there.tell(study_there.ask(), 0.5)
    assert number(dry_run(made, 2, True, None, empty_database), "trials to come") == 2
    with reading(storage_url(empty_database, tmp_path)) as there:
        assert there is not None
        with pytest.raises(optuna.exceptions.StorageInternalError):
            there.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "another")
