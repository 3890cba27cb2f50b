"""A study's database after a kill at any moment, and one that an earlier version has left half made."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from command import study
from optuna.trial import TrialState

from benchmark.errors import MachineError, UserError
from benchmark.run.plan import Request
from benchmark.tuning import file_system
from benchmark.tuning.database import storage_url
from benchmark.tuning.opening import open_study
from benchmark.tuning.storage import Strategies, StudyKey
from benchmark.tuning.study import read_study
from benchmark.tuning.study_run import answering, open_store

KEY = StudyKey("s", ["maximize"], {"row": "plain"}, {"lr": 0.02})
RANDOM = Strategies(
    optuna.samplers.RandomSampler(0), optuna.pruners.NopPruner(), "RandomSampler", "none", 4
)
WHOLE = {
    "names": ["mortal"],
    "loaded": 1,
    "trials": [["COMPLETE", {"lr": 0.02}, [0.7], {"1": 0.5}]],
    "twin refused": True,
}


@pytest.fixture
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: a file that is synced a thousand times takes its time on a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.mark.slow
@pytest.mark.parametrize(("storage", "stride", "deaths"), [("sqlite", 1, 40), ("postgresql", 4, 8)])
def test_study_that_is_killed_before_any_statement_goes_on(
    storage: str, stride: int, deaths: int, quick_folder: Path, request: pytest.FixtureRequest
) -> None:
    """Optuna's own tools open it, too, and there is exactly one study of that name, with one trial."""
    pattern = f"sqlite:///{quick_folder}/%d.db"
    if storage == "postgresql":
        pattern = request.getfixturevalue("postgresql_url")
    command = [
        sys.executable,
        str(Path(__file__).with_name("dying_study.py")),
        pattern,
        str(stride),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    died, found = lines[0:-1:2], [line.get("found") for line in [*lines[1:-1:2], lines[-1]]]
    assert len(died) >= deaths, done.stderr
    assert len({line["number"] for line in died}) == len(died)
    assert [(one, state) for one, state in zip(died, found, strict=False) if state != WHOLE] == []
    assert found[-1] == WHOLE  # of the one that lived


def _tables(path: Path) -> list[str]:
    """What Optuna has made in a database, as statements that make it again: those of the tables first."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type = 'index'"
        return [sql for (sql,) in connection.execute(query)]


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a study of one complete trial, as earlier versions made it: by Optuna, step by step."""
    path = tmp_path_factory.mktemp("stock") / "studies.db"
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="s", direction="maximize")
    study.set_user_attr("detboard", dict(KEY.made_for))
    study.set_user_attr("study_id", "an id")
    study.enqueue_trial({"lr": 0.02}, user_attrs={"published": True})
    trial = study.ask()
    trial.suggest_float("lr", 0.001, 0.1)
    study.tell(trial, 0.7)
    return path


@pytest.fixture
def broken(stock: Path, tmp_path: Path) -> Path:
    """What a kill before ``CREATE UNIQUE INDEX`` had come to, after the study had run."""
    path = Path(shutil.copy(stock, tmp_path / "studies.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX ix_studies_study_name")
    return path


def _twin(path: Path, trials: int) -> None:
    """What every later command had come to: a second study of the name; it may have trials."""
    with closing(sqlite3.connect(path)) as connection, connection:
        cursor = connection.execute("INSERT INTO studies (study_name) VALUES ('s')")
        direction = "INSERT INTO study_directions (direction, study_id, objective) VALUES ('MAXIMIZE', ?, 0)"
        connection.execute(direction, (cursor.lastrowid,))
        for number in range(trials):
            trial = "INSERT INTO trials (number, study_id, state) VALUES (?, ?, 'FAIL')"
            connection.execute(trial, (number, cursor.lastrowid))


def _opened(path: Path) -> list[Any]:
    """The trials of the study, opened by us and then by Optuna."""
    open_study(storage_url(None, path.parent), KEY, "a", RANDOM).close()
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    trials = optuna.load_study(study_name="s", storage=storage).trials
    storage.engine.dispose()
    return [(trial.state, trial.value) for trial in trials]


@pytest.mark.parametrize("twins", [0, 1, 3])
def test_database_without_its_index_is_put_right(broken: Path, twins: int) -> None:
    for _ in range(twins):
        _twin(broken, trials=0)
    assert _opened(broken) == [(TrialState.COMPLETE, 0.7)]
    assert optuna.get_all_study_names(f"sqlite:///{broken}") == ["s"]
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        optuna.create_study(storage=f"sqlite:///{broken}", study_name="s")


def test_second_study_of_a_name_that_holds_trials_gets_another(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _twin(broken, trials=2)
    assert _opened(broken) == [(TrialState.COMPLETE, 0.7)]
    assert "two studies had the name 's': the later one is 's-2' now" in capsys.readouterr().err
    other = optuna.load_study(study_name="s-2", storage=f"sqlite:///{broken}")
    assert len(other.trials) == 2


@pytest.mark.parametrize("made", [1, 2, 5, 13])
def test_database_with_some_of_its_tables_gets_the_others(
    stock: Path, tmp_path: Path, made: int
) -> None:
    path = tmp_path / "studies.db"
    with closing(sqlite3.connect(path)) as connection:
        for statement in _tables(stock)[:made]:
            connection.execute(statement)
    assert _opened(path) == [(TrialState.WAITING, None)]
    assert sorted(_tables(path)) == sorted(_tables(stock))


def test_whole_database_of_an_earlier_version_is_only_read(stock: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(stock, tmp_path / "studies.db"))
    before = _tables(path)
    assert _opened(path) == [(TrialState.COMPLETE, 0.7)]
    assert _tables(path) == before


def test_tables_of_another_version_of_optuna_stay_as_they_are(stock: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(stock, tmp_path / "studies.db"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v3.0.0.d'")
        connection.execute("DROP TABLE trial_heartbeats")
    before = _tables(path)
    with pytest.raises(UserError, match="optuna storage upgrade"):
        _opened(path)
    assert _tables(path) == before


@pytest.mark.parametrize(("kind", "mode"), [("ext4", "wal"), ("nfs4", "delete"), ("", "delete")])
def test_file_is_written_ahead_where_its_file_system_is_local(
    kind: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    root = "22 1 8:1 / / rw - xfs /dev/sda rw\n"
    there = f"23 22 0:5 / {tmp_path}/a\\040b rw,relatime shared:1 - {kind} server:/a rw\n"
    mounts.write_text(root + there if kind else "")
    monkeypatch.setattr(file_system, "_MOUNTS", mounts)
    (tmp_path / "a b").mkdir()
    path = tmp_path / "a b" / "studies.db"
    _opened(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)


def test_file_that_was_moved_to_another_machine_is_no_longer_written_ahead(
    stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copy(stock, tmp_path / "studies.db"))
    _opened(path)
    monkeypatch.setattr(file_system, "_LOCAL", set())
    _opened(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def _text(path: Path, _stock: Path) -> None:
    path.write_text("not a database, but a text of some length" * 100)


def _hole(path: Path, stock: Path) -> None:
    content = stock.read_bytes()
    path.write_bytes(content[:6144] + bytes(20480) + content[26624:])


def _cut(path: Path, stock: Path) -> None:
    path.write_bytes(stock.read_bytes()[:8192])


def _folder(path: Path, _stock: Path) -> None:
    path.mkdir()


def _pipe(path: Path, _stock: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path, _stock: Path) -> None:
    path.symlink_to("/nowhere/x.db")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_text, "cannot be used: file is not a database; put a copy of it back"),
        (_hole, "cannot be used: database disk image is malformed; put a copy of it back"),
        (_cut, "cannot be used: database disk image is malformed; put a copy of it back"),
        (_folder, "is a folder, where a study's database is to be"),
        (_pipe, "is no file, where a study's database is to be"),
        (_dangling, "leads to /nowhere/x.db, which is not there"),
    ],
)
def test_damaged_database_is_told_with_its_cause(
    damage: Callable[[Path, Path], None], words: str, stock: Path, tmp_path: Path
) -> None:
    path = tmp_path / "studies.db"
    damage(path, stock)
    with pytest.raises(UserError) as refused:
        _opened(path)
    assert refused.value.problems == [f"{path}: {words}" + str(refused.value).partition(words)[2]]


def test_database_that_may_not_be_written_is_told_with_its_cause(tmp_path: Path) -> None:
    def read_only(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", read_only)
    try:
        with pytest.raises(MachineError) as refused:
            _opened(tmp_path / "studies.db")
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", read_only)
    assert str(refused.value).startswith(
        f"{tmp_path}/studies.db: cannot be used: attempt to write a readonly database; "
    )


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_study_on_a_file_system_without_locks(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert _opened(tmp_path / "studies.db") == [(TrialState.WAITING, None)]


def test_lock_whose_file_cannot_be_made_is_told_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "studies.db.lock").mkdir()
    with pytest.raises(MachineError, match=r"studies\.db: cannot be used: Is a directory; "):
        _opened(tmp_path / "studies.db")


def test_somebody_who_reads_keeps_nobody_from_opening(stock: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(stock, tmp_path / "studies.db"))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM studies").fetchall()
        assert _opened(path) == [(TrialState.COMPLETE, 0.7)]


def test_study_that_is_deleted_while_it_runs_is_told(synthetic_data: Path, tmp_path: Path) -> None:
    file = study(tmp_path, n_trials=1)
    made = read_study(Request(file, tmp_path / "results", data_root=synthetic_data))
    with (
        pytest.raises(MachineError, match=r"study 'tune' is no longer in .*: it was deleted"),
        answering(made, None),
        closing(open_store(made, None)) as store,
    ):
        optuna.delete_study(study_name="tune", storage=store.storage)
        store.next_trial(1)
